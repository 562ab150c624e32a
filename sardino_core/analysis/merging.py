"""What a small table makes of a map's classes: the value, name and colour of each class of the result. No pixels."""

from __future__ import annotations

import colorsys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sardino_core.contract.class_table import NewClass
from sardino_core.contract.model_spec import UNSURE_COLOUR, UNSURE_NAME, UNSURE_VALUE, ClassSpec
from sardino_core.raster.writing.class_legend import NODATA

_GOLDEN = 0.618034  # turns of the hue from one value to the next, by which neighbours look different


@dataclass(frozen=True)
class Merging:
    """What becomes of every value, and the result's classes."""

    becomes: NDArray[np.uint8]  # (256,): new value by old value; nodata stays nodata
    classes: tuple[ClassSpec, ...]  # by value

    def pixels(self, before: Mapping[int, int]) -> dict[str, int]:
        """Pixels of the result by class name, from the map's pixels by value."""
        after = Counter[int]()
        for value, count in before.items():
            after[int(self.becomes[value])] += count
        return {item.name: after[item.value] for item in self.classes}


def merge_classes(table: Sequence[NewClass], legend: Mapping[int, ClassSpec], present: Sequence[int]) -> Merging:
    """Apply the table to the classes that have a name in `legend` and to those that are `present` in the map.

    A new class takes what the table does not say from the legend's class of its value, else from the first of its old
    ones that the legend has.
    """
    becomes = np.arange(256, dtype=np.uint8)
    for new in table:
        becomes[list(new.old)] = new.value
    staying = [value for value in classes_of(legend, present) if becomes[value] == value]
    classes = {value: _described(value, legend.get(value)) for value in staying}
    classes |= {new.value: _new_class(new, legend) for new in table if new.value != NODATA}
    return Merging(becomes, tuple(item for _, item in sorted(classes.items())))


def classes_of(legend: Mapping[int, ClassSpec], present: Sequence[int]) -> tuple[int, ...]:
    """The values of a map's classes: those with a name, and those that occur; a colour alone makes no class."""
    return tuple(sorted({*(value for value, item in legend.items() if item.name), *present}))


def distinct_colour(value: int) -> str:
    """A colour for a class that has none, different for every value."""
    red, green, blue = colorsys.hsv_to_rgb(value * _GOLDEN % 1, 0.6, 0.85)
    return f"#{round(255 * red):02x}{round(255 * green):02x}{round(255 * blue):02x}"


def _new_class(new: NewClass, legend: Mapping[int, ClassSpec]) -> ClassSpec:
    known = next((legend[value] for value in (new.value, *new.old) if value in legend), None)
    default = _described(new.value, known)
    return ClassSpec(new.value, new.name or default.name, new.colour or default.colour)


def _described(value: int, known: ClassSpec | None) -> ClassSpec:
    unsure = value == UNSURE_VALUE
    name = (known.name if known else "") or (UNSURE_NAME if unsure else str(value))
    colour = (known.colour if known else "") or (UNSURE_COLOUR if unsure else distinct_colour(value))
    return ClassSpec(value, name, colour)

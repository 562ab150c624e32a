"""From the texts in a user's field to the classes of a map: value, name and colour of each."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from itertools import cycle

from sardino_core.contract.errors import SettingInvalid
from sardino_core.contract.model_spec import UNSURE_NAME, ClassSpec

_HIGHEST = 253  # 254 is `unsure`, 255 is left to others
# For classes without a colour of their own; told apart by colour-blind eyes, too (Okabe and Ito 2008).
_COLOURS = ("#0072b2", "#009e73", "#e69f00", "#d55e00", "#cc79a7", "#56b4e9", "#f0e442", "#999999")
_APART = 100.0  # between two colours of one legend, of red, green and blue from 0 to 255 each


def classes_of(labels: Sequence[str], known: Sequence[ClassSpec]) -> tuple[ClassSpec, ...]:
    """The classes of all labels, by value; `known` are those of the model.

    Numbers are values. Where all are values of the model's classes, they are these; names that are the model's are
    these, too. Other names get the lowest free values. Raises SettingInvalid for fewer than two classes, or too many.
    """
    texts = sorted(set(labels))
    found = _by_value(texts, known) if all(map(_is_number, texts)) else _by_name(texts, known)
    if len(found) < 2:
        raise SettingInvalid(
            f"The training areas in the raster are all of one class, {found[0].name}; a map needs two or more.",
            "Draw areas of another class, or name another field with --field.",
        )
    return tuple(sorted(found, key=lambda item: item.value))


def index_of(label: str, classes: Sequence[ClassSpec]) -> int:
    """Position of the class that a label of the same field names."""
    wanted = int(float(label)) if _is_number(label) else None
    for index, item in enumerate(classes):
        if item.name.casefold() == label.casefold():
            return index
    return next(index for index, item in enumerate(classes) if item.value == wanted)


def _is_number(text: str) -> bool:
    return re.fullmatch(r"[0-9]{1,9}(\.0*)?", text) is not None


def _by_value(texts: Sequence[str], known: Sequence[ClassSpec]) -> list[ClassSpec]:
    values = sorted({int(float(text)) for text in texts})
    if not 1 <= values[0] <= values[-1] <= _HIGHEST:
        bad = values[0] if values[0] < 1 else values[-1]
        raise SettingInvalid(
            f"The training areas have the class value {bad}; allowed are 1 to {_HIGHEST} (0 is nodata, 254 unsure).",
            "Give the class another value, or its name.",
        )
    own = {item.value: item for item in known}
    if set(values) <= set(own):
        return [own[value] for value in values]
    return [ClassSpec(value, f"class {value}", colour) for value, colour in zip(values, cycle(_COLOURS), strict=False)]


def _by_name(texts: Sequence[str], known: Sequence[ClassSpec]) -> list[ClassSpec]:
    names = list({text.casefold(): text for text in reversed(texts)}.values())[::-1]
    for name in names:
        if not (len(name) <= 80 and name.isprintable()) or name.casefold() == UNSURE_NAME:
            raise SettingInvalid(
                f"The class name {name[:90]!r} is not allowed; names have 1 to 80 printable characters and are not "
                f"`{UNSURE_NAME}`."
            )
    own = {item.name.casefold(): item for item in known}
    found = [own[name.casefold()] for name in names if name.casefold() in own]
    taken = {item.value for item in found}
    free = [value for value in range(1, _HIGHEST + 1) if value not in taken]
    others = [name for name in names if name.casefold() not in own]
    if len(others) > len(free):
        raise SettingInvalid(
            f"The training areas have {len(names)} classes; a map holds {_HIGHEST}.",
            "Name the field with the class with --field.",
        )
    colours = cycle(_unlike([item.colour for item in found]))
    return found + [ClassSpec(value, name, colour) for name, value, colour in zip(others, free, colours, strict=False)]


def _unlike(used: Sequence[str]) -> Sequence[str]:
    """The colours that nobody takes for one of `used`; all of them, where none is left."""
    return [one for one in _COLOURS if all(math.dist(_rgb(one), _rgb(other)) > _APART for other in used)] or _COLOURS


def _rgb(colour: str) -> tuple[int, ...]:
    return tuple(bytes.fromhex(colour.lstrip("#")))

"""What a label value says: the set of classes that it allows.

A flood mask's "not water" allows every class but water; a land-cover map's "crops" allows one. Each distinct set has a
number, 0 being the empty set (nothing known), and a window's target is an array of these numbers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sardino_core.contract.errors import SettingInvalid
from sardino_core.contract.model_spec import ClassSpec
from sardino_core.training.settings.finetune_config import SourceConfig

UNKNOWN = 0


@dataclass(frozen=True)
class ClassSets:
    """All distinct sets of allowed classes of a run."""

    classes: tuple[ClassSpec, ...]
    members: tuple[frozenset[int], ...]  # class values; members[0] is empty

    @staticmethod
    def of(classes: tuple[ClassSpec, ...], sources: Sequence[SourceConfig]) -> ClassSets:
        """The sets that the sources' mappings name, and each class by itself. Raises SettingInvalid."""
        known = {item.value for item in classes}
        found = {frozenset[int](): None} | {frozenset([item.value]): None for item in classes}
        for index, source in enumerate(sources):
            for value, allowed in source.mapping.items():
                unknown = sorted(set(allowed) - known)
                if unknown:
                    raise SettingInvalid(
                        f"sources[{index}].mapping sends {value} to {unknown[0]}, which is no class; "
                        f"the classes are {', '.join(map(str, sorted(known)))}."
                    )
                found[frozenset(allowed)] = None
        return ClassSets(classes, tuple(found))

    @property
    def table(self) -> NDArray[np.bool_]:
        """(sets, K): which classes each set allows, in the order of `classes`."""
        return np.array([[item.value in members for item in self.classes] for members in self.members])

    def number(self, allowed: Sequence[int]) -> int:
        """The number of a set."""
        return self.members.index(frozenset(allowed))


@dataclass(frozen=True)
class Legend:
    """One source's label values as numbers of class sets."""

    name: str
    numbers: Mapping[int, int]

    @staticmethod
    def of(sets: ClassSets, source: SourceConfig) -> Legend:
        """With an empty mapping a label value is the class of that value."""
        mapping = source.mapping or {item.value: (item.value,) for item in sets.classes}
        numbers = {value: sets.number(allowed) for value, allowed in mapping.items()}
        return Legend(source.name, numbers | dict.fromkeys(source.ignore, UNKNOWN))

    def apply(self, values: NDArray[np.int64], known: NDArray[np.bool_], file: str) -> NDArray[np.int64]:
        """Label values and where they exist, (h, w) both, to numbers of sets. Raises SettingInvalid for strangers."""
        target = np.full(values.shape, UNKNOWN, np.int64)
        for value in np.unique(values[known]).tolist():
            if value not in self.numbers:
                raise SettingInvalid(
                    f"{file} holds the label {value}, which the mapping of the source {self.name} lacks; "
                    f"it has {', '.join(map(str, sorted(self.numbers)))}.",
                    "Map it to classes in the configuration (--config), or add it to `ignore` there.",
                )
            target[known & (values == value)] = self.numbers[value]
        return target


def erode(target: NDArray[np.int64], distance_px: int) -> NDArray[np.int64]:
    """Forget labels within `distance_px` (in the maximum norm) of another label or of nothing known; the array's own
    border does not count.
    """
    if not distance_px:
        return target
    padded = np.pad(target, distance_px, mode="edge")
    side = 2 * distance_px + 1
    rows = np.lib.stride_tricks.sliding_window_view(padded, side, axis=0)
    lowest, highest = rows.min(axis=-1), rows.max(axis=-1)
    lowest = np.lib.stride_tricks.sliding_window_view(lowest, side, axis=1).min(axis=-1)
    highest = np.lib.stride_tricks.sliding_window_view(highest, side, axis=1).max(axis=-1)
    return np.where(lowest == highest, target, UNKNOWN)

"""Which patches fit and which score: whole places, never single patches.

Neighbouring patches are nearly the same (Roberts et al. 2017, Ecography 40, 913-929): a split by patch would let a
probe look its answers up. Of a single place the folds are blocks of it, and then nothing is said about other places.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import StratifiedGroupKFold

from sardino_core.analysis.probe.samples import Samples
from sardino_core.contract.errors import NoValidData

Ints = NDArray[np.int64]
Split = tuple[Ints, Ints]  # indices that fit, indices that score


@dataclass(frozen=True)
class Folds:
    """Every patch scores exactly once."""

    kind: Literal["place", "block"]
    groups: Ints  # (M,) place or block of each patch, counted from 0
    splits: tuple[Split, ...]

    @property
    def count(self) -> int:
        """How many groups there are."""
        return int(self.groups.max()) + 1


def outer_folds(samples: Samples, limit: int, seed: int) -> Folds:
    """Each place by itself where there are up to `limit`, else `limit` groups of places; blocks of a single place.

    Raises NoValidData when a single place has a single block.
    """
    kind: Literal["place", "block"] = "place" if len(np.unique(samples.place)) > 1 else "block"
    groups = samples.place if kind == "place" else samples.block
    groups = np.unique(groups, return_inverse=True)[1]
    if groups.max() == 0:
        raise NoValidData(
            "All labelled patches lie in one block of one place: nothing is left to score a probe on.",
            "Give another place, or a larger raster.",
        )
    return Folds(kind, groups, tuple(grouped(groups, samples.label, limit, seed)))


def inner_folds(samples: Samples, fit: Ints, groups: Ints, limit: int, seed: int) -> list[Split]:
    """Splits of the patches `fit` of a training fold, as positions within it: by the same groups where it has several.

    Else by the blocks of its only place, and where that has one, into its upper and lower half.
    """
    for parts in (groups[fit], samples.block[fit]):
        own = np.unique(parts, return_inverse=True)[1]
        if own.max() > 0:
            return grouped(own, samples.label[fit], limit, seed)
    halves = np.array_split(np.arange(len(fit)), 2)
    return [(halves[0], halves[1]), (halves[1], halves[0])]


def grouped(groups: Ints, label: Ints, limit: int, seed: int) -> list[Split]:
    """Leave one group out up to `limit` groups, else `limit` sets of groups of about the same class mix."""
    count = int(groups.max()) + 1
    if count <= limit:
        return [_split(groups == index) for index in range(count)]
    splitter = StratifiedGroupKFold(limit, shuffle=True, random_state=seed)
    found: Sequence[Split] = list(splitter.split(np.zeros(len(label)), label, groups))
    return [(fit, score) for fit, score in found if len(fit) and len(score)]


def _split(scores: NDArray[np.bool_]) -> Split:
    return np.flatnonzero(~scores), np.flatnonzero(scores)

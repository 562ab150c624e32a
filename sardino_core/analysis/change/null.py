"""The null distribution: distances between dates without change, pooled over a scene, in memory that does not grow.

Distances are counted in bins of 0.1 % width. A p-value counts its whole bin as at least as far, so that binning never
makes a false alarm.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_LEAST, _MOST = 1e-6, 1e4  # tokens are of the order of 1; what lies beyond falls into the first or last bin
_STEP = 1e-3  # a bin's width, as a part of the distance
_BINS = round(np.log(_MOST / _LEAST) / _STEP) + 2


class NullDistribution:
    """Counts of reference distances."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self._counts = np.zeros(_BINS, np.int64)

    def add(self, distances: NDArray[np.float32]) -> None:
        """Distances of any shape, 0 or more."""
        self._counts += np.bincount(_bins(distances).ravel(), minlength=_BINS)

    @property
    def size(self) -> int:
        """How many distances were counted."""
        return int(self._counts.sum())

    def p_values(self, distances: NDArray[np.float32]) -> NDArray[np.float32]:
        """The chance of a distance at least as large where nothing has changed: (1 + as far) / (1 + all)."""
        as_far = self._counts[::-1].cumsum()[::-1]
        return np.asarray((1 + as_far[_bins(distances)]) / (1 + self.size), np.float32)

    def threshold(self, rate: float) -> float:
        """The smallest distance whose p-value is at most `rate`; infinite where there is none."""
        p_values = (1 + self._counts[::-1].cumsum()[::-1]) / (1 + self.size)
        first = int(np.argmax(p_values <= rate)) if (p_values <= rate).any() else _BINS
        return float(_LEAST * np.exp((first - 1) * _STEP)) if first < _BINS else float("inf")


def _bins(distances: NDArray[np.float32]) -> NDArray[np.int64]:
    with np.errstate(divide="ignore"):
        steps = np.floor(np.log(distances.astype(np.float64) / _LEAST) / _STEP) + 1
    return np.asarray(np.clip(steps, 0, _BINS - 1), np.int64)

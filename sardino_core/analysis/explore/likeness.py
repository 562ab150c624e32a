"""How alike patches are to marked places: the cosine of their points in the steady space (steady.py).

The space is centred on its scene: what all tokens have in common would make the cosine of any two nearly one.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_TINY = 1e-12  # of a squared length: such a point has no direction


class MarkedPoints:
    """The mean point of each of R marked places, summed window by window as the map will blend them."""

    def __init__(self, places: int, width: int) -> None:
        """Nothing seen yet; points have `width` dimensions."""
        self._sums = np.zeros((places, width))
        self.pixels = np.zeros(places)  # marked and with data

    def add(self, points: NDArray[np.float32], marked: NDArray[np.float32]) -> None:
        """Points (n, n, N) of a window, and its marked pixels per patch (R, n, n) times its blending weights."""
        self._sums += np.tensordot(marked, points, axes=2)
        self.pixels += marked.sum(axis=(1, 2))

    def mean(self) -> NDArray[np.float32]:
        """(R, N); every place must have been seen."""
        return np.asarray(self._sums / self.pixels[:, None], np.float32)


def cosines(points: NDArray[np.float32], references: NDArray[np.float32]) -> NDArray[np.float32]:
    """Cosines (R, h, w), -1 to 1, of points (N, h, w) with references (R, N)."""
    wanted = references / np.sqrt(np.maximum((references**2).sum(axis=1, keepdims=True), _TINY))
    length = np.sqrt(np.maximum((points**2).sum(axis=0), _TINY))
    return np.asarray(np.clip(np.tensordot(wanted, points, axes=1) / length, -1, 1), np.float32)

"""How alike tokens are to marked places: the cosine, after what all tokens have in common is taken away.

The tokens of a vision transformer share a large component; with it, the cosine of any two is close to one.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_TINY = 1e-12  # of a squared length: such a token has no direction


class MarkedTokens:
    """The mean token of each of R marked places, summed window by window as the map will blend them."""

    def __init__(self, places: int, width: int) -> None:
        """Nothing seen yet; tokens have `width` dimensions."""
        self._sums = np.zeros((places, width))
        self.pixels = np.zeros(places)  # marked and with data

    def add(self, tokens: NDArray[np.float32], marked: NDArray[np.float32]) -> None:
        """Tokens (n, n, D) of a window, and its marked pixels per patch (R, n, n) times its blending weights."""
        self._sums += np.tensordot(marked, tokens, axes=2)
        self.pixels += marked.sum(axis=(1, 2))

    def mean(self) -> NDArray[np.float64]:
        """(R, D); every place must have been seen."""
        return self._sums / self.pixels[:, None]


def cosines(
    tokens: NDArray[np.float32], common: NDArray[np.float32], references: NDArray[np.float64]
) -> NDArray[np.float32]:
    """Cosines (R, h, w), -1 to 1, of tokens (D, h, w) with references (R, D), both without the `common` token (D,)."""
    wanted = references - common
    wanted /= np.sqrt(np.maximum((wanted**2).sum(axis=1, keepdims=True), _TINY))
    found = tokens - common[:, None, None]
    length = np.sqrt(np.maximum((found**2).sum(axis=0), _TINY))
    return np.asarray(np.clip(np.tensordot(wanted, found, axes=1) / length, -1, 1), np.float32)

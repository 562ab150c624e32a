"""Overlapping predictions to seamless rows: weights that sum to one at every pixel, and one strip of accumulators.

Every pixel is the weighted mean of the windows that cover it. The weights fall off towards a window's edge, where the
network saw the least context, and are normalised by geometry alone: a constant in gives that constant out.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sardino_core.raster.tiles import Axis, Tile, TilePlan


@dataclass(frozen=True)
class Rows:
    """Finished rows of a product, the full width of the raster."""

    row: int  # of the first
    values: NDArray[np.float32]  # (C, rows, width); meaningless where not valid
    valid: NDArray[np.bool_]  # (rows, width)


@dataclass(frozen=True)
class TileValues:
    """What the network said about one window; `values` is None for a window without a single valid pixel."""

    tile: Tile
    values: NDArray[np.float32] | None  # (C, S, S)
    valid: NDArray[np.bool_]  # (S, S)


def taper(window: int) -> NDArray[np.float64]:
    """A raised cosine over `window` samples: positive everywhere, highest in the middle, zero just outside."""
    return np.sin(np.pi * (np.arange(window) + 0.5) / window) ** 2


def axis_weights(axis: Axis, index: int) -> NDArray[np.float32]:
    """Weights (window,) of window `index` along one dimension; over all windows they sum to one at each sample."""
    shape = taper(axis.window)
    start = axis.start(index)
    total = np.zeros(axis.window)
    for other in axis.touching(index):
        shift = axis.start(other) - start
        into = slice(max(0, shift), min(axis.window, axis.window + shift))
        out_of = slice(max(0, -shift), min(axis.window, axis.window - shift))
        total[into] += shape[out_of]
    return (shape / total).astype(np.float32)


def blend(predictions: Iterable[TileValues], plan: TilePlan, channels: int, scale: int) -> Iterator[Rows]:
    """Weighted mean of overlapping windows, as finished rows from top to bottom.

    `predictions` come in the plan's order, with `scale` output pixels per cell. Memory holds one row of windows.
    """
    rows, cols = plan.axes(scale)
    col_weights = [axis_weights(cols, index) for index in range(cols.count)]
    strip = _Strip(rows, cols, channels)
    for prediction in predictions:
        tile = prediction.tile
        if tile.col_index == 0 and tile.row_index > 0:
            yield strip.advance(tile.row_index)
        strip.add(prediction, np.outer(axis_weights(rows, tile.row_index), col_weights[tile.col_index]))
    yield strip.advance(rows.count)


class _Strip:
    """Accumulators for one row of windows; advancing hands out the rows that no later window touches."""

    def __init__(self, rows: Axis, cols: Axis, channels: int) -> None:
        self.rows, self.cols = rows, cols
        self.top = 0
        self.sums = np.zeros((channels, rows.window, cols.padded), np.float32)  # (C, S, W)
        self.valid = np.zeros((rows.window, cols.padded), np.bool_)  # (S, W)

    def add(self, prediction: TileValues, weights: NDArray[np.float32]) -> None:
        left = self.cols.start(prediction.tile.col_index)
        span = slice(left, left + self.cols.window)
        if prediction.values is not None:
            self.sums[:, :, span] += prediction.values * weights
            self.valid[:, span] |= prediction.valid

    def advance(self, row_index: int) -> Rows:
        """Move the strip to the windows of `row_index` (or past the end) and return what is finished."""
        bottom = self.rows.length if row_index == self.rows.count else self.rows.start(row_index)
        done, width = bottom - self.top, self.cols.length
        finished = Rows(self.top, self.sums[:, :done, :width].copy(), self.valid[:done, :width].copy())
        for buffer in (self.sums, self.valid):
            kept = buffer.shape[-2] - done
            buffer[..., :kept, :] = buffer[..., done:, :].copy()
            buffer[..., kept:, :] = 0
        self.top = bottom
        return finished

"""Overlapping windows over a raster: geometry with integers alone, no pixels.

The unit is the cell: the square of pixels that becomes one patch token. Windows start on cell edges, so that tokens of
neighbouring windows coincide and patch-sized products need no resampling.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from sardino_core.raster.grid import PixelWindow, RasterGrid

_GOLDEN = (math.sqrt(5) - 1) / 2


@dataclass(frozen=True)
class Axis:
    """Windows along one dimension, spread evenly: the first starts at 0, the last ends at the padded end."""

    length: int  # what has to be covered
    window: int
    count: int  # of windows
    unit: int = 1  # all starts are multiples of it

    @property
    def padded(self) -> int:
        """Length after padding to whole cells and at least one window."""
        return max(-(-self.length // self.unit) * self.unit, self.window)

    def start(self, index: int) -> int:
        """Where window `index` starts. Steps differ by at most one unit."""
        if self.count == 1:
            return 0
        steps = (self.padded - self.window) // self.unit
        return index * steps // (self.count - 1) * self.unit

    def touching(self, index: int) -> range:
        """The indices of all windows that overlap window `index`, itself included."""
        first = last = index
        while first > 0 and self.start(first - 1) + self.window > self.start(index):
            first -= 1
        while last + 1 < self.count and self.start(last + 1) < self.start(index) + self.window:
            last += 1
        return range(first, last + 1)

    def finer(self, factor: int, length: int) -> Axis:
        """The same windows on a scale `factor` times finer, of which `length` has to be covered."""
        return Axis(length=length, window=self.window * factor, count=self.count, unit=self.unit * factor)


@dataclass(frozen=True)
class Tile:
    """One window: its place in the plan's rows and columns of windows."""

    row_index: int
    col_index: int


@dataclass(frozen=True)
class TilePlan:
    """All windows of a raster, in cells; `cell_px` pixels make a cell."""

    rows: Axis
    cols: Axis
    cell_px: int
    height_px: int
    width_px: int

    @property
    def window_px(self) -> int:
        """Side of a window in the raster's pixels."""
        return self.rows.window * self.cell_px

    @property
    def count(self) -> int:
        """Number of windows."""
        return self.rows.count * self.cols.count

    def tiles(self) -> Iterator[Tile]:
        """All windows, row by row: the order in which they are read, predicted and blended."""
        for row_index in range(self.rows.count):
            for col_index in range(self.cols.count):
                yield Tile(row_index, col_index)

    def scattered(self) -> Iterator[Tile]:
        """All windows once, in an order of which every beginning is spread evenly: multiples of the golden ratio."""
        seen: set[int] = set()
        for turn in range(3 * self.count):  # twice the count reaches every window: the gaps are under 2 / turns
            index = int(turn * _GOLDEN % 1 * self.count)
            if index not in seen:
                seen.add(index)
                yield Tile(*divmod(index, self.cols.count))

    def axes(self, scale: int) -> tuple[Axis, Axis]:
        """Row and column axes with `scale` output pixels per cell: 1 for patches, `cell_px` for pixels."""
        if scale == self.cell_px:
            return self.rows.finer(scale, self.height_px), self.cols.finer(scale, self.width_px)
        return self.rows.finer(scale, self.rows.length * scale), self.cols.finer(scale, self.cols.length * scale)

    def own(self, tile: Tile, scale: int) -> tuple[int, int]:
        """How many rows and columns of output pixels the window shares with the raster; the others are padding."""
        rows, cols = self.axes(scale)
        height, width = rows.length - rows.start(tile.row_index), cols.length - cols.start(tile.col_index)
        return min(rows.window, height), min(cols.window, width)

    def window(self, tile: Tile) -> PixelWindow:
        """The tile's pixels; they may reach over the raster's lower and right edge, where they are padded."""
        row, col = self.rows.start(tile.row_index), self.cols.start(tile.col_index)
        return PixelWindow(row * self.cell_px, col * self.cell_px, self.window_px, self.window_px)


def plan_axis(length: int, window: int, overlap: float) -> Axis:
    """Cover `length` with windows that overlap by at least `overlap` (a fraction of the window)."""
    stride = max(1, math.floor(window * (1 - overlap) + 1e-9))
    count = 1 + max(0, -(-(length - window) // stride))
    return Axis(length=length, window=window, count=count)


def plan_tiles(grid: RasterGrid, cells_per_window: int, cell_px: int, overlap: float) -> TilePlan:
    """Cover `grid` with square windows of cells_per_window * cell_px pixels a side."""
    cells = grid.coarsen(cell_px)
    return TilePlan(
        rows=plan_axis(cells.height, cells_per_window, overlap),
        cols=plan_axis(cells.width, cells_per_window, overlap),
        cell_px=cell_px,
        height_px=grid.height,
        width_px=grid.width,
    )

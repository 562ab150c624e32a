"""A scene as the stream of its windows, read strip by strip: every raster row is read once, whatever the overlap."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sardino_core.raster.grid import PixelWindow
from sardino_core.raster.reading.scene import Scene
from sardino_core.raster.tiles import Tile, TilePlan

# Rows of a strip are read in pieces of at most this many pixels, to keep wide rasters' temporary arrays small.
PIECE_PX = 1 << 22


@dataclass(frozen=True)
class TilePixels:
    """The pixels of one window; beyond the raster's edge they are mirrored."""

    tile: Tile
    backscatter_db: NDArray[np.float32]  # (B, S, S); 0 where not valid
    valid: NDArray[np.bool_]  # (S, S)


def read_tiles(scene: Scene, plan: TilePlan) -> Iterator[TilePixels]:
    """The pixels of every window, in the plan's order; neighbours share memory, so treat the arrays as read-only."""
    strip = _Strip(scene, plan)
    for tile in plan.tiles():
        if tile.col_index == 0:
            strip = strip.moved_to(plan.window(tile).row)
        cols = plan.window(tile).cols
        yield TilePixels(tile, strip.backscatter_db[:, :, cols], strip.valid[:, cols])


def read_tile(scene: Scene, plan: TilePlan, tile: Tile) -> TilePixels:
    """One window by itself, for sampling."""
    return TilePixels(tile, *read_window(scene, plan.window(tile)))


def read_window(scene: Scene, window: PixelWindow) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Backscatter (B, h, w) in dB and validity (h, w) of a window that starts in the scene and may reach out of it."""
    height = min(window.height, scene.grid.height - window.row)
    width = min(window.width, scene.grid.width - window.col)
    db, valid = scene.read(PixelWindow(window.row, window.col, height, width))
    margin = ((0, window.height - height), (0, window.width - width))
    return _mirror(db, ((0, 0), *margin)), _mirror(valid, margin)


def cells_with_data(valid: NDArray[np.bool_], cell_px: int) -> NDArray[np.bool_]:
    """(n * cell, n * cell) pixel validity to (n, n): a cell counts when any pixel of it does."""
    side = valid.shape[0] // cell_px
    return np.asarray(valid.reshape(side, cell_px, side, cell_px).any(axis=(1, 3)))


class _Strip:
    """The rows of one row of windows, the full padded width. A new one for each row: windows in flight keep theirs."""

    def __init__(self, scene: Scene, plan: TilePlan) -> None:
        self.scene, self.plan = scene, plan
        self.top: int | None = None
        self.backscatter_db = np.empty((0, 0, 0), np.float32)  # (B, S, W)
        self.valid = np.empty((0, 0), np.bool_)  # (S, W)

    def moved_to(self, top: int) -> _Strip:
        """The strip whose first row is `top`; what both have in common is not read again."""
        plan, size = self.plan, self.plan.window_px
        start = top if self.top is None else min(self.top + self.valid.shape[0], plan.height_px)
        end = min(top + size, plan.height_px)
        pieces = list(_pieces(start, end, plan.width_px))
        read = [self.scene.read(piece) for piece in pieces]
        db, valid = [item[0] for item in read], [item[1] for item in read]
        if self.top is not None:
            keep = slice(top - self.top, start - self.top)
            db.insert(0, self.backscatter_db[:, keep, : plan.width_px])
            valid.insert(0, self.valid[keep, : plan.width_px])
        moved = _Strip(self.scene, plan)
        margin = ((0, size - (end - top)), (0, plan.cols.padded * plan.cell_px - plan.width_px))
        moved.backscatter_db = _mirror(np.concatenate(db, axis=1), ((0, 0), *margin))
        moved.valid = _mirror(np.concatenate(valid, axis=0), margin)
        moved.top = top
        return moved


def _pieces(start: int, end: int, width: int) -> Iterator[PixelWindow]:
    height = max(1, PIECE_PX // width)
    for row in range(start, end, height):
        yield PixelWindow(row, 0, min(height, end - row), width)


def _mirror(values: NDArray, margin: tuple[tuple[int, int], ...]) -> NDArray:  # type: ignore[type-arg]
    return np.pad(values, margin, mode="symmetric") if any(any(side) for side in margin) else values

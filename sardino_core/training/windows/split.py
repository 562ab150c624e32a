"""Which blocks of a raster train and which validate: geography, never single pixels. Integers alone."""

from __future__ import annotations

import math
import zlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sardino_core.raster.grid import PixelWindow

Box = tuple[int, int, int, int]  # first row, first column, and the ones after the last


@dataclass(frozen=True)
class BlockSplit:
    """A raster cut into blocks, some of them held out for validation."""

    height: int
    width: int
    block_px: int
    held_out: NDArray[np.bool_]  # (block rows, block columns)
    margin_px: int
    origin: tuple[int, int] = (0, 0)  # (row, col) of the raster's first pixel on the blocks, which are another date's
    elsewhere: tuple[Box, ...] = ()  # what other rasters hold out of this ground, in this raster's pixels, with margin

    @staticmethod
    def of(height: int, width: int, name: str, share: float, block_px: int, margin_px: int, seed: int) -> BlockSplit:
        """`share` of the blocks, at least one if it is above 0, drawn by `seed` and the raster's `name`.

        A raster smaller than two blocks is quartered, so that every place is on both sides of the split.
        """
        side = min(block_px, max(1, math.ceil(max(height, width) / 2)))
        rows, cols = math.ceil(height / side), math.ceil(width / side)
        count = min(rows * cols, max(math.ceil(share), round(share * rows * cols)))
        rng = np.random.default_rng([seed, zlib.crc32(name.encode())])
        chosen = rng.permutation(rows * cols)[:count]
        held_out = np.zeros(rows * cols, np.bool_)
        held_out[chosen] = True
        return BlockSplit(height, width, side, held_out.reshape(rows, cols), margin_px)

    def trains(self, window: PixelWindow) -> NDArray[np.bool_]:
        """(h, w): pixels whose labels may train: in no held-out block, nor within the margin of one."""
        trains = ~self._near(window, self.held_out)
        for top, left, bottom, right in self.elsewhere:
            rows = slice(max(0, top - window.row), max(0, bottom - window.row))
            trains[rows, max(0, left - window.col) : max(0, right - window.col)] = False
        return trains

    def validates(self, window: PixelWindow) -> NDArray[np.bool_]:
        """(h, w): pixels whose labels may validate: in a held-out block, beyond the margin of the others."""
        return ~self._near(window, ~self.held_out)

    @property
    def is_drawn(self) -> bool:
        """Whether some blocks are held out and others are not."""
        return bool(self.held_out.any() and not self.held_out.all())

    def boxes(self) -> list[Box]:
        """The held-out blocks in the raster's own pixels; those at the blocks' border reach to the raster's."""
        found = []
        for block_row, block_col in np.argwhere(self.held_out).tolist():
            top, left = block_row * self.block_px - self.origin[0], block_col * self.block_px - self.origin[1]
            bottom, right = top + self.block_px, left + self.block_px
            top, left = min(top, 0) if block_row == 0 else top, min(left, 0) if block_col == 0 else left
            bottom = max(bottom, self.height) if block_row == self.held_out.shape[0] - 1 else bottom
            right = max(right, self.width) if block_col == self.held_out.shape[1] - 1 else right
            found.append((top, left, bottom, right))
        return found

    def _near(self, window: PixelWindow, blocks: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Pixels in one of `blocks` or within the margin (both sides give half of it)."""
        if not blocks.any() or blocks.all():
            return np.full((window.height, window.width), bool(blocks.all()))
        reach = math.ceil(self.margin_px / 2)
        rows = np.arange(window.row, window.row + window.height) + self.origin[0]
        cols = np.arange(window.col, window.col + window.width) + self.origin[1]
        near = np.zeros((window.height, window.width), np.bool_)
        for row_shift in (-reach, 0, reach):
            for col_shift in (-reach, 0, reach):
                row = np.clip((rows + row_shift) // self.block_px, 0, blocks.shape[0] - 1)
                col = np.clip((cols + col_shift) // self.block_px, 0, blocks.shape[1] - 1)
                near |= blocks[np.ix_(row, col)]
        return near

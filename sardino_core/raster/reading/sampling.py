"""A bounded look at a raster of any size: a few native windows spread over it. Overviews would change the speckle."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sardino_core.raster.grid import PixelWindow
from sardino_core.raster.reading.sources import Source

_SIDE = 96  # pixels of a sampled window, at most
_DECODED = 6_000_000  # pixels decoded per band and round, at most, where blocks are whole rows
_ENOUGH = 2000  # valid pixels; with fewer a denser round follows
# What writers put in place of nodata and often do not declare; no backscatter in any unit.
_FILLS = (-999.0, -9999.0, -99999.0, -32767.0, -32768.0)
_FILLS_BELOW = -1e5  # -3.4e38 and the like
_SMALL = 2_000_000  # pixels; a raster up to this size is read whole when the rounds find nothing


@dataclass(frozen=True)
class Samples:
    """Windows (B, h, w) float32 in the file's units, NaN where invalid, exactly 0 or a usual fill."""

    windows: tuple[NDArray[np.float32], ...]
    complete: bool  # the whole raster was read

    def values(self, index: int) -> NDArray[np.float32]:
        """Valid values (N,) of one band."""
        flat = np.concatenate([window[index].ravel() for window in self.windows])
        valid: NDArray[np.float32] = flat[np.isfinite(flat)]
        return valid

    def differences(self, index: int) -> NDArray[np.float32]:
        """Differences (M,) between horizontal neighbours, NaN where one of them is invalid."""
        return np.concatenate([np.diff(window[index], axis=-1).ravel() for window in self.windows])


def sample(source: Source, bands: Sequence[int]) -> Samples:
    """Look at `bands` of a file: 25 windows, more when these hold hardly any data, all of a small raster at last."""
    grid = source.grid
    if grid.width * grid.height <= (5 * _SIDE) ** 2:
        return Samples((_clean(source.read(bands, grid.full)),), True)
    taken: list[NDArray[np.float32]] = []
    for per_side in (5, 12, 24):
        taken += [_clean(source.read(bands, window)) for window in _spread(source, per_side)]
        if sum(int(np.isfinite(window[0]).sum()) for window in taken) >= _ENOUGH:
            return Samples(tuple(taken), False)
    if not any(np.isfinite(window).any() for window in taken) and grid.width * grid.height <= _SMALL:
        return Samples((_clean(source.read(bands, grid.full)),), True)
    return Samples(tuple(taken), False)


def _spread(source: Source, per_side: int) -> list[PixelWindow]:
    """Windows at the centres of per_side x per_side cells; fewer rows where a row of the file is one block."""
    grid, (_, block_cols) = source.grid, source.block
    side = _SIDE if per_side == 5 else 24
    rows = side
    if block_cols >= grid.width > 4096:
        rows = max(4, min(side, _DECODED // (per_side * grid.width)))
    height, width = min(rows, grid.height), min(side, grid.width)
    windows = []
    for i in range(per_side):
        for j in range(per_side):
            row = int((i + 0.5) * grid.height / per_side - height / 2)
            col = int((j + 0.5) * grid.width / per_side - width / 2)
            row, col = min(max(row, 0), grid.height - height), min(max(col, 0), grid.width - width)
            windows.append(PixelWindow(row, col, height, width))
    return windows


def _clean(values: NDArray[np.float32]) -> NDArray[np.float32]:
    empty = ~np.isfinite(values) | (values == 0) | (values < _FILLS_BELOW) | np.isin(values, _FILLS)
    values[empty] = np.nan
    return values

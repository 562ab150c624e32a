"""A scene's linear power on the grid that all dates share.

Resampling averages neighbouring pixels, so it must see power: the mean of dB would be too low by the speckle's spread.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from rasterio.enums import Resampling
from rasterio.warp import reproject

from sardino_core.contract.errors import AreaOutside
from sardino_core.raster.grid import PixelWindow, RasterGrid
from sardino_core.raster.reading.sources import aligned_offset

_MARGIN_PX = 3  # around what a window needs of the scene, for the bilinear kernel


class Backscatter(Protocol):
    """What is read: an opened scene."""

    @property
    def grid(self) -> RasterGrid:
        """Where its pixels are."""

    def read(self, window: PixelWindow) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """dB (B, h, w), and valid (h, w)."""


class PowerOnGrid:
    """Reads a scene as power, directly where its pixels coincide with the grid's, resampled (bilinear) otherwise."""

    def __init__(self, scene: Backscatter, bands: int, grid: RasterGrid) -> None:
        """`bands`: how many the scene has; both grids need a CRS."""
        self._scene, self._bands, self._grid = scene, bands, grid
        self._offset = aligned_offset(scene.grid, grid)

    @property
    def resampled(self) -> bool:
        """True when the scene's pixels are not the grid's."""
        return self._offset is None

    def read(self, window: PixelWindow) -> NDArray[np.float32]:
        """(B, h, w) linear power, NaN where the scene has no data."""
        return self._warped(window) if self._offset is None else self._aligned(window, *self._offset)

    def _aligned(self, window: PixelWindow, row: int, col: int) -> NDArray[np.float32]:
        own = self._scene.grid
        top, left = max(window.row, row), max(window.col, col)
        bottom = min(window.row + window.height, row + own.height)
        right = min(window.col + window.width, col + own.width)
        if bottom - top == window.height and right - left == window.width:
            return self._power(PixelWindow(top - row, left - col, window.height, window.width))
        out = np.full((self._bands, window.height, window.width), np.nan, np.float32)
        if bottom > top and right > left:
            inside = self._power(PixelWindow(top - row, left - col, bottom - top, right - left))
            out[:, top - window.row : bottom - window.row, left - window.col : right - window.col] = inside
        return out

    def _warped(self, window: PixelWindow) -> NDArray[np.float32]:
        out = np.full((self._bands, window.height, window.width), np.nan, np.float32)
        target, own = self._grid.crop(window), self._scene.grid
        needed = self._needed(target)
        if needed is None:
            return out
        ratio = min(1.0, (own.spacing_m or 1.0) / (self._grid.spacing_m or 1.0))
        reproject(
            self._power(needed),
            out,
            src_transform=own.crop(needed).transform,
            src_crs=own.crs,
            src_nodata=np.nan,
            dst_transform=target.transform,
            dst_crs=target.crs,
            dst_nodata=np.nan,
            resampling=Resampling.bilinear,
            tolerance=0.0,  # every pixel's place is exact, so that no window differs from another
            XSCALE=ratio,
            YSCALE=ratio,
        )
        return out

    def _needed(self, target: RasterGrid) -> PixelWindow | None:
        """The window of the scene around a part of the grid; None where they do not meet."""
        own = self._scene.grid
        try:
            found = own.window_of(
                target.bounds_in(own.crs, near=own.bounds) if own.crs != target.crs else target.bounds
            )
        except AreaOutside:
            return None
        margin = _MARGIN_PX * max(1, round((self._grid.spacing_m or 1.0) / (own.spacing_m or 1.0)))
        row, col = max(0, found.row - margin), max(0, found.col - margin)
        bottom = min(own.height, found.row + found.height + margin)
        right = min(own.width, found.col + found.width + margin)
        return PixelWindow(row, col, bottom - row, right - col)

    def _power(self, window: PixelWindow) -> NDArray[np.float32]:
        values, valid = self._scene.read(window)
        values *= np.float32(np.log(10.0) / 10.0)
        np.exp(values, out=values)
        values[:, ~valid] = np.nan
        return values

"""Where pixels are: immutable grids and windows, without touching a pixel.

`(row, col)` lives in PixelWindow, `(x, y)` in Bounds; the two never share a type.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from affine import Affine
from rasterio._err import CPLE_BaseError
from rasterio.crs import CRS
from rasterio.errors import RasterioError
from rasterio.warp import transform_bounds

from sardino_core.contract.errors import AreaOutside

METRES_PER_DEGREE = 111_320.0  # of latitude; one part in 200 over the ellipsoid, ample for judging a spacing


@dataclass(frozen=True)
class PixelWindow:
    """A rectangle of pixels: rows row..row+height-1, columns col..col+width-1."""

    row: int
    col: int
    height: int
    width: int

    @property
    def rows(self) -> slice:
        """The rows, for indexing an array."""
        return slice(self.row, self.row + self.height)

    @property
    def cols(self) -> slice:
        """The columns, for indexing an array."""
        return slice(self.col, self.col + self.width)


@dataclass(frozen=True)
class Bounds:
    """A rectangle in a raster's CRS."""

    xmin: float
    ymin: float
    xmax: float
    ymax: float


@dataclass(frozen=True)
class RasterGrid:
    """Size, geotransform and CRS of a raster; rotated and degree grids included."""

    width: int
    height: int
    transform: Affine
    crs: CRS | None

    @property
    def full(self) -> PixelWindow:
        """All pixels."""
        return PixelWindow(0, 0, self.height, self.width)

    @property
    def bounds(self) -> Bounds:
        """The smallest rectangle, in the CRS, around all four corners."""
        corners = [self.transform @ corner for corner in _corners(self.full)]
        xs, ys = zip(*corners, strict=True)
        return Bounds(min(xs), min(ys), max(xs), max(ys))

    @property
    def spacing_m(self) -> float | None:
        """sqrt(dx * dy) in metres, with degrees taken at the raster's centre latitude; None without a CRS."""
        if self.crs is None:
            return None
        area = abs(self.transform.a * self.transform.e - self.transform.b * self.transform.d)
        if self.crs.is_geographic:
            latitude = (self.bounds.ymin + self.bounds.ymax) / 2
            return math.sqrt(area * math.cos(math.radians(min(abs(latitude), 89.0)))) * METRES_PER_DEGREE
        return math.sqrt(area) * float(self.crs.linear_units_factor[1])

    def crop(self, window: PixelWindow) -> RasterGrid:
        """The grid of a window of this grid."""
        shift = Affine.translation(window.col, window.row)
        return replace(self, width=window.width, height=window.height, transform=self.transform @ shift)

    def coarsen(self, factor: int) -> RasterGrid:
        """The grid of blocks of factor x factor pixels; a last partial block counts whole."""
        return RasterGrid(
            width=-(-self.width // factor),
            height=-(-self.height // factor),
            transform=self.transform @ Affine.scale(factor),
            crs=self.crs,
        )

    def pixel_at(self, x: float, y: float) -> PixelWindow | None:
        """The pixel in which a place of this CRS lies; None outside."""
        col, row = ~self.transform @ (x, y)
        if not (0 <= row < self.height and 0 <= col < self.width):  # true for infinite ones, too
            return None
        return PixelWindow(int(row), int(col), 1, 1)

    def window_of(self, bounds: Bounds) -> PixelWindow:
        """The pixels whose area meets `bounds` (in this CRS). Raises AreaOutside when there are none."""
        inverse = ~self.transform
        cols, rows = zip(*(inverse @ corner for corner in _rectangle(bounds)), strict=True)
        # A bound that lies on a pixel edge up to rounding must not add a row or column.
        col0, row0 = max(0, math.floor(min(cols) + 1e-6)), max(0, math.floor(min(rows) + 1e-6))
        col1, row1 = min(self.width, math.ceil(max(cols) - 1e-6)), min(self.height, math.ceil(max(rows) - 1e-6))
        if col0 >= col1 or row0 >= row1:
            raise AreaOutside(
                f"The area {_text(bounds)} lies outside the raster, which covers {_text(self.bounds)}.",
                "Give the area in the raster's CRS.",
            )
        return PixelWindow(row0, col0, row1 - row0, col1 - col0)

    def matches(self, other: RasterGrid) -> bool:
        """True when both grids hold the same pixels, to a thousandth of a pixel (files differ by rounding)."""
        if (self.width, self.height) != (other.width, other.height) or self.crs != other.crs:
            return False
        relative = ~self.transform @ other.transform
        offsets = [np.subtract(relative @ corner, corner) for corner in _corners(self.full)]
        return bool(np.abs(offsets).max() < 1e-3)

    def bounds_in(self, crs: CRS, *, near: Bounds | None = None) -> Bounds:
        """The bounds in another CRS, beyond 180 degrees where they cross it; the grid must have a CRS of its own.

        Longitudes are moved by whole turns to where they are closest to `near`. Raises AreaOutside where that CRS is
        not defined.
        """
        own = self.bounds
        try:
            xmin, ymin, xmax, ymax = transform_bounds(self.crs, crs, own.xmin, own.ymin, own.xmax, own.ymax)
        except (RasterioError, CPLE_BaseError):
            xmin = ymin = xmax = ymax = math.inf
        if not all(map(math.isfinite, (xmin, ymin, xmax, ymax))):
            raise AreaOutside(f"The area {_text(own)} of {self.crs} cannot be brought into {crs}.", "Check both CRS.")
        if not crs.is_geographic:
            return Bounds(xmin, ymin, xmax, ymax)
        found = Bounds(xmin, ymin, xmax + 360 if xmax < xmin else xmax, ymax)
        turn = _nearest_turn(found, near) if near else 0.0
        return replace(found, xmin=found.xmin + turn, xmax=found.xmax + turn)

    def turned_to(self, other: RasterGrid) -> RasterGrid:
        """This grid moved by whole turns of longitude to where it is closest to `other`; itself in other CRSs."""
        if self.crs is None or self.crs != other.crs or not self.crs.is_geographic:
            return self
        turns = _nearest_turn(self.bounds, other.bounds)
        return replace(self, transform=Affine.translation(turns, 0) @ self.transform) if turns else self


def _nearest_turn(bounds: Bounds, other: Bounds) -> float:
    """The multiple of 360 degrees of longitude that brings `bounds` closest to `other`."""
    return 360.0 * round((other.xmin + other.xmax - bounds.xmin - bounds.xmax) / 720)


def _corners(window: PixelWindow) -> list[tuple[float, float]]:
    left, top = window.col, window.row
    right, bottom = left + window.width, top + window.height
    return [(left, top), (right, top), (left, bottom), (right, bottom)]


def _rectangle(bounds: Bounds) -> list[tuple[float, float]]:
    return [(x, y) for x in (bounds.xmin, bounds.xmax) for y in (bounds.ymin, bounds.ymax)]


def _text(bounds: Bounds) -> str:
    return ",".join(f"{value:.10g}" for value in (bounds.xmin, bounds.ymin, bounds.xmax, bounds.ymax))

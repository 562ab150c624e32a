"""How much ground a pixel covers, row by row: planimetric, but true to the ellipsoid where the projection is not.

Degrees and Mercator shrink with latitude by far more than any accuracy figure can bear; UTM and other national grids
keep areas to a thousandth, and equal-area projections exactly.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from rasterio.crs import CRS
from rasterio.warp import transform

from sardino_core.raster.grid import PixelWindow, RasterGrid

HECTARES, PIXELS = "ha", "pixels"
_LONLAT = CRS.from_epsg(4326)
_EQUATOR_M, _FLATTENING = 6_378_137.0, 1 / 298.257223563  # WGS 84
_E2 = _FLATTENING * (2 - _FLATTENING)


def area_unit(grid: RasterGrid) -> str:
    """`ha`, or `pixels` for a raster without a CRS."""
    return PIXELS if grid.crs is None else HECTARES


def pixel_areas(grid: RasterGrid, window: PixelWindow) -> NDArray[np.float64]:
    """(h,) area of one pixel of each of the window's rows, in hectares; 1 without a CRS.

    Geographic and Mercator rows are measured on the ellipsoid at their middle column.
    """
    if grid.crs is None:
        return np.ones(window.height)
    t = grid.transform
    area = abs(t.a * t.e - t.b * t.d)
    if not (grid.crs.is_geographic or grid.crs.to_dict().get("proj") in ("merc", "webmerc")):
        return np.full(window.height, area * float(grid.crs.linear_units_factor[1]) ** 2 / 1e4)
    x0, y0 = _lonlat(grid, window, 0, 0)
    x1, y1 = _lonlat(grid, window, 1, 0)
    x2, y2 = _lonlat(grid, window, 0, 1)
    square_degrees = np.abs((x1 - x0) * (y2 - y0) - (x2 - x0) * (y1 - y0))
    return np.asarray(square_degrees * _square_degree((y0 + y2) / 2) / 1e4)


def _lonlat(grid: RasterGrid, window: PixelWindow, right: int, down: int) -> tuple[NDArray[Any], NDArray[Any]]:
    """Degrees of the upper left corners of the middle column's pixels, so many pixels to the right and down."""
    rows = np.arange(window.row, window.row + window.height) + down
    t, col = grid.transform, grid.width / 2 + right
    xs, ys = t.c + t.a * col + t.b * rows, t.f + t.d * col + t.e * rows
    if grid.crs is not None and not grid.crs.is_geographic:
        xs, ys = map(np.asarray, transform(grid.crs, _LONLAT, xs, ys))
    return xs, ys


def _square_degree(latitude: NDArray[np.float64]) -> NDArray[np.float64]:
    """Square metres of the ellipsoid per square degree at a latitude, from both radii of curvature.

    J. P. Snyder, "Map Projections: A Working Manual" (1987), equations 4-18 and 4-20.
    """
    phi = np.radians(np.clip(latitude, -90, 90))
    return np.asarray(np.radians(1) ** 2 * _EQUATOR_M**2 * (1 - _E2) * np.cos(phi) / (1 - _E2 * np.sin(phi) ** 2) ** 2)

"""Which rasters show the same ground, or neighbouring ground: places that a split must not tear apart. No pixels."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from rasterio.crs import CRS
from rasterio.warp import transform_bounds

from sardino_core.raster.grid import METRES_PER_DEGREE, RasterGrid

_WGS84 = CRS.from_epsg(4326)


def places_of(grids: Sequence[RasterGrid], apart_m: float) -> NDArray[np.int64]:
    """The number of each raster's place, counted from 0 in the order of their first rasters.

    Rasters are of one place when their bounding boxes overlap or lie at most `apart_m` apart, also by way of others
    (dates of one place; neighbouring tiles, which are alike). Without a CRS nothing is known to be near.
    """
    boxes = np.array([_box(grid) for grid in grids])  # (R, 4) degrees: west, south, east, north
    place = np.arange(len(grids))
    for index in range(len(grids)):
        gap = np.maximum(boxes[:, :2] - boxes[index, 2:], boxes[index, :2] - boxes[:, 2:])  # (R, 2) degrees
        scale = np.cos(np.radians(np.minimum(np.abs(boxes[:, [1, 3]]).min(axis=1), 89.0)))
        gap = np.maximum(gap, 0) * METRES_PER_DEGREE * np.stack([scale, np.ones_like(scale)], axis=1)
        near = np.hypot(*gap.T) <= apart_m if np.isfinite(boxes[index, 0]) else place == index
        joined = np.unique(place[near])
        place[np.isin(place, joined)] = joined.min()
    first, inverse = np.unique(place, return_inverse=True)
    return np.arange(len(first))[inverse]


def _box(grid: RasterGrid) -> tuple[float, float, float, float]:
    if grid.crs is None:
        return (np.nan,) * 4
    bounds = grid.bounds
    west, south, east, north = transform_bounds(
        grid.crs, _WGS84, bounds.xmin, bounds.ymin, bounds.xmax, bounds.ymax, densify_pts=3
    )
    return west, south, east, north

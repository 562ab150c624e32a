"""Points of a vector file, and in a raster's CRS. What they stand for is not known here."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rasterio._err import CPLE_BaseError
from rasterio.crs import CRS
from rasterio.errors import RasterioError
from rasterio.warp import transform

from sardino_core.contract.errors import AreaOutside, SettingInvalid
from sardino_core.raster.grid import RasterGrid
from sardino_core.raster.reading.vector_file import EXPORT_AGAIN, VectorFile

Points = NDArray[np.float64]  # (n, 2), x and y
_FARTHEST = 1e12  # no coordinate is beyond, and NaN is not below it either


def is_position(xy: Any) -> bool:
    """Whether it is a GeoJSON position: two numbers or more, none of them out of this world."""
    numbers = isinstance(xy, list) and len(xy) >= 2 and all(type(value) in (int, float) for value in xy[:2])
    return numbers and all(abs(value) < _FARTHEST for value in xy[:2])


def points_in(geometry: Mapping[str, Any], where: str) -> Points:
    """The points of any GeoJSON geometry, those in collections too. Raises SettingInvalid for a broken one."""
    found = []
    for xy in _positions(geometry):
        if not is_position(xy):
            raise SettingInvalid(f"{where} has a malformed point: {str(xy)[:40]}.", EXPORT_AGAIN)
        found.append(xy[:2])
    return np.array(found, np.float64).reshape(-1, 2)


def brought_onto(points: Points, crs: CRS | None, file: VectorFile, grid: RasterGrid) -> Points:
    """Points of a file, which are in `crs`, in the grid's; infinite where it is not defined. Raises AreaOutside."""
    if not len(points) or crs is None or grid.crs is None or crs == grid.crs:
        return points
    try:
        return np.column_stack(transform(crs, grid.crs, points[:, 0], points[:, 1]))
    except (RasterioError, CPLE_BaseError) as error:
        raise AreaOutside(
            f"The {file} in {crs} cannot be brought into the raster's CRS {grid.crs}.", "Check both CRS."
        ) from error


def _positions(geometry: Mapping[str, Any]) -> Iterator[Any]:
    kind, coordinates = geometry.get("type"), geometry.get("coordinates")
    if kind == "GeometryCollection":
        parts = geometry.get("geometries")
        for part in parts if isinstance(parts, list) else []:
            if isinstance(part, Mapping):
                yield from _positions(part)
    elif kind == "Point":
        yield coordinates
    elif kind == "MultiPoint":
        yield from coordinates if isinstance(coordinates, list) else [coordinates]

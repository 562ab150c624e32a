"""Marked places: points and polygons of a vector file as areas of a raster, by name. A point is its pixel."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio._err import CPLE_BaseError
from rasterio.crs import CRS
from rasterio.errors import RasterioError
from rasterio.warp import transform

from sardino_core.contract.errors import AreaOutside, SettingInvalid
from sardino_core.raster.grid import RasterGrid
from sardino_core.raster.reading.polygons import Polygon, Polygons, on_grid
from sardino_core.raster.reading.vector_file import EXPORT_AGAIN, crs_of, read_vector

_FARTHEST = 1e12  # no coordinate is beyond, and NaN is not below it either
_MOST_NAMES = 100  # each is a band
_POINTS, _POLYGONS = ("Point", "MultiPoint"), ("Polygon", "MultiPolygon")


def read_marks(path: str, grid: RasterGrid, name_field: str | None) -> tuple[dict[str, Polygons], str, str]:
    """The marked areas on `grid` by name; a note where they come from another CRS, and a warning where some of them lie
    outside (else empty).

    Named by the values of `name_field`, in the order of appearance; features without one are left out. Without a field
    all are one area, `all references`. Raises InputMissing, SettingInvalid, AreaOutside or DependencyMissing.
    """
    document = read_vector(path, "references", attributes=name_field is not None)
    groups = {"all references": document} if name_field is None else _by_name(document, path, name_field)
    with rasterio.Env():  # without one, GDAL prints its messages on stderr
        areas = {name: _areas(part, grid, path) for name, part in groups.items()}
    marks = {name: Polygons(rings, grid) for name, (rings, _) in areas.items()}
    return marks, _note(areas, path, grid), _warning([rings for part, _ in areas.values() for rings in part], grid)


def _by_name(document: Mapping[str, Any], path: str, field: str) -> dict[str, dict[str, Any]]:
    """A document for each value of the field."""
    groups: dict[str, list[Any]] = {}
    fields: dict[str, None] = {}
    features = document.get("features")
    for feature in features if isinstance(features, list) else []:
        properties = feature.get("properties") if isinstance(feature, Mapping) else None
        if isinstance(properties, Mapping):
            fields.update(dict.fromkeys(properties))
            name = "" if properties.get(field) is None else " ".join(str(properties[field]).split())
            groups.setdefault(name, []).append(feature)
    groups.pop("", None)
    if not groups:
        known = f"its fields are {', '.join(fields)}" if fields else "it has no fields"
        raise SettingInvalid(
            f"The references {path} have no value in the field {field!r}; {known}.",
            "Name one with --name-field, or leave it out for one band.",
        )
    if len(groups) > _MOST_NAMES:
        raise SettingInvalid(
            f"The references {path} have {len(groups)} names in the field {field!r}; allowed are {_MOST_NAMES}, each "
            f"being a band.",
            "Name a field with fewer values with --name-field, or leave it out for one band.",
        )
    return {name: {**document, "features": features} for name, features in groups.items()}


def _areas(document: Mapping[str, Any], grid: RasterGrid, path: str) -> tuple[list[Polygon], CRS | None]:
    """Rings in the grid's CRS, and the CRS that they come from."""
    points = np.array(list(_points_in(document, path)), np.float64).reshape(-1, 2)
    polygons = on_grid(document, grid, path, "references") if _holds(document, _POLYGONS) else []
    if not len(points) and not polygons:
        raise AreaOutside(f"The references {path} hold no point and no polygon.", "Mark places, and save them again.")
    around = np.abs([*points.tolist(), *(xy for rings in polygons for xy in rings[0].tolist())]).max(axis=0)
    crs = crs_of(document, (float(around[0]), float(around[1])), grid, path, "references")
    if len(points) and crs is not None and grid.crs is not None and crs != grid.crs:
        try:
            points = np.column_stack(transform(crs, grid.crs, points[:, 0], points[:, 1]))
        except (RasterioError, CPLE_BaseError) as error:
            raise AreaOutside(
                f"The references {path} in {crs} cannot be brought into the raster's CRS {grid.crs}.", "Check both CRS."
            ) from error
    return [*polygons, *([_pixel(x, y, grid)] for x, y in points[np.isfinite(points).all(axis=1)].tolist())], crs


def _pixel(x: float, y: float, grid: RasterGrid) -> Any:
    """The square of the pixel around a point."""
    col, row = map(math.floor, ~grid.transform @ (x, y))
    corners = [(col, row), (col + 1, row), (col + 1, row + 1), (col, row + 1), (col, row)]
    return np.array([grid.transform @ corner for corner in corners])


def _geometries(document: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    pending: list[Any] = [document]
    while pending:
        item = pending.pop()
        if isinstance(item, Mapping):
            for key in ("features", "geometries"):
                parts = item.get(key)
                pending += reversed(parts) if isinstance(parts, list) else []
            if isinstance(item.get("geometry"), Mapping):
                pending.append(item["geometry"])
            if item.get("type") in (*_POINTS, *_POLYGONS):
                yield item


def _holds(document: Mapping[str, Any], kinds: tuple[str, ...]) -> bool:
    return any(item["type"] in kinds for item in _geometries(document))


def _points_in(document: Mapping[str, Any], path: str) -> Iterator[tuple[float, float]]:
    for item in _geometries(document):
        if item["type"] in _POINTS:
            found: Any = item.get("coordinates")
            pairs: list[Any] = [found] if item["type"] == "Point" or not isinstance(found, list) else found
            for xy in pairs:
                if not _is_pair(xy):
                    raise SettingInvalid(f"The references {path} have a malformed point: {str(xy)[:40]}.", EXPORT_AGAIN)
                yield float(xy[0]), float(xy[1])


def _is_pair(xy: Any) -> bool:
    numbers = isinstance(xy, list) and len(xy) >= 2 and all(type(value) in (int, float) for value in xy[:2])
    return numbers and all(abs(value) < _FARTHEST for value in xy[:2])


def _note(areas: Mapping[str, tuple[list[Polygon], CRS | None]], path: str, grid: RasterGrid) -> str:
    foreign = next((crs for _, crs in areas.values() if crs is not None and crs != grid.crs), None)
    return f"The references {path} are in {foreign} and are brought into {grid.crs}." if foreign and grid.crs else ""


def _warning(places: Sequence[Polygon], grid: RasterGrid) -> str:
    outside = sum(not _meets(rings[0], grid) for rings in places)
    return f"{outside} of the {len(places)} marked places lie outside the raster and are left out." if outside else ""


def _meets(ring: NDArray[np.float64], grid: RasterGrid) -> bool:
    """Whether the box around a ring (N, 2), in pixels, has a part in common with the grid."""
    to_pixels = ~grid.transform
    cols, rows = np.transpose([to_pixels @ (x, y) for x, y in ring.tolist()])
    return bool(cols.max() > 0 and rows.max() > 0 and cols.min() < grid.width and rows.min() < grid.height)

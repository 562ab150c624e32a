"""Polygons from a file, in a raster's coordinates, burned window by window. GeoJSON needs nothing else installed."""

from __future__ import annotations

import io
import json
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from affine import Affine
from numpy.typing import NDArray
from rasterio.crs import CRS
from rasterio.errors import CRSError
from rasterio.features import rasterize
from rasterio.warp import transform_geom

from sardino_core.contract.errors import AreaOutside, DependencyMissing, InputMissing, SettingInvalid
from sardino_core.raster.grid import Bounds, PixelWindow, RasterGrid

_LONLAT = CRS.from_epsg(4326)
_EXPORT_AGAIN = "Export the polygons again as GeoJSON."


class Polygons:
    """Polygons on a grid."""

    def __init__(self, shapes: list[dict[str, Any]], grid: RasterGrid) -> None:
        """`shapes` are GeoJSON Polygon or MultiPolygon objects in the grid's CRS."""
        self._shapes = shapes
        self._grid = grid
        self._boxes = np.array([_pixel_box(shape, ~grid.transform) for shape in shapes])  # row0, col0, row1, col1

    @property
    def window(self) -> PixelWindow | None:
        """The smallest window of the grid around all polygons; None when they lie outside."""
        row0, col0 = np.maximum(np.floor(self._boxes[:, :2].min(axis=0)), 0).astype(int)
        row1, col1 = np.ceil(self._boxes[:, 2:].max(axis=0)).astype(int)
        row1, col1 = min(row1, self._grid.height), min(col1, self._grid.width)
        if row0 >= row1 or col0 >= col1:
            return None
        return PixelWindow(int(row0), int(col0), int(row1 - row0), int(col1 - col0))

    def covers(self, window: PixelWindow) -> NDArray[np.bool_]:
        """(h, w): True where the pixel's centre lies in a polygon."""
        end = window.row + window.height, window.col + window.width
        near = (self._boxes[:, :2] < end).all(axis=1) & (self._boxes[:, 2:] > (window.row, window.col)).all(axis=1)
        shapes = [self._shapes[index] for index in np.flatnonzero(near)]
        if not shapes:
            return np.zeros((window.height, window.width), bool)
        burned = rasterize(
            shapes,
            out_shape=(window.height, window.width),
            transform=self._grid.crop(window).transform,
            all_touched=False,
            dtype="uint8",
        )
        inside: NDArray[np.bool_] = burned.astype(bool)
        return inside


def read_polygons(path: str, grid: RasterGrid, role: str) -> Polygons:
    """Polygons of a vector file on `grid`; `role` names the option in messages.

    GeoJSON is read as is; other formats need pyogrio. Raises InputMissing, SettingInvalid, AreaOutside (no polygon)
    or DependencyMissing.
    """
    if not Path(path).exists():
        raise InputMissing(f"The {role} {path} does not exist.", "Check the path.")
    document = _read_geojson(path, role)
    shapes = [shape for shape in _polygons_in(document) if _well_formed(shape)]
    if not shapes:
        raise AreaOutside(f"The {role} {path} holds no polygon.", "Give polygons, in GeoJSON or another vector format.")
    crs = _crs_of(document, shapes, grid, path, role)
    if grid.crs is not None and crs is not None and crs != grid.crs:
        shapes = [transform_geom(crs, grid.crs, shape) for shape in shapes]
        if not all(math.isfinite(value) for shape in shapes for value in _flat(shape["coordinates"])):
            raise AreaOutside(f"The {role} {path} cannot be brought into the raster's CRS.", "Check the polygons' CRS.")
    return Polygons(shapes, grid)


def outside(role: str, path: str, grid: RasterGrid) -> AreaOutside:
    """The error for an area that does not meet the raster."""
    bounds: Bounds = grid.bounds
    covered = f"{bounds.xmin:.10g},{bounds.ymin:.10g},{bounds.xmax:.10g},{bounds.ymax:.10g}"
    return AreaOutside(
        f"The {role} {path} lies outside the raster, which covers {covered} in {grid.crs or 'no CRS'}.",
        "Check the CRS of both.",
    )


def _read_geojson(path: str, role: str) -> dict[str, Any]:
    if Path(path).suffix.lower() not in (".geojson", ".json"):
        return _read_with_pyogrio(path, role)
    try:
        document = json.loads(Path(path).read_text(encoding="utf-8-sig"))
    except (ValueError, OSError, RecursionError) as error:
        raise SettingInvalid(f"The {role} {path} is no valid GeoJSON ({error}).", _EXPORT_AGAIN) from error
    if not isinstance(document, dict) or "type" not in document:
        raise SettingInvalid(f"The {role} {path} is JSON, but no GeoJSON: it has no `type`.", _EXPORT_AGAIN)
    return document


def _read_with_pyogrio(path: str, role: str) -> dict[str, Any]:
    try:
        from pyogrio import raw  # type: ignore[import-not-found,import-untyped,unused-ignore]
    except ImportError:
        raise DependencyMissing(
            f"The {role} {path} is no GeoJSON; other vector formats need pyogrio.",
            "Convert it to GeoJSON, or install sardino[vector].",
        ) from None
    try:
        meta, _, geometry, _ = raw.read(path, columns=[])
        buffer = io.BytesIO()
        raw.write(buffer, geometry, [], [], driver="GeoJSON", geometry_type="Unknown", crs=meta["crs"])
    except Exception as error:  # pyogrio's own classes are not importable without it
        raise SettingInvalid(
            f"The {role} {path} cannot be read ({error}).", "Give a vector file with polygons."
        ) from error
    document: dict[str, Any] = json.loads(buffer.getvalue())
    document["crs"] = {"type": "name", "properties": {"name": meta["crs"]}} if meta["crs"] else None
    return document


def _polygons_in(item: Any) -> Iterator[dict[str, Any]]:
    """Polygon and MultiPolygon objects in any GeoJSON object."""
    if not isinstance(item, Mapping):
        return
    kind = item.get("type")
    if kind in ("Polygon", "MultiPolygon"):
        yield {"type": kind, "coordinates": item.get("coordinates")}
    elif kind == "Feature":
        yield from _polygons_in(item.get("geometry"))
    elif kind in ("FeatureCollection", "GeometryCollection"):
        for part in item.get("features" if kind == "FeatureCollection" else "geometries") or []:
            yield from _polygons_in(part)


def _well_formed(shape: dict[str, Any]) -> bool:
    try:
        parts = shape["coordinates"] if shape["type"] == "MultiPolygon" else [shape["coordinates"]]
        rings = [[(float(point[0]), float(point[1])) for point in ring] for part in parts for ring in part]
    except (TypeError, ValueError, IndexError, KeyError):
        return False
    return bool(rings) and all(len(ring) >= 4 and all(map(math.isfinite, sum(ring, ()))) for ring in rings)


def _crs_of(
    document: dict[str, Any], shapes: list[dict[str, Any]], grid: RasterGrid, path: str, role: str
) -> CRS | None:
    """The `crs` member; without it lon/lat, as RFC 7946 says, unless the coordinates are too large for that."""
    member = document.get("crs")
    if isinstance(member, Mapping):
        name = str((member.get("properties") or {}).get("name", ""))
        try:
            return _LONLAT if name.upper().endswith("CRS84") else CRS.from_user_input(name)
        except CRSError as error:
            raise SettingInvalid(
                f"The {role} {path} has the unknown CRS {name!r}.", "Export it in EPSG:4326."
            ) from error
    if grid.crs is None:
        return None
    boxes = np.array([_pixel_box(shape, Affine.identity()) for shape in shapes])
    lonlat = np.abs(boxes[:, [1, 3]]).max() <= 360 and np.abs(boxes[:, [0, 2]]).max() <= 90
    return _LONLAT if lonlat else grid.crs


def _pixel_box(shape: dict[str, Any], to_pixels: Affine) -> tuple[float, float, float, float]:
    """(row0, col0, row1, col1) around a shape."""
    points = list(_points(shape["coordinates"]))
    cols, rows = zip(*(to_pixels @ point for point in points), strict=True)
    return min(rows), min(cols), max(rows), max(cols)


def _points(coordinates: Any) -> Iterator[tuple[float, float]]:
    if coordinates and isinstance(coordinates[0], (int, float)):
        yield float(coordinates[0]), float(coordinates[1])
        return
    for part in coordinates:
        yield from _points(part)


def _flat(coordinates: Any) -> Iterator[float]:
    for x, y in _points(coordinates):
        yield x
        yield y

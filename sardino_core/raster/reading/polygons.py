"""Polygons from a file, in a raster's coordinates, burned window by window. GeoJSON needs nothing else installed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import count
from typing import Any

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio._err import CPLE_BaseError
from rasterio.crs import CRS
from rasterio.errors import RasterioError
from rasterio.features import rasterize
from rasterio.warp import transform

from sardino_core.contract.errors import AreaOutside, SettingInvalid
from sardino_core.raster.grid import Bounds, PixelWindow, RasterGrid
from sardino_core.raster.reading.rings import Ring, clip, has_area, split
from sardino_core.raster.reading.vector_file import EXPORT_AGAIN, VectorFile, read_vector

Polygon = list[Ring]  # the outer ring, then the holes

_WITHOUT_AREA = ("Point", "MultiPoint", "LineString", "MultiLineString")
_MARGIN = 0.05  # of the raster's longer side: what is further away is cut off before it is transformed
_PIECES = 1000  # per longer side: a straight edge of 250 km then bends to within a centimetre


class Polygons:
    """Polygons on a grid."""

    def __init__(self, polygons: Sequence[Polygon], grid: RasterGrid) -> None:
        """`polygons` are in the grid's CRS; there may be none."""
        self._shapes = [{"type": "Polygon", "coordinates": [_closed(ring) for ring in rings]} for rings in polygons]
        self._grid = grid
        boxes = [_pixel_box(rings[0], grid) for rings in polygons]
        self._boxes = np.array(boxes).reshape(-1, 4)  # row0, col0, row1, col1

    @property
    def window(self) -> PixelWindow | None:
        """The smallest window of the grid around all polygons; None when they lie outside."""
        if not self._shapes:
            return None
        size = self._grid.height, self._grid.width
        row0, col0 = np.clip(np.floor(self._boxes[:, :2].min(axis=0)), 0, size).astype(int)
        row1, col1 = np.clip(np.ceil(self._boxes[:, 2:].max(axis=0)), 0, size).astype(int)
        if row0 >= row1 or col0 >= col1:
            return None
        return PixelWindow(int(row0), int(col0), int(row1 - row0), int(col1 - col0))

    def covers(self, window: PixelWindow) -> NDArray[np.bool_]:
        """(h, w): True where the pixel's centre lies in a polygon."""
        return self._burned([(self._shapes[index], 1) for index in self._near(window)], window, "uint8").astype(bool)

    def last_at(self, window: PixelWindow) -> NDArray[np.int32]:
        """(h, w): the number of the polygon in which the pixel's centre lies, the last of several; -1 in none."""
        shapes = [(self._shapes[index], index + 1) for index in self._near(window)]
        return self._burned(shapes, window, "int32") - 1

    def _near(self, window: PixelWindow) -> list[int]:
        end = window.row + window.height, window.col + window.width
        near = (self._boxes[:, :2] < end).all(axis=1) & (self._boxes[:, 2:] > (window.row, window.col)).all(axis=1)
        return np.flatnonzero(near).tolist()

    def _burned(self, shapes: Sequence[tuple[Any, int]], window: PixelWindow, dtype: str) -> NDArray[Any]:
        if not shapes:
            return np.zeros((window.height, window.width), dtype)
        burned: NDArray[Any] = rasterize(
            shapes,
            out_shape=(window.height, window.width),
            transform=self._grid.crop(window).transform,
            all_touched=False,
            dtype=dtype,
        )
        return burned


def read_polygons(path: str, grid: RasterGrid, role: str) -> Polygons:
    """Polygons of a vector file on `grid`; `role` names the option in messages.

    Their edges are straight in their own CRS. GeoJSON is read as is; other formats need pyogrio. Raises InputMissing,
    SettingInvalid, AreaOutside (no polygon) or DependencyMissing.
    """
    with rasterio.Env():  # without one, GDAL prints its messages on stderr
        return Polygons(on_grid(read_vector(path, role), grid), grid)


def on_grid(file: VectorFile, grid: RasterGrid) -> list[Polygon]:
    """All polygons of a file in the grid's CRS. Raises SettingInvalid, or AreaOutside without polygons."""
    polygons = list(polygons_in(file.document, f"The {file}"))
    if not polygons:
        raise AreaOutside(f"The {file} holds no polygon.", "Give polygons, in GeoJSON or another vector format.")
    largest = np.max([np.abs(rings[0]).max(axis=0) for rings in polygons], axis=0)
    return brought_onto(polygons, file.crs(largest, grid), file, grid)


def brought_onto(polygons: Sequence[Polygon], crs: CRS | None, file: VectorFile, grid: RasterGrid) -> list[Polygon]:
    """Polygons of a file, which are in `crs`, in the grid's. Raises AreaOutside where one is not defined."""
    if not polygons or grid.crs is None or crs is None or (crs == grid.crs and not crs.is_geographic):
        return list(polygons)
    try:
        return _brought_onto(polygons, crs, grid)
    except (AreaOutside, RasterioError, CPLE_BaseError) as error:
        raise AreaOutside(
            f"The {file} in {crs} cannot be brought into the raster's CRS {grid.crs}.",
            "Check the CRS of both, or export the polygons in the raster's CRS.",
        ) from error


def outside(role: str, path: str, grid: RasterGrid) -> AreaOutside:
    """The error for an area that does not meet the raster."""
    bounds: Bounds = grid.bounds
    covered = f"{bounds.xmin:.10g},{bounds.ymin:.10g},{bounds.xmax:.10g},{bounds.ymax:.10g}"
    return AreaOutside(
        f"The {role} {path} lies outside the raster, which covers {covered} in {grid.crs or 'no CRS'}.",
        "Check the CRS of both.",
    )


def polygons_in(document: Mapping[str, Any], where: str, numbers: Iterator[int] | None = None) -> Iterator[Polygon]:
    """The polygons of any GeoJSON object, parts of MultiPolygons one by one. Raises SettingInvalid for a broken one.

    `where` names the file in messages, `numbers` counts its polygons from object to object.
    """
    pending: list[Any] = [document]
    numbers = numbers or count(1)
    while pending:
        item = pending.pop()
        kind = item.get("type") if isinstance(item, Mapping) else None
        if kind in ("FeatureCollection", "GeometryCollection"):
            parts = item.get("features" if kind == "FeatureCollection" else "geometries")
            if not isinstance(parts, list):
                raise SettingInvalid(f"{where} is no valid GeoJSON: a {kind} without its list.", EXPORT_AGAIN)
            pending += reversed(parts)
        elif kind == "Feature":
            pending += [item["geometry"]] if item.get("geometry") is not None else []
        elif kind in ("Polygon", "MultiPolygon"):
            number = next(numbers)
            coordinates = item.get("coordinates")
            parts = [coordinates] if kind == "Polygon" else coordinates
            if not isinstance(parts, list) or not all(isinstance(part, list) for part in parts):
                raise _malformed(where, number)
            for part in filter(None, parts):
                rings = [_ring(points) for points in part]
                if any(ring is None for ring in rings):
                    raise _malformed(where, number)
                yield [ring for ring in rings if ring is not None]
        elif kind not in _WITHOUT_AREA:
            raise SettingInvalid(f"{where} is no valid GeoJSON: it holds {str(item)[:60]}.", EXPORT_AGAIN)


def _malformed(where: str, number: int) -> SettingInvalid:
    return SettingInvalid(
        f"{where} has a malformed polygon (number {number}): a ring needs at least four points [x, y] of numbers.",
        "Repair or remove it, and export the polygons again.",
    )


def _ring(points: Any) -> Ring | None:
    if not isinstance(points, list) or len(points) < 4:
        return None
    for point in points:
        if not isinstance(point, list) or len(point) < 2 or not all(type(value) in (int, float) for value in point[:2]):
            return None
    try:
        ring: Ring = np.array([point[:2] for point in points], np.float64)
    except OverflowError:
        return None
    return ring if np.isfinite(ring).all() else None


def _brought_onto(polygons: Sequence[Polygon], crs: CRS, grid: RasterGrid) -> list[Polygon]:
    """What lies near the grid, in its CRS, with edges split so that they bend as the map does."""
    reach, step = _reach(grid, crs)
    turns = (-360.0, 0.0, 360.0) if crs.is_geographic else (0.0,)  # 190 degrees east is 170 west
    found = []
    for rings in polygons:
        for turn in turns:
            near = [part for ring in rings if has_area(part := clip(ring + np.array([turn, 0.0]), reach))]
            if near and crs != grid.crs:
                near = [_transformed(split(ring, step), crs, grid) for ring in near]
            found += [near] if near else []
    return found


def _reach(grid: RasterGrid, crs: CRS) -> tuple[Bounds, float]:
    """A rectangle in `crs` that holds the grid with a margin, and the length to which edges are split."""
    around = grid.bounds if crs == grid.crs else grid.bounds_in(crs)
    width, height = around.xmax - around.xmin, around.ymax - around.ymin
    _require_defined(grid, crs)
    margin = _MARGIN * max(width, height)
    if not crs.is_geographic:
        box = Bounds(around.xmin - margin, around.ymin - margin, around.xmax + margin, around.ymax + margin)
    else:
        aside = min(margin, max(0.0, (360 - width) / 2))  # once around the world is enough
        south, north = max(around.ymin - margin, -90.0), min(around.ymax + margin, 90.0)
        box = Bounds(around.xmin - aside, south, around.xmax + aside, north)
    return box, max(width, height) / _PIECES


def _require_defined(grid: RasterGrid, crs: CRS) -> None:
    """Raise AreaOutside unless points all over the grid come back from `crs` to where they were, to a pixel."""
    here = np.array([grid.transform @ (grid.width * i / 8, grid.height * j / 8) for i in range(9) for j in range(9)])
    there = np.column_stack(transform(grid.crs, crs, here[:, 0], here[:, 1]))
    pixel = max(map(abs, (grid.transform.a, grid.transform.b, grid.transform.d, grid.transform.e)))
    if not np.abs(_transformed(there, crs, grid) - here).max() < pixel:
        raise AreaOutside(f"{crs} is not defined all over the raster.")


def _transformed(ring: Ring, crs: CRS, grid: RasterGrid) -> Ring:
    """A ring in the grid's CRS, on its side of the date line. Raises AreaOutside where there is no such place."""
    moved: Ring = np.column_stack(transform(crs, grid.crs, ring[:, 0], ring[:, 1]))
    if not np.isfinite(moved).all():
        raise AreaOutside(f"{crs} reaches beyond {grid.crs}.")
    if grid.crs is not None and grid.crs.is_geographic:
        centre = (grid.bounds.xmin + grid.bounds.xmax) / 2
        moved[:, 0] += 360 * np.round((centre - moved[:, 0]) / 360)
    return moved


def _pixel_box(ring: Ring, grid: RasterGrid) -> tuple[float, float, float, float]:
    """(row0, col0, row1, col1) around a ring."""
    cols, rows = ~grid.transform @ (ring[:, 0], ring[:, 1])
    return float(rows.min()), float(cols.min()), float(rows.max()), float(cols.max())


def _closed(ring: Ring) -> list[tuple[float, float]]:
    points = [(float(x), float(y)) for x, y in ring]
    return points if points[0] == points[-1] else [*points, points[0]]

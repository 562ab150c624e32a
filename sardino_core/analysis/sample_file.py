"""The points of a stratified sample as GeoJSON: what the interpreter sees, and the design that the estimates need.

Field names have at most ten letters, so that they survive a shapefile.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import rasterio
from rasterio._err import CPLE_BaseError
from rasterio.errors import RasterioError
from rasterio.warp import transform

from sardino_core.contract.errors import AreaOutside, SettingInvalid
from sardino_core.raster.grid import RasterGrid
from sardino_core.raster.reading.vector_file import EXPORT_AGAIN, crs_of

REFERENCE = "reference"  # the field that the interpreter fills in
_FARTHEST = 1e12  # no coordinate is beyond, and NaN is not below it either
STRATUM_PIXELS, STRATUM_POINTS, WEIGHT, MAP_VALUE, MAP_CLASS = "pixels", "drawn", "weight", "map_value", "map_class"


@dataclass(frozen=True)
class SamplePoint:
    """A drawn pixel: where it is, and the design of its stratum."""

    row: int
    col: int
    value: int  # the map's class
    name: str
    weight: float  # the stratum's share of the mapped area
    pixels: int  # N_h, of the stratum
    drawn: int  # n_h, points of the stratum


@dataclass(frozen=True)
class LabelledPoint:
    """A point as it comes back: the map's pixel, the reference as text (empty: not labelled), and the design."""

    row: int
    col: int
    reference: str
    map_value: int | None  # None where it was hidden from the interpreter
    pixels: int | None
    drawn: int | None


def points_document(points: Sequence[SamplePoint], grid: RasterGrid, *, blind: bool) -> str:
    """GeoJSON in the raster's CRS (`crs` member), one point per pixel centre; `blind` leaves the map's class out."""
    features = []
    for number, point in enumerate(points, start=1):
        x, y = grid.transform @ (point.col + 0.5, point.row + 0.5)
        seen = {} if blind else {MAP_VALUE: point.value, MAP_CLASS: point.name}
        properties = {
            "id": number,
            REFERENCE: None,
            **seen,
            WEIGHT: round(point.weight, 9),
            STRATUM_PIXELS: point.pixels,
            STRATUM_POINTS: point.drawn,
        }
        geometry = {"type": "Point", "coordinates": [x, y]}
        features.append({"type": "Feature", "properties": properties, "geometry": geometry})
    document: dict[str, Any] = {"type": "FeatureCollection", "name": "sample points"}
    if grid.crs is not None:
        authority = grid.crs.to_authority()
        name = f"urn:ogc:def:crs:{authority[0]}::{authority[1]}" if authority else grid.crs.to_wkt()
        document["crs"] = {"type": "name", "properties": {"name": name}}
    lines = ",\n".join(json.dumps(feature, ensure_ascii=False) for feature in features)
    head = json.dumps(document, ensure_ascii=False)[:-1]
    return f'{head}, "features": [\n{lines}\n]}}\n'


def points_in(
    document: Mapping[str, Any], grid: RasterGrid, path: str, field: str, role: str = "reference"
) -> list[LabelledPoint]:
    """All points of a GeoJSON object on the map's grid, from any CRS; `role` names the option in messages.

    Raises SettingInvalid for what is no point, AreaOutside where the CRS do not meet.
    """
    features = document.get("features")
    if not isinstance(features, list) or not features:
        raise SettingInvalid(f"The {role} {path} holds no feature.", EXPORT_AGAIN)
    xys = [_coordinates(feature, path, role) for feature in features]
    largest = max(abs(x) for x, _ in xys), max(abs(y) for _, y in xys)
    with rasterio.Env():  # without one, GDAL prints its messages on stderr
        crs = crs_of(document, largest, grid, path, role)
        if crs is not None and grid.crs is not None and crs != grid.crs:
            try:
                xs, ys = transform(crs, grid.crs, [x for x, _ in xys], [y for _, y in xys])
            except (RasterioError, CPLE_BaseError) as error:
                raise AreaOutside(
                    f"The {role} {path} in {crs} cannot be brought into the map's CRS {grid.crs}.", "Check both CRS."
                ) from error
            xys = list(zip(xs, ys, strict=True))
    return [_labelled(feature, xy, grid, field) for feature, xy in zip(features, xys, strict=True)]


def is_of_points(document: Mapping[str, Any]) -> bool:
    """Whether the first feature with a geometry is a point."""
    for feature in document.get("features") or []:
        geometry = feature.get("geometry") if isinstance(feature, Mapping) else None
        if isinstance(geometry, Mapping):
            return geometry.get("type") in ("Point", "MultiPoint")
    return False


def _coordinates(feature: Any, path: str, role: str) -> tuple[float, float]:
    geometry = feature.get("geometry") if isinstance(feature, Mapping) else None
    xy: Any = geometry.get("coordinates") if isinstance(geometry, Mapping) else None
    if isinstance(geometry, Mapping) and geometry.get("type") == "MultiPoint" and isinstance(xy, list) and len(xy) == 1:
        xy = xy[0]
    is_pair = isinstance(xy, list) and len(xy) >= 2 and all(type(item) in (int, float) for item in xy[:2])
    if not is_pair or not all(abs(item) < _FARTHEST for item in xy[:2]):
        raise SettingInvalid(f"The {role} {path} has a feature that is no point: {str(geometry)[:60]}.", EXPORT_AGAIN)
    return float(xy[0]), float(xy[1])


def _labelled(feature: Any, xy: tuple[float, float], grid: RasterGrid, field: str) -> LabelledPoint:
    given = feature.get("properties")
    properties = given if isinstance(given, Mapping) else {}
    col, row = ~grid.transform @ xy
    inside = 0 <= row < grid.height and 0 <= col < grid.width  # false for infinite ones, too
    label = properties.get(field)
    return LabelledPoint(
        row=math.floor(row) if inside else -1,
        col=math.floor(col) if inside else -1,
        reference="" if label is None else str(label).strip(),
        map_value=_whole(properties.get(MAP_VALUE)),
        pixels=_whole(properties.get(STRATUM_PIXELS)),
        drawn=_whole(properties.get(STRATUM_POINTS)),
    )


def _whole(value: Any) -> int | None:
    """A whole number, however the file stores it."""
    try:
        return int(float(value))
    except (TypeError, ValueError, OverflowError):
        return None

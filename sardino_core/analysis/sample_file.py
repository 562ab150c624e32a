"""The points of a stratified sample as GeoJSON: what the interpreter sees, and the design that the estimates need.

Field names have at most ten letters, so that they survive a shapefile.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import rasterio

from sardino_core.contract.errors import SettingInvalid
from sardino_core.raster.grid import PixelWindow, RasterGrid
from sardino_core.raster.reading.marks import label_of
from sardino_core.raster.reading.points import brought_onto, is_position
from sardino_core.raster.reading.vector_file import EXPORT_AGAIN, VectorFile

REFERENCE = "reference"  # the field that the interpreter fills in
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


def sample_points(file: VectorFile, grid: RasterGrid, field: str) -> list[LabelledPoint]:
    """All points of a file on the map's grid, from any CRS, labelled or not.

    Raises SettingInvalid for what is no point, AreaOutside where the CRS do not meet.
    """
    features = file.features
    if not features:
        raise SettingInvalid(f"The {file} holds no feature.", EXPORT_AGAIN)
    xys = np.array([_position(feature, file) for feature in features], np.float64)
    with rasterio.Env():  # without one, GDAL prints its messages on stderr
        xys = brought_onto(xys, file.crs(np.abs(xys).max(axis=0), grid), file, grid)
    return [_labelled(feature, grid.pixel_at(*xy), field) for feature, xy in zip(features, xys.tolist(), strict=True)]


def _position(feature: Mapping[str, Any], file: VectorFile) -> tuple[float, float]:
    geometry = feature.get("geometry")
    xy: Any = geometry.get("coordinates") if isinstance(geometry, Mapping) else None
    if isinstance(geometry, Mapping) and geometry.get("type") == "MultiPoint" and isinstance(xy, list) and len(xy) == 1:
        xy = xy[0]
    if not is_position(xy):
        raise SettingInvalid(f"The {file} has a feature that is no point: {str(geometry)[:60]}.", EXPORT_AGAIN)
    return float(xy[0]), float(xy[1])


def _labelled(feature: Mapping[str, Any], pixel: PixelWindow | None, field: str) -> LabelledPoint:
    given = feature.get("properties")
    properties = given if isinstance(given, Mapping) else {}
    return LabelledPoint(
        row=-1 if pixel is None else pixel.row,
        col=-1 if pixel is None else pixel.col,
        reference=label_of(feature, field),
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

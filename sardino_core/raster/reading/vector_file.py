"""A vector file as one GeoJSON object, and the CRS of its coordinates. GeoJSON needs nothing else installed.

Not for geometry: what the coordinates enclose is the business of polygons.py.
"""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rasterio.crs import CRS
from rasterio.errors import CRSError

from sardino_core.contract.errors import DependencyMissing, InputMissing, SettingInvalid
from sardino_core.raster.grid import RasterGrid

VECTOR_SUFFIXES = (".geojson", ".json", ".gpkg", ".shp", ".fgb", ".kml", ".gml", ".parquet")
LONLAT = CRS.from_epsg(4326)
EXPORT_AGAIN = "Export it again as GeoJSON."


def is_vector(path: str) -> bool:
    """By the end of its name."""
    return Path(path).suffix.lower() in VECTOR_SUFFIXES


def read_vector(path: str, role: str, *, attributes: bool = False) -> dict[str, Any]:
    """The file as a GeoJSON object; `role` names the option in messages; attributes of other formats on request.

    Formats other than GeoJSON need pyogrio. Raises InputMissing, SettingInvalid or DependencyMissing.
    """
    if not Path(path).exists():
        raise InputMissing(f"The {role} {path} does not exist.", "Check the path.")
    if Path(path).suffix.lower() not in (".geojson", ".json"):
        return _read_with_pyogrio(path, role, attributes)
    try:
        document = json.loads(Path(path).read_text(encoding="utf-8-sig"))
    except (ValueError, OSError, RecursionError) as error:
        raise SettingInvalid(f"The {role} {path} is no valid GeoJSON ({error}).", EXPORT_AGAIN) from error
    if not isinstance(document, dict) or "type" not in document:
        raise SettingInvalid(f"The {role} {path} is JSON, but no GeoJSON: it has no `type`.", EXPORT_AGAIN)
    return document


def crs_of(
    document: Mapping[str, Any], largest: tuple[float, float], grid: RasterGrid, path: str, role: str
) -> CRS | None:
    """The `crs` member; without it lon/lat, as RFC 7946 says, unless the coordinates are too large for that.

    `largest`: the greatest |x| and |y|. Raises SettingInvalid for a CRS that is not known.
    """
    member = document.get("crs")
    if member is not None:
        properties = member.get("properties") if isinstance(member, Mapping) else None
        name = properties.get("name") if isinstance(properties, Mapping) else member
        try:
            return LONLAT if str(name).upper().endswith("CRS84") else CRS.from_user_input(str(name))
        except CRSError as error:
            raise SettingInvalid(
                f"The {role} {path} has the unknown CRS {str(name)[:60]!r}.", "Export it in EPSG:4326."
            ) from error
    if grid.crs is None:
        return None
    return LONLAT if largest[0] <= 360 and largest[1] <= 90 else grid.crs


def _read_with_pyogrio(path: str, role: str, attributes: bool) -> dict[str, Any]:
    try:
        from pyogrio import raw  # type: ignore[import-not-found,import-untyped,unused-ignore]
    except ImportError:
        raise DependencyMissing(
            f"The {role} {path} is no GeoJSON; other vector formats need pyogrio.",
            "Convert it to GeoJSON, or install sardino[vector].",
        ) from None
    try:
        meta, _, geometry, values = raw.read(path, columns=None if attributes else [])
        buffer = io.BytesIO()
        names = meta["fields"] if attributes else []
        raw.write(buffer, geometry, values, names, driver="GeoJSON", geometry_type="Unknown", crs=meta["crs"])
    except Exception as error:  # pyogrio's own classes are not importable without it
        raise SettingInvalid(
            f"The {role} {path} cannot be read ({error}).", "Give a vector file with polygons or points."
        ) from error
    document: dict[str, Any] = json.loads(buffer.getvalue())
    document["crs"] = {"type": "name", "properties": {"name": meta["crs"]}} if meta["crs"] else None
    return document

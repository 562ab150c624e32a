"""A vector file as one GeoJSON object, and the CRS of its coordinates. GeoJSON needs nothing else installed.

Not for geometry: that is the business of points.py and polygons.py; labels are that of marks.py.
"""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
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


@dataclass(frozen=True)
class VectorFile:
    """A vector file as one GeoJSON object."""

    path: str
    role: str  # how messages call it
    document: Mapping[str, Any]

    def __str__(self) -> str:
        """As messages name it."""
        return f"{self.role} {self.path}"

    @property
    def features(self) -> list[Mapping[str, Any]]:
        """Its features; a geometry by itself is one, too. Raises SettingInvalid for what is no feature."""
        if self.document["type"] != "FeatureCollection":
            return [self.document if self.document["type"] == "Feature" else {"geometry": self.document}]
        features = self.document.get("features")
        if not isinstance(features, list) or not all(isinstance(item, Mapping) for item in features):
            raise SettingInvalid(f"The {self} is no valid GeoJSON: a FeatureCollection without features.", EXPORT_AGAIN)
        return features

    def crs(self, largest: NDArray[np.float64], grid: RasterGrid) -> CRS | None:
        """The `crs` member; without it lon/lat, as RFC 7946 says, unless the coordinates are too large for that.

        `largest`: the greatest |x| and |y|. Raises SettingInvalid for a CRS that is not known.
        """
        member = self.document.get("crs")
        if member is not None:
            properties = member.get("properties") if isinstance(member, Mapping) else None
            name = properties.get("name") if isinstance(properties, Mapping) else member
            try:
                return LONLAT if str(name).upper().endswith("CRS84") else CRS.from_user_input(str(name))
            except CRSError as error:
                raise SettingInvalid(
                    f"The {self} has the unknown CRS {str(name)[:60]!r}.", "Export it in EPSG:4326."
                ) from error
        if grid.crs is None:
            return None
        return LONLAT if largest[0] <= 360 and largest[1] <= 90 else grid.crs


def read_vector(path: str, role: str, *, attributes: bool = False) -> VectorFile:
    """Read a file; `role` names the option in messages; attributes of other formats than GeoJSON on request.

    Those formats need pyogrio. Raises InputMissing, SettingInvalid or DependencyMissing.
    """
    if not Path(path).exists():
        raise InputMissing(f"The {role} {path} does not exist.", "Check the path.")
    if Path(path).suffix.lower() not in (".geojson", ".json"):
        return VectorFile(path, role, _read_with_pyogrio(path, role, attributes))
    try:
        document = json.loads(Path(path).read_text(encoding="utf-8-sig"))
    except (ValueError, OSError, RecursionError) as error:
        raise SettingInvalid(f"The {role} {path} is no valid GeoJSON ({error}).", EXPORT_AGAIN) from error
    if not isinstance(document, dict) or "type" not in document:
        raise SettingInvalid(f"The {role} {path} is JSON, but no GeoJSON: it has no `type`.", EXPORT_AGAIN)
    return VectorFile(path, role, document)


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

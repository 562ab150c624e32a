"""Marked places: the points and polygons of a vector file on a raster's grid, with the text that labels each of them.

What a label means, a class or the name of a band, is not known here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Any

import numpy as np
import rasterio
from numpy.typing import NDArray

from sardino_core.contract.errors import AreaOutside, SettingInvalid
from sardino_core.raster.grid import PixelWindow, RasterGrid
from sardino_core.raster.reading import points, polygons
from sardino_core.raster.reading.polygons import Polygon, Polygons
from sardino_core.raster.reading.vector_file import VectorFile


@dataclass(frozen=True)
class Mark:
    """One feature: its label, empty where none is asked for, and what it marks."""

    label: str
    polygons: list[Polygon]  # in the grid's CRS
    points: points.Points  # likewise

    def area(self, grid: RasterGrid) -> list[Polygon]:
        """All of it as polygons. A point is its pixel."""
        found = [grid.pixel_at(*xy) for xy in self.points.tolist()]
        return [*self.polygons, *([_outline(pixel, grid)] for pixel in found if pixel is not None)]


@dataclass(frozen=True)
class Marks:
    """The marks of a file, in its order."""

    items: list[Mark]
    notes: tuple[str, ...]  # that they come from another CRS than the raster's, where they do

    def areas(self, grid: RasterGrid) -> dict[str, Polygons]:
        """What is marked by each label, in the order of appearance."""
        parts: dict[str, list[Polygon]] = {}
        for mark in self.items:
            parts.setdefault(mark.label, []).extend(mark.area(grid))
        return {label: Polygons(found, grid) for label, found in parts.items()}

    def outside(self, grid: RasterGrid) -> str:
        """How many places lie outside the grid; empty where none does."""
        places = [polygon[0] for mark in self.items for polygon in mark.polygons]
        places += [xy[None] for mark in self.items for xy in mark.points]
        count = sum(not _meets(ring, grid) for ring in places)
        return f"{count} of the {len(places)} marked places lie outside the raster and are left out." if count else ""


def read_marks(file: VectorFile, grid: RasterGrid, field: str | None, remedy: str) -> Marks:
    """The features that have a value in `field`, or all where that is None; `remedy` is told where none has one.

    Raises SettingInvalid, or AreaOutside where there is neither point nor polygon, or the grid's CRS cannot hold them.
    """
    labelled = _labelled(file, field, remedy)
    where, numbers = f"The {file}", count(1)
    found = [
        (label, list(polygons.polygons_in(geometry, where, numbers)), points.points_in(geometry, where))
        for label, geometry in labelled
    ]
    corners = [ring for _, parts, at in found for ring in (*(rings[0] for rings in parts), at) if len(ring)]
    if not corners:
        raise AreaOutside(f"The {file} holds no polygon and no point.", "Mark places, and save them again.")
    with rasterio.Env():  # without one, GDAL prints its messages on stderr
        crs = file.crs(np.max([np.abs(ring).max(axis=0) for ring in corners], axis=0), grid)
        items = [
            Mark(label, polygons.brought_onto(parts, crs, file, grid), points.brought_onto(at, crs, file, grid))
            for label, parts, at in found
        ]
    note = f"Coordinates of the {file} are brought from {crs} into the raster's CRS, {grid.crs}."
    foreign = crs is not None and grid.crs is not None and crs != grid.crs
    return Marks(items, (note,) if foreign else ())


def of_points(file: VectorFile) -> bool:
    """Whether the first feature with a geometry is a point."""
    for feature in file.features:
        if isinstance(geometry := feature.get("geometry"), Mapping):
            return geometry.get("type") in ("Point", "MultiPoint")
    return False


def label_of(feature: Mapping[str, Any], field: str) -> str:
    """The text in a field of a feature; empty without one."""
    value = _properties(feature).get(field)
    return "" if value is None else str(value).strip()


def _properties(feature: Mapping[str, Any]) -> Mapping[str, Any]:
    properties = feature.get("properties")
    return properties if isinstance(properties, Mapping) else {}


def _labelled(file: VectorFile, field: str | None, remedy: str) -> Sequence[tuple[str, Mapping[str, Any]]]:
    """Labels and geometries of the features that have both."""
    features = file.features
    labels = ["" if field is None else label_of(feature, field) for feature in features]
    if field is not None and not any(labels):
        held = dict.fromkeys(str(name) for feature in features for name in _properties(feature))
        known = f"its fields are {', '.join(held)}" if held else "it has no fields"
        raise SettingInvalid(f"No feature of the {file} has a value in the field {field!r}; {known}.", remedy)
    return [
        (label, geometry)
        for label, feature in zip(labels, features, strict=True)
        if (label or field is None) and isinstance(geometry := feature.get("geometry"), Mapping)
    ]


def _outline(pixel: PixelWindow, grid: RasterGrid) -> Any:
    row, col = pixel.row, pixel.col
    corners = [(col, row), (col + 1, row), (col + 1, row + 1), (col, row + 1), (col, row)]
    return np.array([grid.transform @ corner for corner in corners])


def _meets(ring: NDArray[np.float64], grid: RasterGrid) -> bool:
    """Whether the box around a ring, or a point (N, 2), in pixels, has a part in common with the grid."""
    cols, rows = np.transpose([~grid.transform @ (x, y) for x, y in ring.tolist()])
    return bool(cols.max() >= 0 and rows.max() >= 0 and cols.min() < grid.width and rows.min() < grid.height)

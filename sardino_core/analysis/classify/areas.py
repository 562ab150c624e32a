"""Labelled areas on a grid, as a user draws them: polygons or points, each with the text of its class.

And the pixels that are drawn from them to train on. What the classes are called in a map is not known here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.crs import CRS

from sardino_core.analysis.sample_file import is_of_points, points_in
from sardino_core.contract.errors import AreaOutside, SettingInvalid
from sardino_core.raster.grid import PixelWindow, RasterGrid
from sardino_core.raster.reading.polygons import Polygon, Polygons, on_grid, outside
from sardino_core.raster.reading.vector_file import EXPORT_AGAIN, crs_of, read_vector

ROLE = "training"  # how messages call the file
BLOCK_PX = 32  # points in one square of this side are held out together
PIXELS_PER_AREA = 500
PIXELS = 20_000  # in all
_PIECE_PX = 1 << 22  # looked at at once
_WITH_AREA = ("Polygon", "MultiPolygon", "GeometryCollection")
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Areas:
    """Labelled polygons or points that meet a grid."""

    labels: tuple[str, ...]  # of each area
    shapes: tuple[list[Polygon], ...]  # of each polygon area, in the grid's CRS; none where the areas are points
    points: Ints  # (n, 2) row and column of each point area
    notes: tuple[str, ...]
    warnings: tuple[str, ...]

    @property
    def kind(self) -> str:
        """How to call them."""
        return "polygons" if self.shapes else "points"


@dataclass(frozen=True)
class Pixels:
    """Training pixels, from top to bottom: rows, columns, and the area that each was drawn from, (n,) each."""

    rows: Ints
    cols: Ints
    area: Ints

    def chosen(self, keep: NDArray[Any]) -> Pixels:
        """Those of a mask or of indices."""
        return Pixels(self.rows[keep], self.cols[keep], self.area[keep])


def read_areas(path: str, grid: RasterGrid, field: str) -> Areas:
    """The labelled areas of a vector file. Raises InputMissing, SettingInvalid, AreaOutside or DependencyMissing."""
    document = read_vector(path, ROLE, attributes=True)
    features = [item for item in document.get("features") or [] if isinstance(item, Mapping)]
    labelled = [(label, item) for item in features if (label := _label(item, field))]
    if not labelled:
        raise _without_labels(path, field, features)
    return (_points if is_of_points(document) else _polygons)(document, labelled, grid, path, field)


def _label(feature: Mapping[str, Any], field: str) -> str:
    properties = feature.get("properties")
    value = properties.get(field) if isinstance(properties, Mapping) else None
    return "" if value is None else str(value).strip()


def _without_labels(path: str, field: str, features: Sequence[Mapping[str, Any]]) -> SettingInvalid:
    held = dict.fromkeys(str(name) for item in features for name in item.get("properties") or {})
    found = f"its fields are {', '.join(held)}" if held else "its features have no fields"
    return SettingInvalid(
        f"The {ROLE} {path} has no feature with a value in the field {field!r}; {found}.",
        "Name the field with the class with --field.",
    )


def _points(
    document: Mapping[str, Any], labelled: Sequence[tuple[str, Any]], grid: RasterGrid, path: str, field: str
) -> Areas:
    found = points_in({**document, "features": [item for _, item in labelled]}, grid, path, field, ROLE)
    inside = [point for point in found if point.row >= 0]
    if not inside:
        raise outside(ROLE, path, grid)
    places = np.array([(point.row, point.col) for point in inside], np.int64)
    labels = tuple(point.reference for point in inside)
    notes = _notes(document, labelled, grid, path)
    return Areas(labels, (), places, notes, _warnings(len(found) - len(inside), "points"))


def _polygons(
    document: Mapping[str, Any], labelled: Sequence[tuple[str, Any]], grid: RasterGrid, path: str, field: str
) -> Areas:
    drawn = [(label, item) for label, item in labelled if (item.get("geometry") or {}).get("type") in _WITH_AREA]
    if not drawn:
        raise AreaOutside(f"The {ROLE} {path} holds no polygon and no point.", EXPORT_AGAIN)
    inside = []
    with rasterio.Env():  # without one, GDAL prints its messages on stderr
        for label, item in drawn:
            parts = on_grid({**document, "features": [item]}, grid, path, ROLE)
            if Polygons(parts, grid).window is not None:
                inside.append((label, parts))
    if not inside:
        raise outside(ROLE, path, grid)
    labels, shapes = tuple(label for label, _ in inside), tuple(parts for _, parts in inside)
    notes = _notes(document, drawn, grid, path)
    return Areas(labels, shapes, np.empty((0, 2), np.int64), notes, _warnings(len(drawn) - len(inside), "polygons"))


def _notes(
    document: Mapping[str, Any], labelled: Sequence[tuple[str, Any]], grid: RasterGrid, path: str
) -> tuple[str, ...]:
    """That the areas are in another CRS than the raster, where they are."""
    largest = np.abs([pair for _, item in labelled for pair in _pairs(item["geometry"])]).max(axis=0)
    with rasterio.Env():
        crs: CRS | None = crs_of(document, (float(largest[0]), float(largest[1])), grid, path, ROLE)
    if crs is None or grid.crs is None or crs == grid.crs:
        return ()
    return (f"the training areas are brought from {crs} into the raster's CRS, {grid.crs}",)


def _warnings(lost: int, kind: str) -> tuple[str, ...]:
    return (f"{lost} of the training {kind} lie outside the raster and are left out",) if lost else ()


def _pairs(geometry: Mapping[str, Any]) -> Iterator[Sequence[float]]:
    pending: list[Any] = [geometry.get("geometries") or geometry.get("coordinates")]
    while pending:
        item = pending.pop()
        if isinstance(item, Mapping):
            pending.append(item.get("geometries") or item.get("coordinates"))
        elif item and isinstance(item[0], (int, float)):
            yield item[:2]
        else:
            pending += item or []


def draw_pixels(areas: Areas, classes: Ints, grid: RasterGrid, seed: int, cancelled: Callable[[], None]) -> Pixels:
    """Up to 500 pixels of each area, and up to 20000 in all, at random; a point is the pixel that it lies in.

    `classes` (areas,) are numbers; `cancelled` raises when the user wants to stop. Raises SettingInvalid where areas of
    different classes overlap.
    """
    found = _in_polygons(areas, classes, grid, seed, cancelled) if areas.shapes else _at_points(areas, classes)
    if len(found.rows) > PIXELS:
        found = found.chosen(np.random.default_rng([seed, 1]).choice(len(found.rows), PIXELS, replace=False))
    return found.chosen(np.lexsort((found.cols, found.rows)))


def groups(areas: Areas) -> Ints:
    """(areas,): what is held out together in cross-validation: each polygon, or the points of a square of 32 pixels."""
    if areas.shapes:
        return np.arange(len(areas.labels))
    return np.unique(areas.points // BLOCK_PX, axis=0, return_inverse=True)[1].reshape(-1)


def _at_points(areas: Areas, classes: Ints) -> Pixels:
    places, first, which = np.unique(areas.points, axis=0, return_index=True, return_inverse=True)
    differs = classes != classes[first][which.reshape(-1)]
    if differs.any():
        row, col = areas.points[np.flatnonzero(differs)[0]]
        one, other = sorted(
            {areas.labels[index] for index in np.flatnonzero((areas.points == (row, col)).all(axis=1))}
        )[:2]
        raise SettingInvalid(
            f"Training points of the classes {one} and {other} lie in one pixel (row {row}, column {col}).",
            "Move or remove one of them.",
        )
    return Pixels(places[:, 0], places[:, 1], first)


def _in_polygons(areas: Areas, classes: Ints, grid: RasterGrid, seed: int, cancelled: Callable[[], None]) -> Pixels:
    """A random number for each pixel, of which every area keeps its lowest: the same however the raster is cut."""
    order = np.argsort(classes, kind="stable")  # of several areas at a pixel the last has the highest class
    owners = np.repeat(order, [len(areas.shapes[index]) for index in order])  # area of each part
    highest = Polygons([part for index in order for part in areas.shapes[index]], grid)
    lowest = Polygons([part for index in order[::-1] for part in areas.shapes[index][::-1]], grid)
    around = highest.window
    rng = np.random.default_rng([seed, 0])
    kept, keys = Pixels(*(np.empty(0, np.int64) for _ in range(3))), np.empty(0)
    for window in _pieces(around) if around is not None else ():
        cancelled()
        last = highest.last_at(window)
        rows, cols = np.nonzero(last >= 0)
        area, other = owners[last[rows, cols]], owners[::-1][lowest.last_at(window)[rows, cols]]
        _require_one_class(areas, classes, area, other)
        new = Pixels(rows + window.row, cols + window.col, area)
        joined = [np.concatenate(pair) for pair in zip(_arrays(kept), _arrays(new), strict=True)]
        keys = np.concatenate([keys, rng.random(len(rows))])
        best = _lowest_of_each(joined[2], keys, PIXELS_PER_AREA)
        kept, keys = Pixels(*(values[best] for values in joined)), keys[best]
    return kept


def _arrays(pixels: Pixels) -> tuple[Ints, Ints, Ints]:
    return pixels.rows, pixels.cols, pixels.area


def _pieces(around: PixelWindow) -> Iterator[PixelWindow]:
    step = max(1, _PIECE_PX // around.width)
    for row in range(around.row, around.row + around.height, step):
        yield PixelWindow(row, around.col, min(step, around.row + around.height - row), around.width)


def _lowest_of_each(area: Ints, keys: NDArray[np.float64], count: int) -> Ints:
    """Indices of the `count` lowest keys of each area."""
    order = np.lexsort((keys, area))
    _, first, sizes = np.unique(area[order], return_index=True, return_counts=True)
    rank = np.arange(len(order)) - np.repeat(first, sizes)
    return order[rank < count]


def _require_one_class(areas: Areas, classes: Ints, area: Ints, other: Ints) -> None:
    differs = np.flatnonzero(classes[area] != classes[other])
    if differs.size:
        one, two = sorted((int(area[differs[0]]), int(other[differs[0]])))
        raise SettingInvalid(
            f"The training polygons {one + 1} ({areas.labels[one]}) and {two + 1} ({areas.labels[two]}) overlap.",
            "Correct one of them: a pixel has one class.",
        )

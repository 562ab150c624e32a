"""Labelled areas on a grid, as a user draws them: polygons or points, each with the text of its class.

And the pixels that are drawn from them to train on. What the classes are called in a map is not known here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sardino_core.contract.errors import SettingInvalid
from sardino_core.raster.grid import PixelWindow, RasterGrid
from sardino_core.raster.reading.marks import Mark, Marks, of_points, read_marks
from sardino_core.raster.reading.polygons import Polygon, Polygons, outside
from sardino_core.raster.reading.vector_file import EXPORT_AGAIN, VectorFile, read_vector

ROLE = "training"  # how messages call the file
BLOCK_PX = 32  # points in one square of this side are held out together
PIXELS_PER_AREA = 500
PIXELS = 20_000  # in all
_PIECE_PX = 1 << 22  # looked at at once
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
    file = read_vector(path, ROLE, attributes=True)
    marks = read_marks(file, grid, field, "Name the field with the class with --field.")
    found = (_points if of_points(file) else _polygons)(marks, file, grid)
    if not found.labels:
        raise outside(ROLE, path, grid)
    return found


def _points(marks: Marks, file: VectorFile, grid: RasterGrid) -> Areas:
    _require_single_points(marks.items, file)
    pixels = [(mark.label, grid.pixel_at(*mark.points[0].tolist())) for mark in marks.items]
    inside = [(label, pixel) for label, pixel in pixels if pixel is not None]
    places = np.array([(pixel.row, pixel.col) for _, pixel in inside], np.int64).reshape(-1, 2)
    labels = tuple(label for label, _ in inside)
    return Areas(labels, (), places, marks.notes, _lost(len(pixels) - len(inside), "points"))


def _polygons(marks: Marks, file: VectorFile, grid: RasterGrid) -> Areas:
    drawn = [mark for mark in marks.items if mark.polygons]
    near = [mark for mark in drawn if Polygons(mark.polygons, grid).window is not None]
    labels, shapes = tuple(mark.label for mark in near), tuple(mark.polygons for mark in near)
    return Areas(labels, shapes, np.empty((0, 2), np.int64), marks.notes, _lost(len(drawn) - len(near), "polygons"))


def _require_single_points(marks: Sequence[Mark], file: VectorFile) -> None:
    for mark in marks:
        if mark.polygons or len(mark.points) != 1:
            raise SettingInvalid(
                f"The {file} holds points, but a feature of the class {mark.label} that is no point, or several.",
                EXPORT_AGAIN,
            )


def _lost(count: int, kind: str) -> tuple[str, ...]:
    return (f"{count} of the training {kind} lie outside the raster and are left out",) if count else ()


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

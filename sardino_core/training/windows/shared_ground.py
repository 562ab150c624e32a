"""Rasters that show the same ground: found by their grids; what one holds out for validation trains in none. No pixels.

Several dates of a place have the same blocks held out. Where rasters overlap otherwise (neighbours, other grids), what
one of them holds out is left out of the others.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from affine import Affine
from numpy.typing import NDArray
from rasterio.crs import CRS
from rasterio.warp import transform

from sardino_core.contract.errors import AreaOutside
from sardino_core.raster.grid import RasterGrid
from sardino_core.raster.reading.sources import aligned_offset
from sardino_core.training.windows.split import BlockSplit, Box

_DEGREES = CRS.from_epsg(4326)
_LEAST_SHARED = 0.5  # of the larger of two rasters, to be one place
Values = NDArray[np.floating]
_Cell = tuple[object, int, int]


@dataclass(frozen=True)
class Ground:
    """A raster's split, and the number of the first raster on the same pixels (its own, if it is that)."""

    split: BlockSplit
    first: int


def hold_out_together(
    grids: Sequence[RasterGrid], splits: Sequence[BlockSplit], shares: Sequence[float]
) -> list[Ground]:
    """The splits, agreed among rasters; `shares` is what was asked to be held out of each.

    Rasters that are held out wholly were put on their side by the user: they hold nothing out of others.
    """
    found = [Ground(split, index) for index, split in enumerate(splits)]
    for group in on_same_ground(grids, shares):
        first = group[0][0]
        for index, origin in group[1:]:
            height, width = grids[index].height, grids[index].width
            same = origin == (0, 0) and (height, width) == (grids[first].height, grids[first].width)
            shifted = replace(splits[first], height=height, width=width, origin=origin)
            found[index] = Ground(shifted if splits[first].is_drawn else splits[index], first if same else index)
    return _left_out(grids, found)


def on_same_ground(grids: Sequence[RasterGrid], kinds: Sequence[object]) -> list[list[tuple[int, tuple[int, int]]]]:
    """Groups of grids of one kind whose pixels coincide and that share half of their ground.

    Each member is told by its number and by the (row, col) of its first pixel on the group's first grid. Neighbours are
    looked up by the cell in which their centre lies, so that ten thousand files stay quick.
    """
    side = max((_extent(grid) for grid in grids), default=1.0)
    groups: list[list[tuple[int, tuple[int, int]]]] = []
    cells: dict[_Cell, list[int]] = {}
    for index, (grid, kind) in enumerate(zip(grids, kinds, strict=True)):
        # Without a CRS nothing is known to agree.
        cell = _cell(grid, (kind, index if grid.crs is None else grid.crs.to_wkt()), side)
        near = (number for key in _around(cell) for number in cells.get(key, ()))
        for number in sorted(near):
            offset = _shift(grid, grids[groups[number][0][0]])
            if offset is not None:
                groups[number].append((index, offset))
                break
        else:
            cells.setdefault(cell, []).append(len(groups))
            groups.append([(index, (0, 0))])
    return groups


def _left_out(grids: Sequence[RasterGrid], found: list[Ground]) -> list[Ground]:
    """With what others hold out of each raster's ground."""
    drawn = [index for index, item in enumerate(found) if item.split.is_drawn and grids[index].crs is not None]
    if not drawn:
        return found
    extents = np.array([_in_degrees(grid) for grid in grids])  # (scenes, 4): west, south, east, north
    west, south, east, north = extents[drawn].T
    result = []
    for index, item in enumerate(found):
        mine = extents[index]
        meets = (west < mine[2]) & (east > mine[0]) & (south < mine[3]) & (north > mine[1])
        others = [drawn[number] for number in np.flatnonzero(meets)]
        boxes: dict[Box, None] = {}
        for other in others:
            if found[other].split.held_out is not item.split.held_out:  # of one place it is the same array
                boxes |= dict.fromkeys(_boxes_on(grids[index], grids[other], found[other].split))
        result.append(replace(item, split=replace(item.split, elsewhere=tuple(boxes))))
    return result


def _in_degrees(grid: RasterGrid) -> tuple[float, float, float, float]:
    """West, south, east, north; nothing where they are not known, which overlaps nothing."""
    try:
        bounds = grid.bounds_in(_DEGREES) if grid.crs is not None else None
    except AreaOutside:
        bounds = None
    if bounds is None:
        return math.nan, math.nan, math.nan, math.nan
    return bounds.xmin, bounds.ymin, bounds.xmax, bounds.ymax


def _boxes_on(grid: RasterGrid, other: RasterGrid, split: BlockSplit) -> list[Box]:
    """The blocks that are held out of `other`, as far as `grid` shows them, in its pixels and with the margin."""
    corners = np.array(
        [[(left, top), (right, top), (right, bottom), (left, bottom)] for top, left, bottom, right in split.boxes()]
    ).reshape(-1, 2)  # (4 blocks, 2): column, row
    xs, ys = _moved(other.transform, corners[:, 0], corners[:, 1])
    if other.crs != grid.crs:
        xs, ys = map(np.array, transform(other.crs, grid.crs, xs.tolist(), ys.tolist()))
    cols, rows = (values.reshape(-1, 4) for values in _moved(~grid.transform, xs, ys))
    reach = math.ceil(split.margin_px / 2)
    tops = np.maximum(np.floor(rows.min(axis=1) + 1e-3).astype(int) - reach, 0)
    lefts = np.maximum(np.floor(cols.min(axis=1) + 1e-3).astype(int) - reach, 0)
    bottoms = np.minimum(np.ceil(rows.max(axis=1) - 1e-3).astype(int) + reach, grid.height)
    rights = np.minimum(np.ceil(cols.max(axis=1) - 1e-3).astype(int) + reach, grid.width)
    inside = (tops < bottoms) & (lefts < rights)
    return list(zip(*(values[inside].tolist() for values in (tops, lefts, bottoms, rights)), strict=True))


def _moved(by: Affine, x: Values, y: Values) -> tuple[Values, Values]:
    return by.a * x + by.b * y + by.c, by.d * x + by.e * y + by.f


def _shift(own: RasterGrid, grid: RasterGrid) -> tuple[int, int] | None:
    """(row, col) of `own`'s first pixel on `grid`; None where pixels do not coincide or too little is shared."""
    offset = aligned_offset(own, grid)
    if offset is None:
        return None
    row, col = offset
    height = min(row + own.height, grid.height) - max(row, 0)
    width = min(col + own.width, grid.width) - max(col, 0)
    larger = max(own.height * own.width, grid.height * grid.width)
    return offset if min(height, width) > 0 and height * width >= _LEAST_SHARED * larger else None


def _extent(grid: RasterGrid) -> float:
    """The longer side, in the units of the CRS."""
    bounds = grid.bounds
    return max(bounds.xmax - bounds.xmin, bounds.ymax - bounds.ymin)


def _cell(grid: RasterGrid, kind: object, side: float) -> _Cell:
    """What two grids of one ground have in common: kind and CRS, and nearly the centre."""
    bounds = grid.bounds
    x, y = (bounds.xmin + bounds.xmax) / 2, (bounds.ymin + bounds.ymax) / 2
    return kind, math.floor(y / side), math.floor(x / side)


def _around(cell: _Cell) -> Iterator[_Cell]:
    """A cell and its neighbours."""
    key, row, col = cell
    for down in (-1, 0, 1):
        for right in (-1, 0, 1):
            yield key, row + down, col + right

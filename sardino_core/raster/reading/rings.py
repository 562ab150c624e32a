"""Rings of polygons as arrays (N, 2) of x, y: cut to a rectangle, edges split. Knows no files and no CRS.

A ring's last point is joined to its first, whether the first is repeated or not.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from sardino_core.raster.grid import Bounds

Ring = NDArray[np.float64]


def clip(ring: Ring, box: Bounds) -> Ring:
    """The part of a ring inside a rectangle (Sutherland and Hodgman 1974); empty when there is none.

    Parts that the rectangle separates stay joined along its border, where they enclose nothing.
    """
    for axis, limit, sign in ((0, box.xmin, 1), (0, box.xmax, -1), (1, box.ymin, 1), (1, box.ymax, -1)):
        ring = _cut(ring, axis, limit, sign)
    return ring


def split(ring: Ring, step: float) -> Ring:
    """The ring with further points on its edges, so that none is longer than `step` in x or y."""
    along = np.roll(ring, -1, axis=0) - ring
    pieces = np.maximum(np.ceil(np.abs(along).max(axis=1) / step), 1).astype(int)
    first = np.repeat(np.cumsum(pieces) - pieces, pieces)
    part = (np.arange(pieces.sum()) - first) / np.repeat(pieces, pieces)
    points: Ring = np.repeat(ring, pieces, axis=0) + np.repeat(along, pieces, axis=0) * part[:, None]
    return points


def has_area(ring: Ring) -> bool:
    """False for what clipping leaves of a ring that lies around or beside the rectangle."""
    if len(ring) < 3:
        return False
    x, y = (ring - ring[0]).T
    area = abs(float(np.dot(x, np.roll(y, -1)) - np.dot(np.roll(x, -1), y))) / 2
    return area > 1e-12 * float(np.ptp(x) * np.ptp(y))


def _cut(ring: Ring, axis: int, limit: float, sign: int) -> Ring:
    """The part where `sign * (coordinate - limit) >= 0`."""
    following = np.roll(ring, -1, axis=0)
    here, there = sign * (ring[:, axis] - limit), sign * (following[:, axis] - limit)
    crossing = (here >= 0) != (there >= 0)
    part = here / np.where(crossing, here - there, 1.0)
    border = ring + (following - ring) * part[:, None]
    border[:, axis] = limit
    points: Ring = np.stack([border, following], axis=1)[np.stack([crossing, there >= 0], axis=1)]
    return points

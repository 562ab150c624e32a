"""Rings: cut to a rectangle, edges split."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rasterio.features import rasterize

from sardino_core.raster.grid import Bounds
from sardino_core.raster.reading.rings import Ring, clip, has_area, split

BOX = Bounds(0, 0, 20, 20)


def burned(ring: Ring) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    """The pixels of the box, 20 x 20, that a ring covers."""
    if len(ring) < 3:
        return np.zeros((20, 20), np.uint8)
    shape = {"type": "Polygon", "coordinates": [[*map(tuple, ring), tuple(ring[0])]]}
    found: np.ndarray[tuple[int, ...], np.dtype[np.uint8]] = rasterize([shape], out_shape=(20, 20))
    return found


@given(st.lists(st.tuples(st.integers(-40, 60), st.integers(-40, 60)), min_size=3, max_size=9))
def test_clipping_and_splitting_change_nothing_inside(points: list[tuple[int, int]]) -> None:
    ring = np.array(points, np.float64) + np.array([0.14142136, 0.31415927])  # no edge through a pixel's centre
    clipped = clip(ring, Bounds(-1, -1, 21, 21))
    assert np.array_equal(burned(clipped), burned(ring))
    assert not len(clipped) or (clipped.min() >= -1 and clipped.max() <= 21)
    assert has_area(clipped) or not burned(clipped).any()


def test_a_ring_around_the_box_becomes_the_box() -> None:
    clipped = clip(np.array([(-1e9, -1e9), (1e9, -1e9), (1e9, 1e9), (-1e9, 1e9)]), BOX)
    assert {tuple(point) for point in clipped} == {(0, 0), (20, 0), (20, 20), (0, 20)}


@pytest.mark.parametrize(
    "points",
    [
        [(30, 0), (40, 0), (40, 10)],  # beside
        [(20, 0), (40, 0), (40, 10), (20, 10)],  # touching
        [(-9, -9), (40, -9), (40, 40), (30, 40), (30, -5), (-9, -5)],  # around a corner
    ],
)
def test_rings_outside_keep_no_area(points: list[tuple[int, int]]) -> None:
    assert not has_area(clip(np.array(points, np.float64), BOX))


def test_split_edges_are_short_and_keep_the_corners() -> None:
    ring = np.array([(0, 0), (10, 0), (10, 1), (0, 1)], np.float64)
    points = split(ring, 0.3)
    assert np.abs(np.roll(points, -1, axis=0) - points).max() <= 0.3
    assert {tuple(corner) for corner in ring} <= {tuple(point) for point in points}
    assert len(split(ring, 100)) == 4

from __future__ import annotations

import pytest
from affine import Affine
from rasterio.crs import CRS

from sardino_core.raster.grid import RasterGrid
from sardino_core.training.windows.ground import places_of

UTM = CRS.from_epsg(32633)


def grid(x: float, y: float = 5_000_000, size: int = 100, crs: CRS | None = UTM, spacing: float = 10) -> RasterGrid:
    return RasterGrid(size, size, Affine(spacing, 0, x, 0, -spacing, y), crs)


def test_dates_of_one_place_are_one_and_others_are_apart():
    grids = [grid(500_000), grid(540_000), grid(500_010), grid(500_000, 5_050_000)]
    assert places_of(grids, 1000).tolist() == [0, 1, 0, 2]


@pytest.mark.parametrize(("gap_m", "apart_m", "places"), [(900, 1000, 1), (1100, 1000, 2), (0, 0, 1), (50, 0, 2)])
def test_neighbours_are_one_place_up_to_a_distance(gap_m, apart_m, places):
    found = places_of([grid(500_000), grid(500_000 + 1000 + gap_m)], apart_m)
    assert len(set(found.tolist())) == places


def test_a_chain_of_neighbours_is_one_place_in_whatever_order():
    left, middle, right = grid(500_000), grid(501_500), grid(503_000)
    assert places_of([left, right, middle], 600).tolist() == [0, 0, 0]
    assert places_of([left, right], 600).tolist() == [0, 1]


def test_the_same_ground_in_degrees_is_the_same_place():
    lon_lat = RasterGrid(100, 100, Affine(1e-4, 0, 15.0, 0, -1e-4, 45.15), CRS.from_epsg(4326))
    assert places_of([grid(500_000), lon_lat], 100).tolist() == [0, 0]  # 500 km east in zone 33 is 15 degrees


def test_without_a_crs_nothing_is_known_to_be_near():
    assert places_of([grid(0, crs=None), grid(0, crs=None), grid(500_000)], 1e7).tolist() == [0, 1, 2]

"""Grids and windows: where pixels are, without pixels."""

import math

import pytest
from affine import Affine
from hypothesis import given
from hypothesis import strategies as st
from rasterio.crs import CRS

from sardino_core.contract.errors import AreaOutside
from sardino_core.raster.grid import Bounds, PixelWindow, RasterGrid

UTM = CRS.from_epsg(32633)


def grid(width=100, height=80, transform=None, crs=UTM):
    return RasterGrid(width, height, transform or Affine(10, 0, 500_000, 0, -10, 5_000_000), crs)


def test_spacing_in_metres():
    assert grid().spacing_m == pytest.approx(10)
    assert grid(transform=Affine(20, 0, 0, 0, -5, 0)).spacing_m == pytest.approx(10)
    assert grid(crs=None).spacing_m is None


def test_spacing_of_degrees_shrinks_with_latitude():
    equator = grid(transform=Affine(1e-4, 0, 10, 0, -1e-4, 0.004), crs=CRS.from_epsg(4326))
    north = grid(transform=Affine(1e-4, 0, 10, 0, -1e-4, 60.004), crs=CRS.from_epsg(4326))
    assert equator.spacing_m == pytest.approx(11.13, abs=0.01)
    assert north.spacing_m == pytest.approx(11.13 * 0.5**0.5, abs=0.01)


def test_spacing_in_feet_is_converted():
    assert grid(transform=Affine(30, 0, 0, 0, -30, 0), crs=CRS.from_epsg(2263)).spacing_m == pytest.approx(
        9.144, abs=0.01
    )


def test_spacing_of_a_rotated_grid_is_that_of_its_pixels():
    turned = Affine.translation(500_000, 5_000_000) @ Affine.rotation(30) @ Affine.scale(10, -10)
    assert grid(transform=turned).spacing_m == pytest.approx(10)


@given(st.integers(0, 79), st.integers(0, 99), st.data())
def test_the_window_of_a_crops_bounds_is_the_crop(row, col, data):
    window = PixelWindow(row, col, data.draw(st.integers(1, 80 - row)), data.draw(st.integers(1, 100 - col)))
    assert grid().window_of(grid().crop(window).bounds) == window


def test_bounds_partly_outside_are_cut():
    assert grid().window_of(Bounds(499_000, 4_999_900, 500_015, 6_000_000)) == PixelWindow(0, 0, 10, 2)


def test_bounds_outside_are_refused_with_both_rectangles():
    with pytest.raises(AreaOutside, match=r"0,0,1,1 lies outside.*500000,4999200,501000,5000000"):
        grid().window_of(Bounds(0, 0, 1, 1))


def test_coarse_grids_keep_the_corner_and_count_partial_blocks():
    coarse = grid().coarsen(8)
    assert (coarse.width, coarse.height) == (13, 10)
    assert (coarse.transform.c, coarse.transform.f, coarse.transform.a) == (500_000, 5_000_000, 80)


def test_grids_that_differ_by_rounding_match():
    shifted = grid(transform=Affine(10, 0, 500_000 + 1e-6, 0, -10, 5_000_000))
    assert grid().matches(shifted)
    assert not grid().matches(grid(transform=Affine(10, 0, 500_005, 0, -10, 5_000_000)))
    assert not grid().matches(grid(width=101))


def test_longitudes_turn_to_where_the_other_grid_is():
    lonlat = CRS.from_epsg(4326)
    east = grid(transform=Affine(1e-3, 0, 179.95, 0, -1e-3, 48), crs=lonlat)
    west = grid(transform=Affine(1e-3, 0, -180, 0, -1e-3, 48), crs=lonlat)
    assert west.turned_to(east).bounds.xmin == 180 and east.turned_to(west).bounds.xmin == pytest.approx(-180.05)
    assert east.turned_to(east) is east and grid().turned_to(east) == grid()


def test_bounds_across_the_date_line_stay_together():
    crossing = grid(transform=Affine(100, 0, 719_000, 0, -100, 5_320_000), crs=CRS.from_epsg(32660)).bounds_in(
        CRS.from_epsg(4326)
    )
    assert 179.9 < crossing.xmin < 180 < crossing.xmax < 180.2
    near = Bounds(-180.1, 47, -180, 48)
    zone_1 = grid(transform=Affine(100, 0, 276_000, 0, -100, 5_320_000), crs=CRS.from_epsg(32601))
    assert -180.1 < zone_1.bounds_in(CRS.from_epsg(4326), near=near).xmin < -179.9


def test_bounds_where_the_other_crs_is_not_defined():
    beyond = grid(transform=Affine(1e6, 0, 0, 0, -1e6, 9e7), crs=CRS.from_epsg(4326))
    with pytest.raises(AreaOutside, match="cannot be brought into EPSG:32633"):
        beyond.bounds_in(UTM)


def test_a_place_has_the_pixel_that_it_lies_in():
    grid = RasterGrid(4, 3, Affine(10, 0, 100, 0, -10, 50), None)
    assert grid.pixel_at(100, 50) == PixelWindow(0, 0, 1, 1)
    assert grid.pixel_at(139.9, 20.1) == PixelWindow(2, 3, 1, 1)
    assert [grid.pixel_at(*place) for place in ((140, 30), (99.9, 30), (120, 20), (120, 50.1), (math.inf, 30))] == [
        None
    ] * 5

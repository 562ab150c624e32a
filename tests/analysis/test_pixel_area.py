import numpy as np
import pytest
from affine import Affine
from rasterio.crs import CRS
from rasterio.warp import transform

from sardino_core.analysis.pixel_area import area_unit, pixel_areas
from sardino_core.raster.grid import PixelWindow, RasterGrid

DEGREES, MERCATOR = CRS.from_epsg(4326), CRS.from_epsg(3857)


def test_a_10_m_pixel_is_a_hundredth_of_a_hectare():
    grid = RasterGrid(5, 4, Affine(10, 0, 500_000, 0, -10, 5_400_000), CRS.from_epsg(32633))
    assert pixel_areas(grid, grid.full) == pytest.approx(np.full(4, 0.01))
    assert area_unit(grid) == "ha"


def test_feet_are_no_metres():
    grid = RasterGrid(5, 4, Affine(100, 0, 0, 0, -100, 0), CRS.from_epsg(2263))  # US survey feet
    assert pixel_areas(grid, grid.full)[0] == pytest.approx((100 * 1200 / 3937) ** 2 / 1e4)


def test_all_degrees_make_the_earth():
    """510 065 622 km2: the surface of the WGS 84 ellipsoid."""
    grid = RasterGrid(720, 360, Affine(0.5, 0, -180, 0, -0.5, 90), DEGREES)
    assert pixel_areas(grid, grid.full).sum() * 720 / 100 == pytest.approx(510_065_622, rel=1e-5)


@pytest.mark.parametrize("place", [(16, 48), (-70, -33), (25, 69)])
def test_one_pixel_of_ground_has_one_area_in_every_crs(place):
    lon, lat = place
    degrees = RasterGrid(1, 1, Affine(1e-4, 0, lon, 0, -1e-4, lat), DEGREES)
    (x0, x1), (y0, y1) = transform(DEGREES, MERCATOR, [lon, lon + 1e-4], [lat, lat - 1e-4])
    mercator = RasterGrid(1, 1, Affine(x1 - x0, 0, x0, 0, y1 - y0, y0), MERCATOR)
    zone = CRS.from_epsg((32600 if lat > 0 else 32700) + int((lon + 180) // 6) + 1)
    xs, ys = transform(DEGREES, zone, [lon, lon + 1e-4, lon], [lat, lat, lat - 1e-4])
    planar = abs((xs[1] - xs[0]) * (ys[2] - ys[0]) - (xs[2] - xs[0]) * (ys[1] - ys[0])) / 1e4
    assert pixel_areas(degrees, degrees.full)[0] == pytest.approx(planar, rel=2e-3)  # UTM's own scale is within 0.1 %
    assert pixel_areas(mercator, mercator.full)[0] == pytest.approx(pixel_areas(degrees, degrees.full)[0], rel=1e-5)


def test_a_rotated_grid_keeps_the_area_of_its_pixels():
    plain = RasterGrid(9, 9, Affine(1e-4, 0, 10, 0, -1e-4, 50), DEGREES)
    turned = RasterGrid(9, 9, Affine(0, 1e-4, 10, 1e-4, 0, 50), DEGREES)
    assert pixel_areas(turned, turned.full) == pytest.approx(pixel_areas(plain, plain.full), rel=1e-4)


def test_windows_see_the_rows_of_the_whole():
    grid = RasterGrid(10, 100, Affine(0.1, 0, 10, 0, -0.1, 60), DEGREES)
    assert (pixel_areas(grid, PixelWindow(30, 0, 20, 4)) == pixel_areas(grid, grid.full)[30:50]).all()


def test_without_a_crs_the_unit_is_the_pixel():
    grid = RasterGrid(3, 2, Affine.identity(), None)
    assert area_unit(grid) == "pixels" and pixel_areas(grid, grid.full).tolist() == [1, 1]

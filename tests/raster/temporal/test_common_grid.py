"""Power of a scene on another grid."""

import numpy as np
import pytest
from affine import Affine
from hypothesis import given
from hypothesis import strategies as st
from rasterio.crs import CRS

from sardino_core.raster.grid import PixelWindow, RasterGrid
from sardino_core.raster.temporal.common_grid import PowerOnGrid
from tests.raster.scenes import ORIGIN, UTM, speckled_db

OWN = RasterGrid(40, 30, ORIGIN, UTM)


class Pixels:
    """A scene in memory."""

    def __init__(self, db, valid=None, grid=OWN):
        self.db, self.grid = db, grid
        self.valid = np.ones(db.shape[1:], bool) if valid is None else valid

    def read(self, window):
        return self.db[:, window.rows, window.cols].copy(), self.valid[window.rows, window.cols].copy()


@given(st.integers(-50, 50), st.integers(-50, 50), st.integers(1, 60), st.integers(1, 60))
def test_shifted_by_whole_pixels_the_pixels_stay(row, col, height, width):
    db = speckled_db(30, 40)
    grid = RasterGrid(width, height, ORIGIN @ Affine.translation(col, row), UTM)
    reader = PowerOnGrid(Pixels(db), 2, grid)
    assert not reader.resampled
    found = reader.read(grid.full)
    padded = np.pad(10 ** (db.astype(np.float64) / 10), ((0, 0), (150, 150), (150, 150)), constant_values=np.nan)
    np.testing.assert_allclose(found, padded[:, 150 + row :, 150 + col :][:, :height, :width], rtol=1e-5)


def test_half_a_pixel_away_it_is_the_mean_of_power_not_of_db():
    db = np.zeros((1, 30, 40), np.float32)
    db[:, :, ::2] = -20
    grid = RasterGrid(30, 20, ORIGIN @ Affine.translation(2.5, 3), UTM)
    reader = PowerOnGrid(Pixels(db), 1, grid)
    assert reader.resampled
    np.testing.assert_allclose(reader.read(grid.full), (1 + 0.01) / 2, rtol=1e-4)


@pytest.mark.parametrize("crs", [UTM, CRS.from_epsg(32632), CRS.from_epsg(4326)])
def test_windows_are_parts_of_the_whole_and_nodata_stays_out(crs):
    valid = np.ones((30, 40), bool)
    valid[10:15, 10:20] = False
    db = np.where(valid, speckled_db(30, 40), 0).astype(np.float32)
    bounds = OWN.bounds_in(crs)
    step = (bounds.xmax - bounds.xmin) / 37
    grid = RasterGrid(37, 33, Affine(step, 0, bounds.xmin, 0, -(bounds.ymax - bounds.ymin) / 33, bounds.ymax), crs)
    reader = PowerOnGrid(Pixels(db, valid), 2, grid)
    whole = reader.read(grid.full)
    assert 0.5 < np.isfinite(whole[0]).mean() < 1
    assert np.nanmax(whole) <= 10 ** (db[:, valid].max() / 10) * 1.001  # the 0 dB where not valid bleeds nowhere
    parts = [reader.read(PixelWindow(row, 0, min(7, 33 - row), 37)) for row in range(0, 33, 7)]
    np.testing.assert_allclose(np.concatenate(parts, axis=1), whole, rtol=1e-5)


def test_beside_the_scene_there_is_nothing():
    grid = RasterGrid(5, 5, ORIGIN @ Affine.translation(1000.5, 0), UTM)
    assert np.isnan(PowerOnGrid(Pixels(speckled_db(30, 40)), 2, grid).read(grid.full)).all()

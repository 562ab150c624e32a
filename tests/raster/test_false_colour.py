"""Backscatter for the eye."""

from __future__ import annotations

import numpy as np

from sardino_core.raster.false_colour import false_colour


def test_each_colour_follows_its_band_and_nodata_is_white():
    ramp = np.linspace(-25, -5, 100, dtype=np.float32)[None].repeat(10, axis=0)
    db, valid = np.stack([ramp, ramp[:, ::-1] - 7]), np.ones((10, 100), bool)
    db[:, 0, :5] = np.nan
    valid[0, :5] = False
    picture = false_colour(db, valid)
    assert picture.shape == (10, 100, 3) and picture.dtype == np.uint8
    assert (picture[0, :5] == 255).all()
    assert (np.diff(picture[1].astype(int), axis=0)[:, [0, 2]] >= 0).all()
    assert (np.diff(picture[1].astype(int), axis=0)[:, 1] <= 0).all()
    assert picture[1, 0].tolist() == [0, 255, 0] and picture[1, -1].tolist() == [255, 0, 255]


def test_nothing_valid_is_all_white():
    assert (false_colour(np.full((2, 3, 4), np.nan, np.float32), np.zeros((3, 4), bool)) == 255).all()

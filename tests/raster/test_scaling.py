"""Standardisation."""

from __future__ import annotations

import numpy as np

from sardino_core.contract.model_spec import BandSpec
from sardino_core.raster.scaling import standardise

BANDS = (BandSpec("VV", -10.0, 4.0), BandSpec("VH", -18.0, 5.0))


def test_clip_mean_and_deviation() -> None:
    values = np.array([[[-10.0, -6.0, -90.0, 50.0]], [[-18.0, -13.0, -90.0, 50.0]]], np.float32)
    out = standardise(values, np.ones((1, 4), bool), BANDS, (-50.0, 30.0))
    np.testing.assert_allclose(out[0, 0], [0, 1, -10, 10], rtol=1e-6)
    np.testing.assert_allclose(out[1, 0], [0, 1, -6.4, 9.6], rtol=1e-6)
    assert out.dtype == np.float32 and out.flags.c_contiguous
    assert values[0, 0, 3] == 50.0


def test_invalid_pixels_are_exactly_zero() -> None:
    values = np.full((2, 3, 3), np.nan, np.float32)
    values[:, 0] = -12.0
    valid = np.isfinite(values[0])
    out = standardise(values, valid, BANDS, (-50.0, 30.0))
    assert (out[:, ~valid] == 0).all() and (out[:, valid] != 0).all()

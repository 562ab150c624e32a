"""Between the raster's pixels and the network's."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sardino_core.contract.errors import SpacingUnsuitable
from sardino_core.raster.resampling import cell_size, resample, resample_backscatter, resampling_matrix


@given(st.floats(2, 160), st.sampled_from([8, 14, 16]))
def test_the_network_sees_a_spacing_within_its_range(spacing_m, patch):
    cell_px = cell_size(spacing_m, (8, 40), patch)
    network_m = spacing_m * cell_px / patch
    assert 8 - 1e-6 <= network_m <= 40 + 1e-6
    assert cell_px == patch or not 8 <= spacing_m <= 40


def test_without_a_crs_the_spacing_is_taken_as_the_models():
    assert cell_size(None, (8, 40), 8) == 8


@pytest.mark.parametrize("spacing_m", [1.9, 161, 1000])
def test_more_than_four_times_outside_is_refused(spacing_m):
    with pytest.raises(SpacingUnsuitable, match="the model works from 2 to 160 m"):
        cell_size(spacing_m, (8, 40), 8)


@given(st.integers(1, 60), st.integers(1, 60))
def test_matrices_keep_constants(source, target):
    matrix = resampling_matrix(source, target)
    assert matrix.shape == (target, source)
    np.testing.assert_allclose(matrix.sum(axis=1), 1, rtol=1e-5)
    assert (matrix >= 0).all()


@given(st.integers(1, 40), st.integers(1, 40))
def test_downwards_every_source_pixel_counts_alike(source, target):
    if target <= source:
        np.testing.assert_allclose(resampling_matrix(source, target).sum(axis=0), target / source, rtol=1e-4)


def test_upwards_interpolates_linearly():
    np.testing.assert_allclose(resampling_matrix(2, 4) @ [0.0, 4.0], [0, 1, 3, 4], atol=1e-6)


def test_averages_are_taken_in_power_and_over_valid_pixels_only():
    db = np.array([[[0.0, -10.0], [-20.0, -99.0]]], np.float32)
    valid = np.array([[True, True], [True, False]])
    mean, covered = resample_backscatter(db, valid, resampling_matrix(2, 1))
    assert covered.all()
    np.testing.assert_allclose(mean[0, 0, 0], 10 * np.log10((1 + 0.1 + 0.01) / 3), rtol=1e-5)


def test_a_block_without_valid_pixels_stays_invalid():
    mean, covered = resample_backscatter(
        np.zeros((1, 4, 4), np.float32), np.zeros((4, 4), bool), resampling_matrix(4, 2)
    )
    assert not covered.any()
    assert not mean.any()


def test_resample_acts_on_rows_and_columns():
    values = np.arange(16, dtype=np.float32).reshape(1, 4, 4)
    np.testing.assert_allclose(resample(values, resampling_matrix(4, 2))[0], [[2.5, 4.5], [10.5, 12.5]])

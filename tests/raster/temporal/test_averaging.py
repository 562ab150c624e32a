"""Means over time, the multitemporal filter and looks, against plain numpy and what theory says of speckle."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from sardino_core.raster.temporal.averaging import REACH_PX, local_mean, looks, orbit_means

BACKSCATTER = st.floats(2**-13, 8, width=32) | st.just(np.nan)


def speckle(dates, height=40, width=50, bands=2, seed=0):
    """(dates, bands, h, w): power 1 with the speckle of four looks."""
    return np.random.default_rng(seed).gamma(4, 0.25, (dates, bands, height, width)).astype(np.float32)


def one_mean(powers, *, filtered=False):
    (found,) = orbit_means([len(powers)], iter(powers), filtered=filtered)
    return found


@given(arrays(np.float32, (4, 1, 5, 6), elements=BACKSCATTER))
def test_the_mean_is_numpys_and_counts_what_is_there(powers):
    mean, count = one_mean(powers)
    there = np.isfinite(powers[:, 0])
    total = np.where(there, powers[:, 0], 0).sum(axis=0, dtype=np.float64)
    np.testing.assert_array_equal(count, there.sum(axis=0))
    np.testing.assert_allclose(mean[0][count > 0], (total / np.maximum(count, 1))[count > 0], rtol=1e-6)
    assert np.isnan(mean[0][count == 0]).all()


@given(arrays(np.float32, (1, 9, 11), elements=BACKSCATTER))
def test_local_means_are_those_of_the_window(values):
    found = local_mean(values)[0]
    for row, col in np.ndindex(found.shape):
        part = values[0, max(0, row - REACH_PX) : row + REACH_PX + 1, max(0, col - REACH_PX) : col + REACH_PX + 1]
        if np.isfinite(values[0, row, col]):
            assert found[row, col] == pytest.approx(np.nanmean(part.astype(np.float64)), rel=1e-6)
        else:
            assert np.isnan(found[row, col])


def test_looks_are_those_of_the_speckle_and_grow_with_the_dates():
    powers = speckle(8, 200, 200)
    alone, all_dates = (np.nanmedian(looks(one_mean(powers[:count])[0])) for count in (1, 8))
    assert alone == pytest.approx(4, rel=0.1)
    assert all_dates / alone == pytest.approx(8, rel=0.1)


def test_looks_need_half_a_window_and_some_variance():
    values = speckle(1)[0]
    values[:, :, 10:] = np.nan
    assert np.isfinite(looks(values)[:, 10, :8]).all() and np.isnan(looks(values)[:, :, 10:]).all()
    assert np.isnan(looks(np.ones((1, 9, 9), np.float32))).all()


def test_the_filter_leaves_one_date_as_it_is():
    powers = speckle(1)
    np.testing.assert_allclose(one_mean(powers, filtered=True)[0], powers[0], rtol=1e-5)


def test_the_filter_smooths_every_group_with_all_dates_of_the_orbit_and_keeps_the_mean():
    powers = speckle(8, 200, 200)
    plain = orbit_means([2, 6], iter(powers), filtered=False)
    smooth = orbit_means([2, 6], iter(powers), filtered=True)
    before, after = (np.nanmedian(looks(found[0][0])) for found in (plain, smooth))
    assert before == pytest.approx(8, rel=0.1) and after > 2.5 * before
    for (mean, _), (filtered, _) in zip(plain, smooth, strict=True):
        assert filtered.mean() == pytest.approx(mean.mean(), rel=0.01)


def test_the_filter_keeps_what_all_dates_share_sharp():
    powers = speckle(12, 41, 41)
    powers[:, :, 20, 20] *= 100
    filtered = one_mean(powers, filtered=True)[0]
    assert filtered[0, 20, 20] > 50 and filtered[0, 20, 22] < 2

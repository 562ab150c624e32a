"""Columns of a pixel: what they hold, and that they do not depend on how the rows are cut."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sardino_core.analysis.classify.features import MARGIN_PX, SQUARES_PX, columns, in_order, pixel_features
from tests.models.specs import make_spec
from tests.raster.scenes import speckled_db

SPEC = make_spec()
BANDS = len(SPEC.inputs.bands)


def of_rows(db, valid, first, last, features=("bands", "filtered")):
    """Features of rows first to last, with their margin; beyond the raster nothing is valid."""
    margin = ((MARGIN_PX, MARGIN_PX), (0, 0))
    padded, known = np.pad(db, ((0, 0), *margin)), np.pad(valid, margin)
    rows = slice(first, last + 2 * MARGIN_PX)
    return pixel_features(padded[:, rows], known[rows], features, SPEC)


def test_columns_and_values_have_one_order():
    assert in_order(()) == ("bands", "filtered", "attention", "tokens")
    assert in_order(("tokens", "bands")) == ("bands", "tokens")
    names = columns(("bands", "filtered"), SPEC)
    assert names[:BANDS] == tuple(band.key for band in SPEC.inputs.bands)
    assert len(names) == len(of_rows(speckled_db(9, 11), np.ones((9, 11), bool), 0, 9))


def test_a_constant_keeps_its_value_at_every_scale_and_at_edges():
    db = np.full((2, 20, 30), -12.5, np.float32)
    found = of_rows(db, np.ones((20, 30), bool), 0, 20)
    np.testing.assert_allclose(found, -12.5, atol=1e-4)


def test_the_mean_is_that_of_the_power_of_valid_pixels():
    random = np.random.default_rng(1)
    db, valid = speckled_db(40, 50), random.random((40, 50)) > 0.3
    found = of_rows(db, valid, 0, 40, ("filtered",))
    for index, side in enumerate(SQUARES_PX):
        reach = side // 2
        around = np.s_[20 - reach : 21 + reach, 25 - reach : 26 + reach]
        power = 10 ** (np.clip(db, *SPEC.inputs.clip_db)[(0, *around)][valid[around]] / 10)
        expected = 10 * np.log10(power.mean())
        np.testing.assert_allclose(found[index * BANDS, 20, 25], expected, atol=1e-3)


@given(cut=st.integers(1, 39), seed=st.integers(0, 99))
def test_rows_may_be_cut_anywhere_to_the_last_bit(cut, seed):
    db, valid = speckled_db(40, 33, seed=seed), np.random.default_rng(seed).random((40, 33)) > 0.2
    whole = of_rows(db, valid, 0, 40)
    parts = np.concatenate([of_rows(db, valid, 0, cut), of_rows(db, valid, cut, 40)], axis=1)
    np.testing.assert_array_equal(whole, parts)


@pytest.mark.parametrize("shape", [(1, 1), (3, 200), (200, 3)])
def test_smaller_than_a_square(shape):
    found = of_rows(speckled_db(*shape), np.ones(shape, bool), 0, shape[0])
    assert found.shape[1:] == shape and np.isfinite(found).all()

"""Distances and their null distribution: exact on small cases, and the rate that is promised under exchangeability."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from sardino_core.analysis.change.distances import leave_one_out
from sardino_core.analysis.change.null import NullDistribution

DISTANCES = arrays(np.float32, st.integers(1, 40), elements=st.floats(0, 1024, width=32))


def test_equal_dates_have_no_distance():
    tokens = np.random.default_rng(0).normal(size=(3, 8, 5)).astype(np.float32)
    same = np.repeat(tokens[:1], 3, axis=0)
    among, after = leave_one_out(same, same[0])
    assert among.shape == (3, 5) and after.shape == (5,)
    np.testing.assert_allclose([*among, after], 0, atol=1e-6)
    np.testing.assert_allclose(leave_one_out(same, same[0] + 3)[1], 3, rtol=1e-5)


def test_distances_are_root_mean_squares_to_the_mean_of_the_others():
    tokens = np.random.default_rng(1).normal(size=(4, 8, 5)).astype(np.float32)
    among, after = leave_one_out(tokens[:3], tokens[3])
    others = [tokens[[1, 2]].mean(axis=0), tokens[[0, 2]].mean(axis=0), tokens[[0, 1]].mean(axis=0)]
    for index, other in enumerate(others):
        np.testing.assert_allclose(among[index], np.sqrt(((tokens[index] - other) ** 2).mean(axis=0)), rtol=1e-5)
    expected = np.mean([np.sqrt(((tokens[3] - other) ** 2).mean(axis=0)) for other in others], axis=0)
    np.testing.assert_allclose(after, expected, rtol=1e-5)


@given(DISTANCES, DISTANCES)
def test_p_values_are_never_below_the_exact_ones(null, found):
    distribution = NullDistribution()
    distribution.add(null)
    p_values = distribution.p_values(found)
    exact = (1 + (null[None] >= found[:, None]).sum(axis=1)) / (1 + null.size)
    close = (1 + (null[None] >= found[:, None] * 0.998 - 1e-6).sum(axis=1)) / (1 + null.size)
    assert (p_values >= exact - 1e-6).all() and (p_values <= close + 1e-6).all()


@given(DISTANCES, st.floats(0.01, 0.5))
def test_the_threshold_is_where_the_p_value_falls_to_the_rate(null, rate):
    distribution = NullDistribution()
    distribution.add(null)
    threshold = distribution.threshold(rate)
    if np.isinf(threshold):
        assert (distribution.p_values(np.array([1e4], np.float32)) > rate).all()
    else:
        above, below = np.float32(threshold * 1.0005), np.float32(threshold * 0.998)
        assert distribution.p_values(np.array([above])) <= rate < distribution.p_values(np.array([below]))


def test_memory_does_not_grow_with_the_distances():
    distribution = NullDistribution()
    before = distribution._counts.nbytes
    for _ in range(3):
        distribution.add(np.random.default_rng(0).uniform(0, 2, (3, 100_000)).astype(np.float32))
    assert distribution.size == 900_000 and distribution._counts.nbytes == before


@pytest.mark.parametrize("dates", [3, 6])
def test_exchangeable_dates_are_marked_no_more_often_than_stated(dates):
    random = np.random.default_rng(7)
    place = random.normal(size=(1, 16, 20_000))
    spread = random.gamma(2, 0.2, (1, 1, 20_000))  # unlike from patch to patch
    tokens = (place + spread * random.normal(size=(dates + 1, 16, 20_000))).astype(np.float32)
    among, after = leave_one_out(tokens[:-1], tokens[-1])
    distribution = NullDistribution()
    distribution.add(among)
    for rate in (0.1, 0.01):
        assert 0.6 * rate < (distribution.p_values(after) <= rate).mean() < 1.1 * rate

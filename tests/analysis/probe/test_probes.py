from __future__ import annotations

import numpy as np
import pytest

from sardino_core.analysis.probe.config import ProbeConfig
from sardino_core.analysis.probe.probes import KINDS, Prober, reduced, standardised

CONFIG = ProbeConfig(trees=10)
PROBER = Prober(CONFIG, 3)


def clouds(count: int = 300, columns: int = 4, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Three classes whose means differ in column 2 alone."""
    rng = np.random.default_rng(seed)
    label = rng.integers(0, 3, count)
    x = rng.normal(size=(count, columns))
    x[:, 2] += 6 * label
    return x.astype(np.float32), label


HALVES = [(np.arange(150), np.arange(150, 300)), (np.arange(150, 300), np.arange(150))]


@pytest.mark.parametrize("kind", KINDS)
def test_what_lies_open_is_found_and_the_column_that_holds_it(kind):
    x, label = clouds()
    z, truth = clouds(seed=1)
    assert (PROBER.predict(kind, x, label, HALVES, z) == truth).mean() > 0.97
    assert PROBER.best_column(kind, x, label, HALVES) == 2


@pytest.mark.parametrize("kind", KINDS)
def test_a_probe_is_the_same_each_time_and_does_not_see_the_rest_of_what_it_is_asked(kind):
    x, label = clouds()
    z, _ = clouds(seed=1)
    found = PROBER.predict(kind, x, label, HALVES, z)
    np.testing.assert_array_equal(found, PROBER.predict(kind, x, label, HALVES, z))
    np.testing.assert_array_equal(found[:7], PROBER.predict(kind, x, label, HALVES, z[:7]))


@pytest.mark.parametrize("kind", KINDS)
def test_of_one_class_that_class_is_all_there_is_to_say(kind):
    x, _ = clouds()
    assert (PROBER.predict(kind, x, np.full(300, 1), HALVES, x) == 1).all()


def test_balance_lets_a_rare_class_be_named():
    rng = np.random.default_rng(0)
    label = (rng.random(2000) < 0.03).astype(np.int64)
    x = (rng.normal(size=(2000, 1)) + label[:, None]).astype(np.float32)
    halves = [(np.arange(1000), np.arange(1000, 2000))]
    named = {
        balance: (Prober(ProbeConfig(balance=balance), 2).predict("linear", x, label, halves, x) == 1).sum()
        for balance in (True, False)
    }
    assert named[False] < (label == 1).sum() < named[True]


def test_standardising_learns_from_what_fits_alone():
    x, _ = clouds()
    x[:, 1] = 5
    a, b = standardised(x, 3 * x + 1)
    np.testing.assert_allclose(a.mean(axis=0), 0, atol=1e-5)
    np.testing.assert_allclose(a.std(axis=0), [1, 0, 1, 1], atol=1e-4)
    np.testing.assert_allclose(b[:, 0], (3 * x[:, 0] + 1 - x[:, 0].mean()) / x[:, 0].std(), rtol=1e-4)


def test_components_are_those_of_what_fits_alone_and_of_the_size_asked_for():
    x, _ = clouds(columns=9)
    z, _ = clouds(columns=9, seed=1)
    a, b = reduced([(x, z)], 3, 0)
    assert a.shape == b.shape == (300, 3)
    inner = (x - x.mean(axis=0)) / x.std(axis=0)
    _, _, axes = np.linalg.svd(inner, full_matrices=False)
    np.testing.assert_allclose(np.abs(a), np.abs(inner @ axes[:3].T) / 3, atol=1e-4)
    shifted, _ = reduced([(x, 100 * z)], 3, 0)
    np.testing.assert_array_equal(a, shifted)


def test_one_column_beside_many_is_not_lost():
    rng = np.random.default_rng(0)
    head, tokens = rng.normal(size=(500, 1)).astype(np.float32), rng.normal(size=(500, 60)).astype(np.float32)
    found, _ = reduced([(head, head), (tokens, tokens)], 2, 0)
    assert abs(np.corrcoef(found[:, 0], head[:, 0])[0, 1]) > 0.95


def test_fewer_columns_than_asked_for_are_all_kept():
    x, _ = clouds()
    assert reduced([(x, x)], 32, 0)[0].shape == (300, 4)

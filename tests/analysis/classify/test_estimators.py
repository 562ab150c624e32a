"""Classifiers: blocked cross-validation tells the truth where a random split would flatter; threads change nothing."""

import numpy as np
import pytest

from sardino_core.analysis.agreement import agreement
from sardino_core.analysis.classify import estimators
from sardino_core.analysis.classify.estimators import cross_validated, fitted, probabilities, require_enough
from sardino_core.contract.errors import NoValidData, SettingInvalid
from sardino_core.contract.jobs import METHODS


def table(separation, areas=4, pixels=30, seed=0):
    """(n, 3) features of two classes in `areas` areas each; every area has an offset of its own."""
    random = np.random.default_rng(seed)
    group = np.repeat(np.arange(2 * areas), pixels)
    label = group // areas
    own = random.normal(size=(2 * areas, 3))[group]
    x = separation * label[:, None] + own + 0.1 * random.normal(size=(len(label), 3))
    return x.astype(np.float32), label, group


def no_report(fraction):
    assert 0 <= fraction <= 1


@pytest.mark.parametrize("method", METHODS)
def test_separable_classes_are_learnt(method):
    x, label, group = table(8.0)
    found = cross_validated(method, x, label, group, 0, no_report)
    assert found.counts.sum() == len(label) and found.folds == 4 and found.groups == 8
    assert agreement(found.counts).overall > 0.95
    model = fitted(method, x, label, 0)
    shares = probabilities(model, x)
    assert shares.shape == (len(x), 2) and shares.dtype == np.float32
    np.testing.assert_allclose(shares.sum(axis=1), 1, atol=1e-5)
    assert (shares.argmax(axis=1) == label).mean() > 0.95


def test_areas_that_only_know_themselves_do_not_pass_for_knowledge():
    x, label, group = table(0.0, areas=6)
    blocked = agreement(cross_validated("forest", x, label, group, 0, no_report).counts).overall
    flattered = agreement(cross_validated("forest", x, label, np.arange(len(label)), 0, no_report).counts).overall
    assert flattered > 0.95 and blocked < 0.8


@pytest.mark.parametrize("method", METHODS)
def test_threads_and_portions_change_nothing(method, monkeypatch):
    x, label, _ = table(1.0)
    model = fitted(method, x, label, 0)
    whole = probabilities(model, x)
    monkeypatch.setattr(estimators, "_AT_A_TIME", 37)
    monkeypatch.setattr("os.cpu_count", lambda: 1)
    np.testing.assert_allclose(probabilities(model, x), whole, atol=1e-6)
    np.testing.assert_array_equal(probabilities(fitted(method, x, label, 0), x), probabilities(model, x))


def test_too_little_is_refused():
    label, group = np.array([0, 0, 1, 1]), np.array([0, 1, 2, 2])
    with pytest.raises(
        SettingInvalid, match=r"^The class trees has one training polygon; .*two or more of every class"
    ):
        require_enough(label, group, ["water", "trees"], "forest", "polygons")
    with pytest.raises(SettingInvalid, match="points in one square of 32 pixels"):
        require_enough(label, group, ["water", "trees"], "forest", "points")
    with pytest.raises(NoValidData, match="No valid pixel lies in the training polygons of bare"):
        require_enough(label, np.array([0, 1, 2, 3]), ["water", "trees", "bare"], "forest", "polygons")
    with pytest.raises(SettingInvalid, match="4 training pixels; k-nearest neighbours need 30"):
        require_enough(label, np.array([0, 1, 2, 3]), ["water", "trees"], "knn", "polygons")
    require_enough(label, np.array([0, 1, 2, 3]), ["water", "trees"], "forest", "polygons")

"""Metrics against definitions spelled out in loops, and against scikit-learn's own."""

from __future__ import annotations

import math

import numpy as np
import pytest
from sklearn.metrics import f1_score, jaccard_score, mutual_info_score

from sardino_core.analysis.probe.scores import (
    binned_information,
    bootstrap_draws,
    class_entropy,
    confusion,
    information_within,
    interval,
    mean_iou,
    mutual_information,
    resampled_miou,
    score,
)


def labels(count: int = 400, kinds: int = 4, right: float = 0.6, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    label = rng.choice(kinds, count, p=np.arange(1, kinds + 1) / (kinds * (kinds + 1) / 2))
    return label, np.where(rng.random(count) < right, label, rng.integers(0, kinds, count))


def test_scores_are_those_of_scikit_learn():
    label, predicted = labels()
    found = score(confusion(label, predicted, 4))
    assert found.miou == pytest.approx(jaccard_score(label, predicted, average="macro"))
    np.testing.assert_allclose(found.f1, f1_score(label, predicted, average=None))
    assert found.accuracy == pytest.approx((label == predicted).mean())
    assert found.information == pytest.approx(mutual_info_score(label, predicted))


def test_a_class_that_is_only_predicted_lowers_the_others_and_does_not_count_itself():
    label, predicted = np.array([0, 0, 0, 1]), np.array([0, 0, 2, 1])
    found = score(confusion(label, predicted, 4))
    assert found.miou == pytest.approx((2 / 3 + 1) / 2)
    assert found.f1[2] == 0
    assert math.isnan(found.f1[3])


def test_information_is_nothing_when_independent_and_all_when_right():
    counts = np.outer([10, 20, 30], [1, 2, 3])
    assert mutual_information(counts) == pytest.approx(0, abs=1e-12)
    assert mutual_information(np.diag([10, 20, 30])) == pytest.approx(class_entropy(np.repeat([0, 1, 2], [10, 20, 30])))


def test_class_entropy_of_even_classes_is_the_logarithm_of_their_number():
    assert class_entropy(np.arange(4).repeat(25)) == pytest.approx(math.log(4))
    assert class_entropy(np.zeros(10, np.int64)) == 0


def test_binned_information_sees_a_threshold_whatever_the_scale_and_nothing_in_noise():
    rng = np.random.default_rng(1)
    values = rng.random(20_000)
    label = (values > 0.75).astype(np.int64)
    expected = -(0.25 * math.log(0.25) + 0.75 * math.log(0.75))
    assert binned_information(values, label, 16) == pytest.approx(expected, abs=0.01)
    assert binned_information(np.exp(9 * values), label, 16) == binned_information(values, label, 16), "ranks alone"
    noise = [binned_information(rng.random(2000), rng.integers(0, 5, 2000), 16) for _ in range(20)]
    assert np.mean(noise) < 0.004, "without the correction it is (16 - 1) (5 - 1) / 4000 = 0.015"


def test_binned_information_of_few_distinct_values_is_that_of_their_table():
    label, values = labels(4000)
    found = binned_information(values.astype(np.float32), label, 256)
    assert found == pytest.approx(mutual_info_score(label, values), abs=0.005)


def test_a_constant_tells_nothing():
    assert binned_information(np.ones(100), np.arange(100) % 3, 16) == 0


def test_draws_are_as_many_places_as_there_are_and_the_same_for_the_same_seed():
    draws = bootstrap_draws(7, 50, 3)
    assert (draws.sum(axis=1) == 7).all()
    np.testing.assert_array_equal(draws, bootstrap_draws(7, 50, 3))
    assert (draws != bootstrap_draws(7, 50, 4)).any()


def test_a_resample_scores_the_places_drawn_laid_together():
    parts = [labels(100, seed=seed) for seed in range(3)]
    by_group = np.stack([confusion(label, predicted, 4) for label, predicted in parts])
    draws = np.array([[1, 1, 1], [2, 0, 1]])
    label = np.concatenate([parts[i][0] for i in (0, 0, 2)])
    predicted = np.concatenate([parts[i][1] for i in (0, 0, 2)])
    found = resampled_miou(by_group, draws)
    assert found[0] == pytest.approx(mean_iou(by_group.sum(axis=0)))
    assert found[1] == pytest.approx(jaccard_score(label, predicted, average="macro"))


def test_paired_differences_are_surer_than_the_scores_themselves():
    """One place is hard for both sets: they differ by little in each draw, though each varies much."""
    rng = np.random.default_rng(0)
    parts = [labels(300, right=right, seed=index) for index, right in enumerate((0.2, 0.9, 0.5, 0.8, 0.3, 0.95))]
    first = np.stack([confusion(label, predicted, 4) for label, predicted in parts])
    second = np.stack([confusion(y, np.where(rng.random(300) < 0.05, rng.integers(0, 4, 300), p), 4) for y, p in parts])
    draws = bootstrap_draws(6, 500, 0)
    one, other = resampled_miou(first, draws), resampled_miou(second, draws)
    width = np.subtract(*interval(one)[::-1])
    low, high = interval(one - other)
    assert high - low < width / 3
    assert low > 0


def test_within_places_a_number_that_tells_the_place_alone_tells_nothing():
    """Two places with one class each to three quarters: knowing the place is knowing the class, and no more."""
    rng = np.random.default_rng(0)
    place = np.arange(6000) % 2
    label = np.where(rng.random(6000) < 0.75, place, 1 - place)
    brightness = place + rng.random(6000) / 2
    assert binned_information(brightness, label, 16) > 0.1
    assert information_within(brightness, label, place, 16) < 0.003
    texture = label + 10 * place + rng.random(6000) / 2
    expected = np.mean([class_entropy(label[place == number]) for number in (0, 1)])
    assert information_within(texture, label, place, 16) == pytest.approx(expected, abs=0.03)

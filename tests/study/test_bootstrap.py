from __future__ import annotations

import numpy as np
import pytest

from sardino_core.contract.model_spec import ClassSpec
from sardino_core.study.bootstrap import (
    SCORES,
    accuracy,
    drawn,
    draws_of,
    estimate,
    macro_f1,
    miou,
    placewise,
    pooled,
    sample,
)
from sardino_core.training.landcover.scores import Confusion
from sardino_core.training.windows.targets import ClassSets

CLASSES = tuple(ClassSpec(value, str(value), "#000000") for value in (1, 2, 3, 4))


def random_counts(seeds=2, places=5, classes=4):
    return np.random.default_rng(0).integers(1, 99, (seeds, places, classes, classes))


def test_scores_are_those_of_a_confusion_matrix():
    matrix = random_counts(1, 1)[0, 0]
    matrix[2] = 0  # a class that the reference lacks
    sets = ClassSets.of(CLASSES, ())
    metrics = Confusion(sets, np.vstack([np.zeros((1, 4), np.int64), matrix])).metrics()
    assert miou(matrix) == pytest.approx(metrics["miou"])
    assert accuracy(matrix) == pytest.approx(metrics["accuracy"])
    assert macro_f1(matrix) == pytest.approx(np.mean([v for name, v in metrics.items() if name.startswith("f1 ")]))


def test_the_interval_of_a_mean_is_the_known_one():
    """Accuracy over places of one size is the mean of theirs: its standard error is sigma / sqrt(P)."""
    rng = np.random.default_rng(1)
    right = rng.integers(400, 601, 200)  # of 1000 pixels each
    counts = np.zeros((1, 200, 2, 2), np.int64)
    counts[0, :, 0, 0], counts[0, :, 0, 1] = right, 1000 - right
    found = estimate(counts, accuracy, drawn(200, 4000))
    error = (right / 1000).std() / np.sqrt(200)
    assert found.value == pytest.approx(right.mean() / 1000)
    assert found.low == pytest.approx(found.value - 1.96 * error, abs=0.12 * error)
    assert found.high == pytest.approx(found.value + 1.96 * error, abs=0.12 * error)


def test_seeds_of_a_place_are_no_further_places():
    """The same place three times over as three seeds leaves the interval as it is."""
    once = random_counts(1, 12)
    weights = drawn(12, 300)
    assert estimate(np.repeat(once, 3, axis=0), miou, weights) == estimate(once, miou, weights)


@pytest.mark.parametrize("score", list(SCORES))
@pytest.mark.parametrize("average", [pooled, placewise])
def test_an_arm_does_not_differ_from_itself(score, average):
    counts = random_counts()
    found = estimate(counts, SCORES[score], drawn(5, 200), counts, average)
    assert (found.value, found.low, found.high) == (0, 0, 0)


def test_pairing_takes_out_what_the_places_have_in_common():
    """Places differ a lot, the arms by one pixel in a hundred everywhere: the difference is known exactly."""
    right = np.linspace(100, 900, 30).astype(np.int64)
    counts = np.zeros((1, 30, 2, 2), np.int64)
    counts[0, :, 0, 0], counts[0, :, 0, 1] = right, 1000 - right
    better = counts.copy()
    better[0, :, 0, 0] += 10
    better[0, :, 0, 1] -= 10
    weights = drawn(30, 500)
    found = estimate(better, accuracy, weights, counts)
    assert (found.value, found.low, found.high) == pytest.approx((0.01, 0.01, 0.01))
    alone = estimate(better, accuracy, weights)
    assert alone.high - alone.low > 0.1


def test_every_resample_has_as_many_places():
    weights = drawn(7, 50)
    assert weights.shape == (50, 7)
    assert set(weights.sum(axis=1).tolist()) == {7}
    assert np.array_equal(weights, drawn(7, 50))


def test_a_place_without_the_score_is_left_out_of_the_mean():
    counts = random_counts(1, 3)
    counts[0, 1] = 0
    own = accuracy(counts)[0]
    assert np.isnan(own[1])
    assert placewise(counts, accuracy, np.ones((1, 3), np.int64))[0] == pytest.approx((own[0] + own[2]) / 2)


def shares(right):
    """Counts of two classes, (seeds, P), of which so many pixels in a thousand are right."""
    right = np.asarray(right)
    counts = np.zeros((*right.shape, 2, 2), np.int64)
    counts[..., 0, 0], counts[..., 0, 1] = right, 1000 - right
    return counts


def test_seeds_vary_in_the_interval_along_with_places():
    """Of places and seeds that add up, the standard error is known: sqrt(var(places) / P + var(seeds) / S)."""
    rng = np.random.default_rng(2)
    places, seeds = rng.integers(400, 501, 60), rng.integers(0, 101, 40)
    counts = shares(seeds[:, None] + places)
    found = sample(counts, accuracy, draws_of(counts, 4000)).interval
    error = np.hypot(places.std() / np.sqrt(60), seeds.std() / np.sqrt(40)) / 1000
    assert found.low == pytest.approx(found.value - 1.96 * error, abs=0.12 * error)
    assert found.high == pytest.approx(found.value + 1.96 * error, abs=0.12 * error)


@pytest.mark.parametrize("average", [pooled, placewise])
def test_a_difference_is_paired_over_seeds_and_places(average):
    right = np.random.default_rng(3).integers(100, 900, (4, 9))
    first, second = shares(right + 10), shares(right)
    draws = draws_of(first, 300)
    found = sample(first, accuracy, draws, average) - sample(second, accuracy, draws, average)
    assert (found.interval.value, found.interval.low, found.interval.high) == pytest.approx((0.01, 0.01, 0.01))
    assert found.seeds == pytest.approx([0.01] * 4)
    assert found.interval.leaves_out_0


def test_all_resamples_average_over_the_same_classes():
    """A class that one place has, and that is never right, is in every mean: one half, and never one."""
    counts = np.zeros((1, 6, 3, 3), np.int64)
    counts[0, :, 0, 0] = 100
    counts[0, 2, 1, 2] = 100
    found = sample(counts, miou, draws_of(counts, 500))
    assert set(found.resampled.tolist()) == {0.5}
    assert set(pooled(counts, miou, drawn(6, 500)).tolist()) == {0.5, 1.0}  # what is avoided


def test_resamples_that_lack_a_class_are_drawn_again_until_they_are_enough():
    classes = np.eye(4, dtype=bool)  # each in a place of its own: one resample in 11 has all
    weights = drawn(4, 50, 0, classes)
    assert weights.tolist() == [[1, 1, 1, 1]] * 50
    hopeless = np.zeros((1, 25, 25, 25), np.int64)
    hopeless[0, np.arange(25), np.arange(25), np.arange(25)] = 9
    found = sample(hopeless, miou, draws_of(hopeless, 100)).interval
    assert found.value == 1
    assert not found.known


@pytest.mark.parametrize(("places", "known"), [(1, False), (2, False), (3, True)])
def test_few_places_have_no_interval(places, known):
    counts = random_counts(2, places)
    found = sample(counts, miou, draws_of(counts, 200)) - sample(counts[::-1], miou, draws_of(counts, 200))
    assert found.interval.known == known
    assert known or not found.interval.leaves_out_0

from __future__ import annotations

import numpy as np
import pytest

from sardino_core.contract.model_spec import ClassSpec
from sardino_core.study.bootstrap import SCORES, accuracy, drawn, estimate, macro_f1, miou, placewise, pooled
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

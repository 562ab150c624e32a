"""Clusters of points: the same for the same points, ordered by backscatter, as many as the points bear."""

import numpy as np
import pytest

from sardino_core.analysis.explore.kmeans import (
    AGREEMENT,
    choose_clusters,
    fit_clusters,
    nearest,
    ordered,
    squared_distances,
)
from sardino_core.contract.errors import SettingInvalid


def blobs(clusters, each=150, seed=0):
    """Points (samples, 4) in so many separate heaps, and the heap of each."""
    random = np.random.default_rng(seed)
    centres = 20 * np.eye(8, 4)[:, :4] if clusters <= 4 else random.normal(0, 30, (clusters, 4))
    names = np.repeat(np.arange(clusters), each)
    return (centres[names] + random.normal(0, 1, (len(names), 4))).astype(np.float32), names


def silent(fraction, message):
    pass


def test_heaps_are_found_and_found_again():
    points, names = blobs(4)
    centres = fit_clusters(points, 4)
    found = nearest(points, centres)
    assert all(len(set(found[names == name])) == 1 for name in range(4)) and len(set(found)) == 4
    np.testing.assert_array_equal(centres, fit_clusters(points, 4))


def test_the_number_of_heaps_is_chosen_and_the_reason_told():
    points, _ = blobs(4)
    heard = []
    choice = choose_clusters(points, lambda fraction, message: heard.append(fraction))
    assert choice.clusters >= 4 and choice.agreement[choice.clusters] >= AGREEMENT
    assert choice.agreement[4] == pytest.approx(1)
    assert all(choice.agreement[more] < AGREEMENT for more in choice.agreement if more > choice.clusters)
    assert f"{choice.clusters} clusters were chosen: of 2 to 12" in choice.reason
    assert heard == sorted(heard) and heard[0] >= 0 and heard[-1] < 1


def test_where_no_number_agrees_the_best_is_taken_and_said():
    points = np.random.default_rng(0).normal(size=(400, 12)).astype(np.float32)
    choice = choose_clusters(points, silent)
    assert max(choice.agreement.values()) < AGREEMENT
    assert choice.agreement[choice.clusters] == max(choice.agreement.values())
    assert "no number" in choice.reason


def test_the_order_is_from_dark_to_bright_and_nobody_is_lost():
    points, names = blobs(4)
    db = np.array([-5.0, -20.0, -10.0, -15.0])[names][:, None] + np.array([0.0, -7.0])
    found = ordered(points, fit_clusters(points, 4), db.astype(np.float32))
    np.testing.assert_allclose(found.backscatter_db[:, 0], [-20, -15, -10, -5], atol=1e-4)
    now = nearest(points, found.centres)
    assert [int(np.unique(now[names == name])[0]) for name in range(4)] == [3, 0, 2, 1]
    assert found.variance == pytest.approx(1, rel=0.1)


def test_a_centre_without_points_is_dropped():
    points, _ = blobs(2)
    far = np.vstack([fit_clusters(points, 2), np.full((1, 4), 1e4, np.float32)])
    assert len(ordered(points, far, np.zeros((len(points), 1), np.float32)).centres) == 2


def test_distances_are_those_of_the_definition():
    random = np.random.default_rng(1)
    points, centres = random.normal(size=(5, 3)).astype(np.float32), random.normal(size=(2, 3)).astype(np.float32)
    expected = ((points[:, None] - centres) ** 2).sum(axis=2)
    np.testing.assert_allclose(squared_distances(points, centres), expected, rtol=1e-4)


@pytest.mark.parametrize(("act", "words"), [(lambda p: fit_clusters(p, 4), "3 distinct"),
                                            (lambda p: choose_clusters(p, silent), "too few")])  # fmt: skip
def test_too_few_distinct_points_are_refused(act, words):
    points = np.repeat(np.eye(3, dtype=np.float32), 20, axis=0)
    with pytest.raises(SettingInvalid, match=words):
        act(points)

"""The steady space keeps what belongs to a place and leaves out what belongs to the window."""

import numpy as np
import pytest

from sardino_core.analysis.explore.likeness import MarkedPoints, cosines
from sardino_core.analysis.explore.steady import SteadySpace


def seen(places=300, windows=4, width=10, seed=0):
    """Tokens (places, windows, width): places differ in two dimensions, windows in two others, five times as much."""
    random = np.random.default_rng(seed)
    tokens = 0.05 * random.normal(size=(places, windows, width)) + 3
    ground = random.normal(size=(places, 2))
    tokens[:, :, :2] += ground[:, None]
    tokens[:, :, 5:7] += 5 * random.normal(size=(places, windows, 2))
    return tokens.astype(np.float32), ground


def test_what_changes_with_the_window_is_left_out():
    tokens, ground = seen()
    space = SteadySpace.fit(tokens, 2)
    points = space.apply(tokens)
    assert np.abs(points - points.mean(axis=1, keepdims=True)).mean() < 0.1 * points.std()
    design = np.column_stack([points.mean(axis=1), np.ones(len(points))])
    left = ground - design @ np.linalg.lstsq(design, ground, rcond=None)[0]
    assert left.std() < 0.1  # both dimensions of the ground can be read from it
    assert 0.9 < space.moved < 1


def test_without_a_second_window_it_is_principal_components():
    tokens, _ = seen(windows=1)
    space = SteadySpace.fit(tokens, 2)
    assert space.moved == 0
    largest = np.abs(space.basis).argmax(axis=0)
    assert set(largest) == {5, 6}


def test_places_that_are_all_the_same_are_no_error():
    points = SteadySpace.fit(np.ones((5, 4, 6), np.float32), 3).apply(np.ones((2, 6), np.float32))
    np.testing.assert_array_equal(points, 0)


def test_cosines_of_a_reference_with_itself_its_opposite_and_nothing():
    reference = np.array([[3.0, 4.0], [0.0, 2.0]], np.float32)
    points = np.array([[[3.0, -6.0, 0.0]], [[4.0, -8.0, 0.0]]], np.float32)  # (N, h, w)
    np.testing.assert_allclose(cosines(points, reference)[:, 0], [[1, -1, 0], [0.8, -0.8, 0]], atol=1e-6)


def test_marked_points_are_means_by_marked_pixels():
    marked = MarkedPoints(2, 1)
    points = np.array([[[1.0], [2.0]], [[3.0], [4.0]]], np.float32)
    shares = np.array([[[1, 0], [0, 3]], [[0, 0], [0, 0]]], np.float32)
    marked.add(points, shares)
    marked.add(points, shares)
    assert marked.pixels.tolist() == [8, 0]
    with np.errstate(invalid="ignore"):
        assert marked.mean()[0, 0] == pytest.approx((1 + 3 * 4) / 4)

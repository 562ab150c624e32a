import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sardino_core.analysis.stratified import allocate, draw_ranks, locate
from sardino_core.contract.errors import SettingInvalid


def test_rare_classes_get_the_minimum_and_the_rest_is_proportional():
    assert allocate([200, 150, 30_000, 70_000], 500, 50) == [50, 50, 120, 280]


@given(st.lists(st.integers(1, 10**9), min_size=1, max_size=12), st.integers(2, 3000), st.integers(2, 80))
def test_allocation_sums_up_and_keeps_to_its_bounds(pixels, size, minimum):
    least = [min(minimum, count) for count in pixels]
    if size < sum(least):
        with pytest.raises(SettingInvalid, match=f"at least {sum(least)} points"):
            allocate(pixels, size, minimum)
        return
    points = allocate(pixels, size, minimum)
    assert sum(points) == min(size, sum(pixels))
    assert all(low <= count <= most for low, count, most in zip(least, points, pixels, strict=True))
    raised = [low < count for low, count in zip(least, points, strict=True)]
    rates = [count / most for count, most, above in zip(points, pixels, raised, strict=True) if above]
    rounding = max((2 / most for most, above in zip(pixels, raised, strict=True) if above), default=0)
    assert not rates or max(rates) - min(rates) <= rounding  # proportional where not held up by the minimum


def cut(values, rows):
    return [(values[row : row + rows], values[row : row + rows] > 0) for row in range(0, len(values), rows)]


@settings(max_examples=30)
@given(st.integers(1, 40), st.integers(0, 1000))
def test_drawn_pixels_are_distinct_and_of_their_class_however_the_map_is_cut(rows, seed):
    values = np.random.default_rng(seed).choice([0, 10, 30, 80], (37, 23), p=[0.1, 0.5, 0.39, 0.01]).astype(np.uint8)
    classes = [int(value) for value in np.unique(values) if value]
    pixels = [int((values == value).sum()) for value in classes]
    points = [min(7, count) for count in pixels]
    ranks = dict(zip(classes, draw_ranks(pixels, points, seed), strict=True))
    found = [
        (value, number * rows + row, col)
        for number, window in enumerate(locate(cut(values, rows), ranks))
        for value, row, col in window
    ]
    assert len(set(found)) == len(found) == sum(points)
    assert all(values[row, col] == value for value, row, col in found)
    whole = next(locate(cut(values, 37), ranks))
    assert sorted(found) == sorted(whole)


def test_every_pixel_is_drawn_equally_often():
    values = np.full((6, 10), 10, np.uint8)
    times = np.zeros(values.shape)
    for seed in range(2000):
        (window,) = locate([(values, values > 0)], {10: draw_ranks([60], [12], seed)[0]})
        for _, row, col in window:
            times[row, col] += 1
    expected = 2000 * 12 / 60
    spread = np.sqrt(2000 * 0.2 * 0.8)
    assert np.abs(times - expected).max() < 4.5 * spread


def test_other_seeds_draw_other_pixels():
    one, same, other = (draw_ranks([10_000], [50], seed)[0].tolist() for seed in (1, 1, 2))
    assert one == same != other

"""Estimators of Olofsson et al. (2014): their worked example, a second computation, and repeated sampling."""

import math

import numpy as np
import pytest

from sardino_core.analysis.area_adjusted import Z_95, area_adjusted

# Section 5 of the paper: sample counts, and mapped areas in pixels of 30 m (deforestation, forest gain, stable forest,
# stable non-forest).
COUNTS = np.array([[66, 0, 5, 4], [0, 55, 8, 12], [1, 0, 153, 11], [2, 1, 9, 313]])
MAPPED = np.array([200_000, 150_000, 3_200_000, 6_450_000])


def by_hand(counts, pixels):
    """The same equations, written once more with loops and pixel counts, as the paper prints them."""
    size, total = len(pixels), sum(pixels)
    n = [sum(row) for row in counts]
    weight = [count / total for count in pixels]
    p = [[weight[i] * counts[i][j] / n[i] for j in range(size)] for i in range(size)]
    users = [counts[i][i] / n[i] for i in range(size)]
    overall = sum(p[i][i] for i in range(size))
    overall_se = math.sqrt(sum(weight[i] ** 2 * users[i] * (1 - users[i]) / (n[i] - 1) for i in range(size)))
    users_se = [math.sqrt(users[i] * (1 - users[i]) / (n[i] - 1)) for i in range(size)]
    share = [sum(p[i][k] for i in range(size)) for k in range(size)]
    share_se = [
        math.sqrt(sum((weight[i] * p[i][k] - p[i][k] ** 2) / (n[i] - 1) for i in range(size))) for k in range(size)
    ]
    producers, producers_se = [], []
    for j in range(size):
        reference_pixels = sum(pixels[i] * counts[i][j] / n[i] for i in range(size))
        producer = p[j][j] / share[j]
        own = pixels[j] ** 2 * (1 - producer) ** 2 * users[j] * (1 - users[j]) / (n[j] - 1)
        rest = sum(
            pixels[i] ** 2 * counts[i][j] / n[i] * (1 - counts[i][j] / n[i]) / (n[i] - 1) for i in range(size) if i != j
        )
        producers.append(producer)
        producers_se.append(math.sqrt((own + producer**2 * rest) / reference_pixels**2))
    return (overall, overall_se), (users, users_se), (producers, producers_se), (share, share_se)


def close(estimates, expected):
    values, errors = expected
    assert [item.value for item in estimates] == pytest.approx(values, rel=1e-12)
    assert [item.half_width for item in estimates] == pytest.approx([Z_95 * error for error in errors], rel=1e-12)


def test_the_worked_example_of_the_paper():
    found = area_adjusted(COUNTS, MAPPED / MAPPED.sum())
    assert round(found.overall.value, 2) == 0.95 and round(found.overall.half_width, 2) == 0.02
    assert [round(item.value, 2) for item in found.users] == [0.88, 0.73, 0.93, 0.96]
    assert [round(item.half_width, 2) for item in found.users] == [0.07, 0.10, 0.04, 0.02]
    pixels = [10_000_000 * found.shares[0].value, 10_000_000 * found.shares[0].half_width]
    assert [round(value) for value in pixels] == [235_086, 68_418]  # deforestation; 21 158 ± 6 158 ha
    assert [round(value * 0.09) for value in pixels] == [21_158, 6_158]


def test_the_equations_written_twice_agree():
    rng = np.random.default_rng(1)
    for counts, pixels in ((COUNTS, MAPPED), (rng.integers(1, 40, (5, 5)), rng.integers(10, 10**6, 5))):
        found = area_adjusted(counts, pixels / pixels.sum())
        overall, users, producers, shares = by_hand(counts.tolist(), pixels.tolist())
        close([found.overall], ([overall[0]], [overall[1]]))
        close(found.users, users)
        close(found.producers, producers)
        close(found.shares, shares)


def test_repeated_samples_scatter_as_the_intervals_say():
    """Draw from a known population many times: the mean estimate is the truth, the spread is the standard error."""
    rng = np.random.default_rng(7)
    weights = np.array([0.05, 0.25, 0.6, 0.1])  # the last stratum is `unsure`
    truth = np.array([[0.8, 0.1, 0.1], [0.05, 0.85, 0.1], [0.02, 0.08, 0.9], [0.3, 0.3, 0.4]])  # within the strata
    points = [40, 80, 200, 60]
    found = [
        area_adjusted(np.stack([rng.multinomial(n, row) for n, row in zip(points, truth, strict=True)]), weights)
        for _ in range(1500)
    ]
    proportions = weights[:, None] * truth
    share, producers = proportions.sum(axis=0), proportions.diagonal() / proportions.sum(axis=0)
    for pick, expected in (
        [(lambda item: item.overall, proportions.diagonal().sum())]
        + [(lambda item, k=k: item.shares[k], share[k]) for k in range(3)]
        + [(lambda item, k=k: item.producers[k], producers[k]) for k in range(3)]
    ):
        values = np.array([pick(item).value for item in found])
        errors = np.array([pick(item).half_width for item in found]) / Z_95
        assert values.mean() == pytest.approx(expected, abs=0.15 * values.std())  # ratios have a small bias
        assert errors.mean() == pytest.approx(values.std(), rel=0.1)
        assert 0.9 <= (np.abs(values - expected) <= Z_95 * errors).mean() <= 0.98


def test_shares_and_proportions_sum_to_the_whole():
    counts = np.array([[20, 3], [5, 30], [4, 9]])
    found = area_adjusted(counts, np.array([0.3, 0.5, 0.2]))
    assert found.proportions.sum() == pytest.approx(1)
    assert sum(item.value for item in found.shares) == pytest.approx(1)
    assert found.overall.value == pytest.approx(0.3 * 20 / 23 + 0.5 * 30 / 35)  # nothing of `unsure` is right


def test_a_class_that_the_map_lacks_has_an_area_but_no_users_accuracy():
    counts = np.array([[20, 3], [0, 0]])
    found = area_adjusted(counts, np.array([1.0, 0.0]))
    assert found.shares[1].value == pytest.approx(3 / 23) and found.shares[1].half_width > 0
    assert math.isnan(found.users[1].value) and found.producers[1].value == 0


def test_a_census_has_no_sampling_error():
    found = area_adjusted(np.array([[1, 0], [2, 8]]), np.array([0.1, 0.9]), np.array([True, False]))
    assert found.users[0].half_width == 0
    assert found.users[1].half_width == pytest.approx(Z_95 * math.sqrt(0.8 * 0.2 / 9))


def test_a_stratum_with_one_point_is_an_error():
    with pytest.raises(ValueError, match="fewer than two"):
        area_adjusted(np.array([[1, 0], [2, 8]]), np.array([0.1, 0.9]))

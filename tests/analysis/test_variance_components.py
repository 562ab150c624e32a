"""Variance components against their definitions, and against data that were made with known ones."""

from __future__ import annotations

import numpy as np
import pytest

from sardino_core.analysis.variance_components import REST, variance_components


def made(shape, sigmas, rng):
    """Normal effects of each named set of axes, broadcast and summed."""
    total = np.zeros(shape)
    for axes, sigma in sigmas.items():
        size = [shape[axis] if axis in axes else 1 for axis in range(len(shape))]
        size[-1] = shape[-1]
        total = total + rng.normal(0, sigma, size)
    return total


def test_a_one_way_table_gives_the_textbook_estimates():
    values = np.random.default_rng(0).normal(size=(7, 4, 1))
    found = variance_components(values, ["place"])
    within = values.var(axis=1, ddof=1).mean()
    between = values.mean(axis=1).var(ddof=1)
    assert found[(REST,)] == pytest.approx(within)
    assert found[("place",)] == pytest.approx(between - within / 4)


def test_without_repetition_the_residual_is_the_interaction():
    values = np.random.default_rng(1).normal(size=(6, 5, 1, 1))
    found = variance_components(values, ["place", "date"])
    table = values[..., 0, 0]
    residual = table - table.mean(1, keepdims=True) - table.mean(0, keepdims=True) + table.mean()
    mean_square = (residual**2).sum() / (5 * 4)
    assert found["place", "date"] == pytest.approx(mean_square)
    assert found[("place",)] == pytest.approx(table.mean(1).var(ddof=1) - mean_square / 5)
    assert (REST,) not in found


def test_known_components_are_found():
    rng = np.random.default_rng(2)
    sigmas = {(0,): 2.0, (1,): 1.0, (2,): 0.5, (0, 1): 0.7, (0, 1, 2, 3): 1.5}
    tables = [variance_components(made((40, 8, 8, 3, 2), sigmas, rng), ["p", "d", "o"]) for _ in range(12)]
    mean = {name: np.mean([table[name] for table in tables]) / 2 for name in tables[0]}  # of two equal dimensions
    assert mean[("p",)] == pytest.approx(4, rel=0.1)
    assert mean[("d",)] == pytest.approx(1, rel=0.25)
    assert mean[("o",)] == pytest.approx(0.25, rel=0.25)
    assert mean["p", "d"] == pytest.approx(0.49, rel=0.05)
    assert mean[(REST,)] == pytest.approx(2.25, rel=0.02)
    for name in (("p", "o"), ("d", "o"), ("p", "d", "o")):
        assert mean[name] == pytest.approx(0, abs=0.03)


@pytest.mark.parametrize("shape", [(3, 2, 1), (1, 4, 2, 1)])
def test_a_table_of_another_form_is_refused(shape):
    with pytest.raises(ValueError, match="no table of 2 factors"):
        variance_components(np.zeros(shape), ["place", "date"])

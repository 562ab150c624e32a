"""How much of a measurement's variance each factor brings: a balanced random-effects analysis of variance.

Expected mean squares of crossed random factors (Searle, Casella & McCulloch 1992, Variance Components, chapter 4).
Arrays alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from math import prod

import numpy as np
from numpy.typing import NDArray

REST = "rest"  # what differs between repetitions under the same conditions

Floats = NDArray[np.float64]


def variance_components(values: Floats, factors: Sequence[str]) -> dict[tuple[str, ...], float]:
    """The variance that each factor, each combination of factors, and repetition brings.

    `values` (n_1, ..., n_k, T, D): an axis for each of the `factors`, T repetitions, D dimensions, whose variances are
    summed. With T = 1 repetition and the combination of all factors cannot be told apart, and come as the latter.
    Unbiased, so that a component that is nothing may come out a little below 0.
    """
    levels = values.shape[: len(factors)]
    if values.ndim != len(factors) + 2 or min(levels) < 2:
        raise ValueError(f"{values.shape} is no table of {len(factors)} factors with two levels at least")
    repetitions = values.shape[-2]
    cells = values.mean(axis=-2)
    subsets = [axes for size in range(len(levels), 0, -1) for axes in combinations(range(len(levels)), size)]
    rest = float(values.var(axis=-2, ddof=1).sum(axis=-1).mean()) if repetitions > 1 else 0.0
    found: dict[tuple[int, ...], float] = {}
    for axes in subsets:  # larger combinations first: a smaller one's mean square holds theirs
        above = sum(_weight(levels, other, repetitions) * found[other] for other in found if set(axes) < set(other))
        square = repetitions * _mean_square(cells, axes)
        found[axes] = (square - rest - above) / _weight(levels, axes, repetitions)
    named = {tuple(factors[axis] for axis in axes): found[axes] for axes in reversed(subsets)}
    return named | ({(REST,): rest} if repetitions > 1 else {})


def _mean_square(cells: Floats, axes: tuple[int, ...]) -> float:
    """Of the effect of these factors together, after that of fewer of them; summed over the dimensions."""
    every = range(cells.ndim - 1)
    effect = np.zeros([cells.shape[axis] if axis in axes else 1 for axis in every] + [cells.shape[-1]])
    for size in range(len(axes) + 1):
        for kept in combinations(axes, size):
            others = tuple(axis for axis in every if axis not in kept)
            effect = effect + (-1.0) ** (len(axes) - size) * cells.mean(axis=others, keepdims=True)
    outside = prod(cells.shape[axis] for axis in every if axis not in axes)
    freedom = prod(cells.shape[axis] - 1 for axis in axes)
    return float(outside * np.square(effect).sum() / freedom)


def _weight(levels: tuple[int, ...], axes: tuple[int, ...], repetitions: int) -> int:
    """How often a level of this combination is seen."""
    return repetitions * prod(count for axis, count in enumerate(levels) if axis not in axes)

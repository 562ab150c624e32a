"""Accuracy and area from a stratified random sample, with confidence intervals. Arrays alone.

P. Olofsson, G. M. Foody, M. Herold, S. V. Stehman, C. E. Woodcock, M. A. Wulder: "Good practices for estimating area
and assessing accuracy of land change", Remote Sensing of Environment 148 (2014) 42-57; equation numbers are theirs.
The strata are the map's classes. An error matrix has the map in its rows and the reference in its columns.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Z_95 = 1.96  # standard errors of a 95 % interval, as the paper has it
Array = NDArray[np.float64]


@dataclass(frozen=True)
class Estimate:
    """An estimate with half the width of its 95 % confidence interval; NaN where there is nothing to estimate from."""

    value: float
    half_width: float


@dataclass(frozen=True)
class AreaAdjusted:
    """Estimates for the whole mapped area; `proportions` (rows, K) is the error matrix in shares of that area."""

    proportions: Array
    overall: Estimate
    users: tuple[Estimate, ...]  # per class
    producers: tuple[Estimate, ...]
    shares: tuple[Estimate, ...]  # of the area, by the reference


def area_adjusted(counts: NDArray[np.int64], weights: Array, census: NDArray[np.bool_] | None = None) -> AreaAdjusted:
    """Estimate from `counts` (R, K) of sample points and `weights` (R,), the rows' shares of the mapped area.

    Row i < K is mapped class i; further rows (`unsure`) are strata that no reference class can agree with. A row of
    weight 0 is a class that the map lacks; every other row needs 2 points, or to be a `census` (R,) of all its pixels,
    which has no sampling error.
    """
    classes = counts.shape[1]
    used = weights > 0
    points = counts.sum(axis=1)
    whole = np.zeros(len(weights), bool) if census is None else census
    if (points[used & ~whole] < 2).any() or (points[used] < 1).any():
        raise ValueError(f"strata with fewer than two points: {points[used].tolist()}")
    within = counts / np.maximum(points, 1)[:, None]  # (R, K), n_ij / n_i.
    proportions = weights[:, None] * within  # (4)
    # Variance of every within-stratum proportion: binomial, with n - 1.
    spread = within * (1 - within) / np.maximum(points - 1, 1)[:, None]
    spread[whole | ~used] = 0.0
    hits, spread_of_hits = within.diagonal(), spread.diagonal()  # U_i, V(U_i) of (2), (6)
    mapped, true = weights[:classes], proportions.sum(axis=0)  # p_i., p_.j of (9)
    share_variance = (weights[:, None] ** 2 * spread).sum(axis=0)  # (10), squared
    own = mapped**2 * spread_of_hits
    with np.errstate(invalid="ignore", divide="ignore"):
        producers = proportions.diagonal() / true  # (3)
        # (7), with proportions of the area in place of numbers of pixels: their ratio cancels.
        producers_variance = ((1 - producers) ** 2 * own + producers**2 * (share_variance - own)) / true**2
    users = np.where(used[:classes], hits, np.nan)
    return AreaAdjusted(
        proportions,
        overall=_estimate(float(proportions.diagonal().sum()), float(own.sum())),  # (1), (5)
        users=_estimates(users, np.where(used[:classes], spread_of_hits, np.nan)),
        producers=_estimates(producers, producers_variance),
        shares=_estimates(true, share_variance),
    )


def _estimate(value: float, variance: float) -> Estimate:
    return Estimate(value, Z_95 * float(np.sqrt(max(variance, 0.0) if variance == variance else variance)))


def _estimates(values: Array, variances: Array) -> tuple[Estimate, ...]:
    return tuple(_estimate(float(value), float(variance)) for value, variance in zip(values, variances, strict=True))

"""Scores from confusion matrices, and their intervals by drawing places again, with replacement. Arrays alone.

The place is what is drawn, with all seeds of it together: pixels of a place, and seeds on a place, are no independent
evidence about other places (Efron & Tibshirani 1993, An Introduction to the Bootstrap, chapters 8 and 13).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Counts = NDArray[np.int64]
LEVEL = 0.95
FEWEST = 3  # places, of which resamples say anything
_AT_A_TIME = 200  # resamples


@dataclass(frozen=True)
class Interval:
    """An estimate, and the percentiles of its resamples that enclose `LEVEL` of them."""

    value: float
    low: float
    high: float


def miou(counts: NDArray[np.generic]) -> Floats:
    """(..., K, K) reference by prediction to the mean IoU over the classes that the reference holds."""
    hits, reference, predicted = _sums(counts)
    return _mean(hits / np.maximum(reference + predicted - hits, 1), reference > 0)


def class_f1(counts: NDArray[np.generic]) -> Floats:
    """(..., K): F1 of each class, NaN of those that the reference does not hold."""
    hits, reference, predicted = _sums(counts)
    return np.where(reference > 0, 2 * hits / np.maximum(reference + predicted, 1), np.nan)


def macro_f1(counts: NDArray[np.generic]) -> Floats:
    """The mean F1 over the classes that the reference holds."""
    each = class_f1(counts)
    return _mean(np.nan_to_num(each), np.isfinite(each))


def accuracy(counts: NDArray[np.generic]) -> Floats:
    """The share of the pixels that are right."""
    hits, reference, _ = _sums(counts)
    total = reference.sum(axis=-1)
    return np.where(total > 0, hits.sum(axis=-1) / np.maximum(total, 1), np.nan)


SCORES: dict[str, Callable[[NDArray[np.generic]], Floats]] = {
    "mIoU": miou,
    "macro F1": macro_f1,
    "accuracy": accuracy,
}


def drawn(places: int, resamples: int, seed: int = 0) -> Counts:
    """(R, P): how often each of P places is in each resample."""
    rng = np.random.default_rng(seed)
    return rng.multinomial(places, np.full(places, 1 / places), size=resamples)


def pooled(counts: Counts, score: Callable[[NDArray[np.generic]], Floats], weights: Counts) -> Floats:
    """(R,): the score of one matrix over all places of a resample, averaged over the seeds.

    `counts` (seeds, P, K, K), `weights` (R, P).
    """
    parts = [
        score(np.einsum("rp,spij->rsij", part, counts)).mean(axis=1)
        for part in np.split(weights, range(_AT_A_TIME, len(weights), _AT_A_TIME))
    ]
    return np.concatenate(parts)


def placewise(counts: Counts, score: Callable[[NDArray[np.generic]], Floats], weights: Counts) -> Floats:
    """(R,): each place's own score, averaged over the seeds, then over the places of a resample."""
    own = score(counts).mean(axis=0)  # (P,)
    known = np.isfinite(own)
    total = (weights * known).sum(axis=1)
    found: Floats = (weights * np.where(known, own, 0.0)).sum(axis=1) / np.maximum(total, 1)
    return found


def interval(value: float, resampled: Floats) -> Interval:
    """Percentile interval."""
    tail = (1 - LEVEL) / 2
    low, high = np.quantile(resampled, [tail, 1 - tail])
    return Interval(value, float(low), float(high))


def estimate(
    counts: Counts,
    score: Callable[[NDArray[np.generic]], Floats],
    weights: Counts,
    less: Counts | None = None,
    average: Callable[..., Floats] = pooled,
) -> Interval:
    """The score, or its paired difference to that of `less` (the same seeds and places), with its interval.

    Of fewer than `FEWEST` places there is no interval: its ends are NaN.
    """
    once = np.ones((1, counts.shape[1]), np.int64)

    def of(which: Counts) -> Floats:
        found = average(counts, score, which)
        return found if less is None else found - average(less, score, which)

    value = float(of(once)[0])
    return interval(value, of(weights)) if counts.shape[1] >= FEWEST else Interval(value, np.nan, np.nan)


def _sums(counts: NDArray[np.generic]) -> tuple[Floats, Floats, Floats]:
    """(..., K) each: pixels that are right, of the reference, of the prediction."""
    values = counts.astype(np.float64)
    return np.diagonal(values, axis1=-2, axis2=-1), values.sum(axis=-1), values.sum(axis=-2)


def _mean(values: Floats, chosen: NDArray[np.bool_]) -> Floats:
    """Over the last axis, of the chosen; NaN where none is."""
    number = chosen.sum(axis=-1)
    return np.where(number > 0, (values * chosen).sum(axis=-1) / np.maximum(number, 1), np.nan)

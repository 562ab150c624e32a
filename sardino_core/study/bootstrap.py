"""Scores from confusion matrices, and their intervals by drawing places and seeds again. Arrays alone.

The place is what is drawn, whole: pixels of a place are no independent evidence about other places (Efron & Tibshirani
1993, An Introduction to the Bootstrap, chapters 8 and 13). Seeds are crossed with places, so both are drawn, each by
itself (Owen 2007, The pigeonhole bootstrap, Annals of Applied Statistics 1). What has one draw is in no interval.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Counts = NDArray[np.int64]
Measure = Callable[[NDArray[np.generic]], Floats]
LEVEL = 0.95
LEAST = 3  # places, below which no interval is told
_AT_A_TIME = 200  # resamples
_ENOUGH = 100  # resamples for percentiles
_ROUNDS = 1000  # of drawing, until enough resamples hold every class


@dataclass(frozen=True)
class Interval:
    """An estimate, and the percentiles of its resamples that enclose `LEVEL` of them; NaN where there are none."""

    value: float
    low: float
    high: float

    @property
    def known(self) -> bool:
        """Whether there is more than the value."""
        return bool(np.isfinite(self.low) and np.isfinite(self.high))

    @property
    def leaves_out_0(self) -> bool:
        """Whether 0 lies outside; never where nothing is known."""
        return self.known and (self.low > 0 or self.high < 0)


@dataclass(frozen=True)
class Draws:
    """How often each place and each seed is in each resample; the same for all arms, so that they can be paired."""

    places: Counts  # (R, P)
    seeds: Counts  # (R, S)


@dataclass(frozen=True)
class Sample:
    """A score over places and seeds, of each seed alone, and of resamples. Less another: their paired difference."""

    value: float
    seeds: Floats  # (S,)
    resampled: Floats  # (R,)
    places: int

    def __sub__(self, other: Sample) -> Sample:
        """Seed by seed and resample by resample."""
        many = min(len(self.resampled), len(other.resampled))
        return Sample(
            self.value - other.value,
            self.seeds - other.seeds,
            self.resampled[:many] - other.resampled[:many],
            min(self.places, other.places),
        )

    @property
    def interval(self) -> Interval:
        """Of the value; without percentiles below `LEAST` places, or where too few resamples held every class."""
        if self.places < LEAST or len(self.resampled) < _ENOUGH:
            return Interval(self.value, np.nan, np.nan)
        return interval(self.value, self.resampled)


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


SCORES: dict[str, Measure] = {
    "mIoU": miou,
    "macro F1": macro_f1,
    "accuracy": accuracy,
}


def held(counts: Counts) -> NDArray[np.bool_]:
    """(P, K): the classes that each place's reference holds; `counts` (seeds, P, K, K)."""
    found: NDArray[np.bool_] = counts.sum(axis=(0, 3)) > 0
    return found


def drawn(places: int, resamples: int, seed: int = 0, classes: NDArray[np.bool_] | None = None) -> Counts:
    """(R, P): how often each of P places is in each resample.

    With `classes` (P, K), what `held` says: a resample that lacks a class which any place holds is drawn again, so that
    a mean over classes is over the same ones in all of them. Fewer than R where next to no resample holds every class.
    """
    rng = np.random.default_rng(seed)
    found = np.zeros((0, places), np.int64)
    for _ in range(_ROUNDS):
        more = rng.multinomial(places, np.full(places, 1 / places), size=resamples)
        if classes is not None:
            more = more[(more @ classes[:, classes.any(axis=0)] > 0).all(axis=1)]
        found = np.concatenate([found, more])
        if len(found) >= resamples:
            break
    return found[:resamples]


def draws_of(counts: Counts, resamples: int, seed: int = 0) -> Draws:
    """Places and seeds, drawn independently; `seed` is of the places, the seeds are always drawn alike."""
    places = drawn(counts.shape[1], resamples, 2 * seed, held(counts))
    return Draws(places, drawn(len(counts), resamples, 1)[: len(places)])


def pooled(counts: Counts, score: Measure, weights: Counts, seeds: Counts | None = None) -> Floats:
    """(R,): the score of one matrix over all places of a resample, averaged over the seeds of it, or over all.

    `counts` (seeds, P, K, K), `weights` (R, P), `seeds` (R, S).
    """
    parts = [
        score(np.einsum("rp,spij->rsij", part, counts))
        for part in np.split(weights, range(_AT_A_TIME, len(weights), _AT_A_TIME))
    ]
    return _over_seeds(np.concatenate(parts), seeds)


def placewise(counts: Counts, score: Measure, weights: Counts, seeds: Counts | None = None) -> Floats:
    """(R,): each place's own score, averaged over the places of a resample, then over the seeds of it, or over all."""
    own = score(counts)  # (S, P)
    known = np.isfinite(own).all(axis=0)
    total = (weights * known).sum(axis=1)
    sums = np.einsum("rp,sp->rs", weights * known, np.where(known, own, 0.0))
    return _over_seeds(np.where(total > 0, sums.T / np.maximum(total, 1), np.nan).T, seeds)


def sample(counts: Counts, score: Measure, draws: Draws, average: Callable[..., Floats] = pooled) -> Sample:
    """What is told of an arm's confusion matrices, (seeds, P, K, K)."""
    once = np.ones((1, counts.shape[1]), np.int64)
    seeds = np.concatenate([average(counts[[seed]], score, once) for seed in range(len(counts))])
    resampled = average(counts, score, draws.places, draws.seeds)
    return Sample(float(seeds.mean()), seeds, resampled, counts.shape[1])


def interval(value: float, resampled: Floats) -> Interval:
    """Percentile interval."""
    tail = (1 - LEVEL) / 2
    low, high = np.quantile(resampled, [tail, 1 - tail])
    return Interval(value, float(low), float(high))


def estimate(
    counts: Counts,
    score: Measure,
    weights: Counts,
    less: Counts | None = None,
    average: Callable[..., Floats] = pooled,
) -> Interval:
    """The score, or its paired difference to that of `less`, with its interval where places alone are drawn."""
    once = np.ones((1, counts.shape[1]), np.int64)

    def of(which: Counts) -> Floats:
        found = average(counts, score, which)
        return found if less is None else found - average(less, score, which)

    return interval(float(of(once)[0]), of(weights))


def _over_seeds(values: Floats, seeds: Counts | None) -> Floats:
    """(R, S) to (R,)."""
    found: Floats = values.mean(axis=1) if seeds is None else (values * seeds).sum(axis=1) / seeds.sum(axis=1)
    return found


def _sums(counts: NDArray[np.generic]) -> tuple[Floats, Floats, Floats]:
    """(..., K) each: pixels that are right, of the reference, of the prediction."""
    values = counts.astype(np.float64)
    return np.diagonal(values, axis1=-2, axis2=-1), values.sum(axis=-1), values.sum(axis=-2)


def _mean(values: Floats, chosen: NDArray[np.bool_]) -> Floats:
    """Over the last axis, of the chosen; NaN where none is."""
    number = chosen.sum(axis=-1)
    return np.where(number > 0, (values * chosen).sum(axis=-1) / np.maximum(number, 1), np.nan)

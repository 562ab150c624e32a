"""From confusion matrices to what is compared: mIoU, F1, mutual information, and intervals of differences."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Scores:
    """Of one confusion matrix; mIoU over the classes that the reference holds."""

    miou: float
    accuracy: float
    f1: Array  # (K,), NaN for a class that neither reference nor prediction has
    information: float  # nats, see `mutual_information`


def confusion(label: Ints, predicted: Ints, count: int) -> Ints:
    """(K, K): reference in the rows, prediction in the columns."""
    return np.bincount(label * count + predicted, minlength=count * count).reshape(count, count)


def score(counts: Ints) -> Scores:
    """Of (K, K)."""
    hits, reference, predicted = counts.diagonal(), counts.sum(axis=1), counts.sum(axis=0)
    with np.errstate(invalid="ignore"):
        f1 = 2 * hits / (reference + predicted)
    accuracy = float(hits.sum() / max(1, counts.sum()))
    return Scores(float(mean_iou(counts)), accuracy, f1, mutual_information(counts))


def mean_iou(counts: NDArray[np.number]) -> Array:
    """Of (..., K, K): over the classes that the reference holds; NaN where it holds none."""
    hits = np.diagonal(counts, axis1=-2, axis2=-1).astype(np.float64)
    reference = counts.sum(axis=-1)
    union = reference + counts.sum(axis=-2) - hits
    seen = reference > 0
    with np.errstate(invalid="ignore"):
        iou = np.where(seen, hits / np.maximum(union, 1), 0.0)
        found: Array = iou.sum(axis=-1) / seen.sum(axis=-1)
    return found


def mutual_information(counts: NDArray[np.number]) -> float:
    """Of rows and columns of a table of counts, in nats.

    Of reference and prediction it bounds from below what the features hold about the class: a prediction is a function
    of them (data processing inequality; Cover & Thomas 2006, theorem 2.8.1).
    """
    shares = counts / max(1, counts.sum())
    expected = shares.sum(axis=1, keepdims=True) * shares.sum(axis=0, keepdims=True)
    seen = shares > 0
    return float((shares[seen] * np.log(shares[seen] / expected[seen])).sum())


def class_entropy(label: Ints) -> float:
    """In nats: what there is to know."""
    shares = np.bincount(label) / len(label)
    return float(-(shares[shares > 0] * np.log(shares[shares > 0])).sum())


def binned_information(values: NDArray[np.floating], label: Ints, bins: int) -> float:
    """Mutual information, in nats, of one number and the class, the number in `bins` bins of equal count.

    Ranks, since attention is comparable across windows by rank at best. Corrected for the bias of finite counts
    (Miller 1955, as in Panzeri et al. 2007, J. Neurophysiol. 98), and not below 0. Equal values share a bin.
    """
    edges = np.quantile(values, np.arange(1, bins) / bins)
    number = np.searchsorted(np.unique(edges), values, side="right")
    kinds = int(label.max()) + 1
    table = np.bincount(number * kinds + label, minlength=bins * kinds).reshape(-1, kinds)
    bias = ((table > 0).sum() - (table.sum(axis=1) > 0).sum() - (table.sum(axis=0) > 0).sum() + 1) / (2 * len(label))
    return max(0.0, mutual_information(table) - float(bias))


def information_within(values: NDArray[np.floating], label: Ints, place: Ints, bins: int) -> float:
    """The same within places: the mean over them, by their patches, of each one's own, in bins of its own.

    All places together a head may tell the class by telling the place, which no new place would bear out.
    """
    numbers, counts = np.unique(place, return_counts=True)
    own = [binned_information(values[place == number], label[place == number], bins) for number in numbers]
    return float(np.average(own, weights=counts))


def bootstrap_draws(groups: int, count: int, seed: int) -> Ints:
    """(count, groups): how often each place is drawn, with replacement, as many as there are; the same for all sets."""
    return np.random.default_rng([seed, 2]).multinomial(groups, np.full(groups, 1 / groups), size=count)


def resampled_miou(by_group: Ints, draws: Ints) -> Array:
    """(draws,) mIoU of the (groups, K, K) confusions, summed as drawn."""
    return mean_iou(np.tensordot(draws, by_group, axes=1))


def interval(values: Array) -> tuple[float, float]:
    """The middle 95 %."""
    low, high = np.nanquantile(values, [0.025, 0.975])
    return float(low), float(high)

"""Agreement of a map with reference labels: counts of pixels to scores. No probability sample, so no intervals."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Agreement:
    """Scores in 0..1, NaN where nothing was there to be scored; per class (K,)."""

    overall: float
    users: Array  # of what is mapped as the class, the share that the reference calls so (precision)
    producers: Array  # of what the reference calls the class, the share that is mapped so (recall)
    f1: Array
    iou: Array


def agreement(counts: NDArray[np.int64]) -> Agreement:
    """Score `counts` (R, K): the map in the rows, the reference in the columns.

    Row i < K is mapped class i; further rows (`unsure`) agree with nothing: they lower the producer's accuracy, F1 and
    IoU of what the reference calls them, and the overall agreement.
    """
    classes = counts.shape[1]
    hits = counts.diagonal().astype(np.float64)
    mapped, true = counts.sum(axis=1)[:classes], counts.sum(axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        return Agreement(
            overall=float(hits.sum() / counts.sum()) if counts.sum() else float("nan"),
            users=hits / mapped,
            producers=hits / true,
            f1=2 * hits / (mapped + true),
            iou=hits / (mapped + true - hits),
        )

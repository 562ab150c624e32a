"""From one confusion matrix over a whole validation set to the numbers that describe a map. No torch, no pixels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sardino_core.training.windows.targets import ClassSets


@dataclass(frozen=True)
class Confusion:
    """`counts` (sets, K): pixels by what the label allows and what was predicted. Row 0, no label, stays empty."""

    sets: ClassSets
    counts: NDArray[np.int64]

    @staticmethod
    def empty(sets: ClassSets) -> Confusion:
        """No pixel yet."""
        return Confusion(sets, np.zeros((len(sets.members), len(sets.classes)), np.int64))

    def add(self, target: NDArray[np.int64], predicted: NDArray[np.int64]) -> None:
        """Count pixels: numbers of sets and indices of classes, of one shape."""
        known = target > 0
        index = target[known] * self.counts.shape[1] + predicted[known]
        self.counts[...] += np.bincount(index, minlength=self.counts.size).reshape(self.counts.shape)

    @property
    def matrix(self) -> NDArray[np.int64]:
        """(K, K): reference by prediction, over the pixels whose label is one class."""
        rows = [self.sets.number([item.value]) for item in self.sets.classes]
        return self.counts[rows]

    def metrics(self) -> dict[str, float]:
        """Accuracy, mIoU and F1 over pixels with one class; `binary_*` of each class over all that allow or exclude it.

        mIoU is the mean over the classes that the reference holds. `agreement` is the share of all labelled pixels
        whose predicted class the label allows.
        """
        matrix = self.matrix
        hits, reference, predicted = matrix.diagonal(), matrix.sum(axis=1), matrix.sum(axis=0)
        found: dict[str, float] = {"pixels": float(self.counts.sum())}
        if self.counts.sum():
            found["agreement"] = float((self.counts * self.sets.table).sum() / self.counts.sum())
        if matrix.sum():
            union = reference + predicted - hits
            found["accuracy"] = float(hits.sum() / matrix.sum())
            found["miou"] = float((hits / np.maximum(union, 1))[reference > 0].mean())
            for index in np.flatnonzero(reference):
                found[f"f1 {self.sets.classes[index].name}"] = float(
                    2 * hits[index] / (reference[index] + predicted[index])
                )
        return found | self._binary()

    def _binary(self) -> dict[str, float]:
        """F1 and IoU of each class against the rest, where sets of several classes settle the matter."""
        found = {}
        table = self.sets.table
        for index, item in enumerate(self.sets.classes):
            positive = self.counts[self.sets.number([item.value])]
            negative = self.counts[~table[:, index]].sum(axis=0)
            partial = negative.sum() - self.matrix[np.arange(len(table[0])) != index].sum()
            if not positive.sum() or not partial:
                continue  # nothing beyond what F1 already says
            hits, missed, wrong = positive[index], positive.sum() - positive[index], negative[index]
            found[f"binary_f1 {item.name}"] = float(2 * hits / (2 * hits + missed + wrong))
            found[f"binary_iou {item.name}"] = float(hits / (hits + missed + wrong))
        return found

    def __add__(self, other: Confusion) -> Confusion:
        """Both together."""
        return Confusion(self.sets, self.counts + other.counts)


def majority_accuracy(confusion: Confusion) -> float:
    """What always naming the reference's commonest class would score: the least a map must beat."""
    reference = confusion.matrix.sum(axis=1)
    return float(reference.max() / max(1, reference.sum()))

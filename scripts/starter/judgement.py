"""What a method makes of one block of a place, and the scores that follow: pure arithmetic."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sardino_core.study.bootstrap import Interval, interval

RESAMPLES = 2000
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Judgement:
    """Pixels of a block by what the label allows (rows, class values in `members`) and by the class given (columns)."""

    method: str
    place: str
    block: str
    classes: list[int]
    members: list[list[int]]
    counts: list[list[int]]

    def sums(self, value: int) -> Floats:
        """(6,): right, labelled; of the class `value` right, missed, falsely named; pixels that it is known of."""
        counts, column = np.array(self.counts, np.float64), self.classes.index(value)
        allowed = np.array([[item in row for item in self.classes] for row in self.members])
        positive = counts[[row == [value] for row in self.members]].sum(axis=0)
        negative = counts[[bool(row) and value not in row for row in self.members]].sum(axis=0)
        hits, wrong = positive[column], negative[column]
        return np.array(
            [
                (counts * allowed).sum(),
                counts.sum(),
                hits,
                positive.sum() - hits,
                wrong,
                positive.sum() + negative.sum(),
            ]
        )


Score = Callable[[Floats], Floats]


def right(sums: Floats) -> Floats:
    """(..., 6) to the share of labelled pixels whose label allows the class given."""
    share: Floats = sums[..., 0] / np.maximum(sums[..., 1], 1)
    return share


def f1(sums: Floats) -> Floats:
    """(..., 6) to F1 of the class against the rest."""
    score: Floats = 2 * sums[..., 2] / np.maximum(2 * sums[..., 2] + sums[..., 3] + sums[..., 4], 1)
    return score


class Board:
    """All judgements, as sums (blocks, 6) by method and place; the blocks of a place are in one order for all."""

    def __init__(self, found: Iterable[Judgement], value: int) -> None:
        """`value`: the class that `f1` is of."""
        by_block: dict[tuple[str, str], dict[str, Floats]] = {}
        for item in found:
            by_block.setdefault((item.method, item.place), {})[item.block] = item.sums(value)
        self.methods = list(dict.fromkeys(method for method, _ in by_block))
        self.places = list(dict.fromkeys(place for _, place in by_block))
        self._sums = {key: np.stack([blocks[block] for block in sorted(blocks)]) for key, blocks in by_block.items()}

    def holding(self, least: float) -> list[str]:
        """The places where the class has at least this share of the pixels that it is known of."""
        totals = {place: self._sums[self.methods[0], place].sum(axis=0) for place in self.places}
        return [place for place, sums in totals.items() if sums[2] + sums[3] >= max(1.0, least * sums[5])]

    def score(self, method: str, place: str, score: Score) -> float:
        """Over the whole place."""
        return float(score(self._sums[method, place].sum(axis=0)))

    def per_place(self, method: str, less: str, score: Score) -> dict[str, float]:
        """Each place's difference between two methods."""
        return {place: self.score(method, place, score) - self.score(less, place, score) for place in self.places}

    def mean(self, method: str, places: Sequence[str], score: Score, less: str = "") -> Interval:
        """Mean over places, or its paired difference to another method, with its 95 % interval.

        The blocks of each place are drawn again with replacement, the same ones for both methods; the places are what
        they are (Efron & Tibshirani 1993, An Introduction to the Bootstrap, chapter 8).
        """
        once, again = [], []
        for number, place in enumerate(places):
            own = self._sums[method, place]
            blocks = len(own)
            drawn = np.random.default_rng(number).multinomial(blocks, np.full(blocks, 1 / blocks), RESAMPLES)
            values = [score(own.sum(axis=0)), score(drawn @ own)]
            if less:
                other = self._sums[less, place]
                values = [values[0] - score(other.sum(axis=0)), values[1] - score(drawn @ other)]
            once.append(float(values[0]))
            again.append(values[1])
        return interval(float(np.mean(once)), np.mean(again, axis=0))

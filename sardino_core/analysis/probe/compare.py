"""All feature sets through the same probes on the same folds; what is chosen is chosen inside the training fold."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sardino_core.analysis.probe.config import ProbeConfig
from sardino_core.analysis.probe.features import (
    ALL,
    BEFORE,
    BEST,
    CONTEXT,
    HEADS,
    LIKE_RANDOM,
    RECIPES,
    SAR,
    TOKEN,
    TOKENS,
    Recipe,
    Tables,
)
from sardino_core.analysis.probe.folds import Folds, Split, inner_folds
from sardino_core.analysis.probe.probes import KINDS, Prober, reduced
from sardino_core.analysis.probe.samples import Samples
from sardino_core.analysis.probe.scores import Scores, interval, resampled_miou, score

Ints = NDArray[np.int64]
FREE = 0  # dims: the set as it is
COMMONEST = "commonest class"
_FoldArrays = list[tuple[NDArray[np.float32], NDArray[np.float32]]]  # of each part: rows that fit, rows that score

# What is compared with what, paired: on the same patches, by the same probe, over the same draws of places.
PAIRS = (
    (ALL, CONTEXT),
    (TOKEN, CONTEXT),
    (ALL, TOKEN),
    ("all heads + tokens", TOKEN),
    ("all heads + SAR", CONTEXT),
    ("all heads + SAR", "all heads + SAR" + LIKE_RANDOM),
    ("best head + tokens", TOKEN),
    ("best head + SAR", CONTEXT),
    (BEST, "brightness alone"),
    (BEST, "best SAR statistic"),
    (BEST, BEST + LIKE_RANDOM),
    (ALL, ALL + LIKE_RANDOM),
    (TOKEN, TOKEN + LIKE_RANDOM),
    (ALL, ALL + BEFORE),
    (BEST, BEST + BEFORE),
)


@dataclass(frozen=True)
class Outcome:
    """One feature set, of one size, by one probe."""

    recipe: str
    dims: int  # FREE: as many as it has
    size: int  # columns that the probe got
    probe: str  # of KINDS; empty for the commonest class
    by_group: Ints  # (groups, K, K) confusion of each place (or block)
    picked: tuple[int, ...] = ()  # in each fold, the column that was chosen

    @property
    def counts(self) -> Ints:
        """(K, K) over all held-out patches."""
        total: Ints = self.by_group.sum(axis=0)
        return total

    @property
    def scores(self) -> Scores:
        """From that one matrix."""
        return score(self.counts)


@dataclass(frozen=True)
class Difference:
    """mIoU of `first` less that of `second`, with the middle 95 % over draws of places."""

    first: str
    second: str
    dims: int
    probe: str
    value: float
    low: float
    high: float


def compare(
    samples: Samples, tables: Tables, folds: Folds, config: ProbeConfig, report: Callable[[float, str], None]
) -> list[Outcome]:
    """Every recipe, free and at equal size, by both probes; and the commonest class of the training fold."""
    prober = Prober(config, len(samples.classes))
    found: dict[tuple[str, int, str], Outcome] = {}
    for number, (fit, scored) in enumerate(folds.splits):
        inner = inner_folds(samples, fit, folds.groups, config.inner_folds, config.seed)
        fold = _Fold(tables, samples.label, fit, scored, inner, prober)
        runs = fold.runs(equal_dims(tables, config.dims))
        for done, (recipe, dims, probe, size, picked, predicted) in enumerate(runs):
            report((number + min(1.0, done / 80)) / len(folds.splits), f"fold {number + 1}: {recipe}")
            tally = _tally(samples, folds, scored, predicted)
            before = found.get((recipe, dims, probe))
            if before is not None:
                tally, picked = before.by_group + tally, before.picked + picked
            found[recipe, dims, probe] = Outcome(recipe, dims, size, probe, tally, picked)
    return list(found.values())


def equal_dims(tables: Tables, asked: Sequence[int]) -> list[int]:
    """The sizes that all heads, tokens and SAR statistics can be brought to."""
    smallest = min(tables[name].shape[1] for name in (HEADS, TOKENS, SAR))
    return sorted({min(value, smallest) for value in asked})


def differences(outcomes: Sequence[Outcome], draws: Ints) -> list[Difference]:
    """Of all pairs that were probed at the same size by the same probe."""
    by_key = {(item.recipe, item.dims, item.probe): item for item in outcomes}
    found = []
    for first, second in PAIRS:
        for (recipe, dims, probe), one in by_key.items():
            other = by_key.get((second, dims, probe))
            if recipe != first or other is None:
                continue
            value = one.scores.miou - other.scores.miou
            spread = interval(resampled_miou(one.by_group, draws) - resampled_miou(other.by_group, draws))
            found.append(Difference(first, second, dims, probe, value, *spread))
    return found


@dataclass(frozen=True)
class _Fold:
    """One training fold and the patches that it is asked about. Labels of `scored` are never looked at."""

    tables: Tables
    label: Ints
    fit: Ints
    scored: Ints
    inner: list[Split]
    prober: Prober

    def runs(self, sizes: Sequence[int]) -> Iterator[tuple[str, int, str, int, tuple[int, ...], Ints]]:
        """Recipe, dims, probe, size, pick and predictions of everything."""
        commonest = np.bincount(self.label[self.fit]).argmax()
        yield COMMONEST, FREE, "", 0, (), np.full(len(self.scored), commonest)
        for probe in KINDS:
            best: dict[str, int] = {}
            for recipe in RECIPES:
                parts, picked = self._parts(recipe, probe, best)
                width = sum(x.shape[1] for x, _ in parts)
                x, z = (np.hstack([pair[side] for pair in parts]) for side in (0, 1))
                yield recipe.name, FREE, probe, width, picked, self._predict(probe, x, z)
                for dims in sizes:
                    if 1 < width >= dims:
                        x, z = reduced(parts, dims, self.prober.config.seed)
                        yield recipe.name, dims, probe, x.shape[1], picked, self._predict(probe, x, z)

    def _parts(self, recipe: Recipe, probe: str, best: dict[str, int]) -> tuple[_FoldArrays, tuple[int, ...]]:
        tables = [self.tables[name] for name in recipe.parts]
        picked: tuple[int, ...] = ()
        if recipe.pick:
            table = self.tables[recipe.pick]
            if recipe.pick not in best:
                own = table[self.fit], self.label[self.fit]
                best[recipe.pick] = self.prober.best_column(probe, *own, self.inner)
            picked = (best[recipe.pick],)
            tables.insert(0, table[:, list(picked)])
        return [(table[self.fit], table[self.scored]) for table in tables], picked

    def _predict(self, probe: str, x: NDArray[np.float32], z: NDArray[np.float32]) -> Ints:
        return self.prober.predict(probe, x, self.label[self.fit], self.inner, z)


def _tally(samples: Samples, folds: Folds, scored: Ints, predicted: Ints) -> Ints:
    """(groups, K, K) of one fold's predictions."""
    kinds, groups = len(samples.classes), folds.count
    cell = (folds.groups[scored] * kinds + samples.label[scored]) * kinds + predicted
    return np.bincount(cell, minlength=groups * kinds * kinds).reshape(groups, kinds, kinds)

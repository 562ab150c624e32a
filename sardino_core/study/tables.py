"""From the records of cells to the study's numbers: what the trials chose, scores, paired differences. No files."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from sardino_core.contract.model_spec import ClassSpec
from sardino_core.study.bootstrap import (
    SCORES,
    Counts,
    Floats,
    Interval,
    class_f1,
    drawn,
    estimate,
    miou,
    placewise,
    pooled,
)
from sardino_core.study.cells import Cell, Settled
from sardino_core.study.config import StudyConfig
from sardino_core.study.places import Place
from sardino_core.study.records import Record
from sardino_core.training.landcover.scores import Confusion
from sardino_core.training.windows.targets import ClassSets

UNSEEN, SEEN, ALL = "unseen", "seen unlabelled", "all"
AVERAGES = {"one matrix": pooled, "mean over places": placewise}
Records = Mapping[str, Record]  # by the cell's name


@dataclass(frozen=True)
class Score:
    """An arm's score over a group of test places, averaged over the seeds."""

    group: str
    fraction: float
    arm: str
    score: str
    found: Interval
    lowest: float  # of the seeds
    highest: float
    seeds: int
    places: int


@dataclass(frozen=True)
class Difference:
    """First arm less second, at the same seeds, labels and places."""

    group: str
    fraction: float
    first: str
    second: str
    score: str
    average: str
    found: Interval
    lowest: float  # of the seeds
    highest: float
    seeds: int
    places: int


@dataclass(frozen=True)
class RealScore:
    """What an arm says of one real place, averaged over the seeds."""

    place: str
    fraction: float
    arm: str
    score: str
    value: float
    seeds: int


@dataclass(frozen=True)
class ClassScore:
    """F1 of a class of an arm over all test places, of one confusion matrix, averaged over the seeds."""

    fraction: float
    arm: str
    name: str
    f1: float
    lowest: float  # of the seeds
    highest: float
    seeds: int


@dataclass(frozen=True)
class Tables:
    """All of them."""

    settled: Settled
    scores: tuple[Score, ...]
    classes: tuple[ClassScore, ...]
    differences: tuple[Difference, ...]
    real: tuple[RealScore, ...]


def tabulate(config: StudyConfig, places: Sequence[Place], records: Records) -> Tables:
    """From the cells that are done; the others leave gaps."""
    found = (make(config, places, records) for make in (scores, class_scores, differences, real_scores))
    return Tables(choose(config, records), *map(tuple, found))  # type: ignore[arg-type]


def choose(config: StudyConfig, records: Records) -> Settled:
    """The value with the highest mIoU on the validation places; none where every trial has failed."""
    found: dict[tuple[str, float], float] = {}
    for arm in config.arms:
        for fraction in config.fractions:
            scores = {}
            for value in arm.tried:
                record = records.get(Cell(arm.name, fraction, config.tuning_seed, value).name)
                if record is not None and record.done:
                    scores[value] = float(miou(_matrices(record, config.finetune.classes).sum(axis=0)))
            if scores:
                found[arm.name, fraction] = max(scores, key=lambda value: np.nan_to_num(scores[value], nan=-1.0))
    return found


def groups(places: Sequence[Place]) -> dict[str, tuple[str, ...]]:
    """Test places by whether pre-training has seen their images, and all of them."""
    tests = [place for place in places if place.role == "test"]
    found = {
        UNSEEN: tuple(place.name for place in tests if not place.seen),
        SEEN: tuple(place.name for place in tests if place.seen),
        ALL: tuple(place.name for place in tests),
    }
    return {name: members for name, members in found.items() if members}


def scores(config: StudyConfig, places: Sequence[Place], records: Records) -> list[Score]:
    """Every arm, fraction, group and score for which there is a cell that is done."""
    found = []
    for group, names in groups(places).items():
        for fraction in config.fractions:
            for arm in config.arms:
                done = _done(config, arm.name, fraction, records)
                counts = _stack(list(done.values()), names, config.finetune.classes)
                if not counts.size:
                    continue
                weights = drawn(counts.shape[1], config.resamples)
                for name, score in SCORES.items():
                    each = score(counts.sum(axis=1))
                    numbers = float(each.min()), float(each.max()), len(counts), counts.shape[1]
                    found.append(Score(group, fraction, arm.name, name, estimate(counts, score, weights), *numbers))
    return found


def class_scores(config: StudyConfig, places: Sequence[Place], records: Records) -> list[ClassScore]:
    """Every arm, fraction and class for which there is a cell that is done."""
    found = []
    names = groups(places).get(ALL, ())
    for fraction in config.fractions:
        for arm in config.arms:
            done = _done(config, arm.name, fraction, records)
            counts = _stack(list(done.values()), names, config.finetune.classes)
            each = class_f1(counts.sum(axis=1)) if counts.size else counts  # (seeds, K)
            for index, item in enumerate(config.finetune.classes if counts.size else ()):
                values = each[:, index]
                numbers = float(values.mean()), float(values.min()), float(values.max()), len(counts)
                found.append(ClassScore(fraction, arm.name, item.name, *numbers))
    return found


def differences(config: StudyConfig, places: Sequence[Place], records: Records) -> list[Difference]:
    """Every pair of arms that is compared, over the seeds that both have done."""
    found = []
    for group, names in groups(places).items():
        for fraction in config.fractions:
            for first, second in config.compare:
                one, other = (_done(config, arm, fraction, records) for arm in (first, second))
                seeds = [seed for seed in one if seed in other]
                shared = [record for seed in seeds for record in (one[seed], other[seed])]
                both = _stack(shared, names, config.finetune.classes)
                if not both.size:
                    continue
                weights = drawn(both.shape[1], config.resamples)
                for name, score in SCORES.items():
                    for label, average in AVERAGES.items():
                        interval = estimate(both[::2], score, weights, both[1::2], average)
                        each = [_once(pair, score, average) for pair in both.reshape(len(seeds), 2, *both.shape[1:])]
                        numbers = min(each), max(each), len(seeds), both.shape[1]
                        found.append(Difference(group, fraction, first, second, name, label, interval, *numbers))
    return found


def _once(pair: Counts, score: Callable[[Counts], Floats], average: Callable[..., Floats]) -> float:
    """The difference of one seed: `pair` (2, P, K, K)."""
    once = np.ones((1, pair.shape[1]), np.int64)
    return float((average(pair[:1], score, once) - average(pair[1:], score, once))[0])


def real_scores(config: StudyConfig, places: Sequence[Place], records: Records) -> list[RealScore]:
    """Agreement with the labels and F1 of the classes that they settle, place by place."""
    found = []
    for place in (place.name for place in places if place.role == "real"):
        for fraction in config.fractions:
            for arm in config.arms:
                done = [r for r in _done(config, arm.name, fraction, records).values() if place in r.outcome.counts]
                each = [_confusion(record, place, config.finetune.classes).metrics() for record in done]
                for name in each[0] if each else ():
                    if name == "agreement" or name.startswith(("f1", "binary_f1")):
                        value = float(np.mean([metrics[name] for metrics in each]))
                        found.append(RealScore(place, fraction, arm.name, name, value, len(each)))
    return found


def _done(config: StudyConfig, arm: str, fraction: float, records: Records) -> dict[int, Record]:
    """By seed, the cells that have an outcome."""
    found = {seed: records.get(Cell(arm, fraction, seed).name) for seed in config.seeds}
    return {seed: record for seed, record in found.items() if record is not None and record.done}


def _stack(records: Sequence[Record], names: Sequence[str], classes: tuple[ClassSpec, ...]) -> Counts:
    """(records, P, K, K) over the places that all of them have; empty without any."""
    shared = [name for name in names if records and all(name in record.outcome.counts for record in records)]
    if not shared:
        return np.zeros((0, 0, 0, 0), np.int64)
    return np.stack([_matrices(record, classes, shared) for record in records])


def _matrices(record: Record, classes: tuple[ClassSpec, ...], names: Sequence[str] | None = None) -> Counts:
    """(P, K, K): reference by prediction, over the pixels whose label is one class."""
    names = list(record.outcome.counts) if names is None else names
    return np.stack([_confusion(record, name, classes).matrix for name in names])


def _confusion(record: Record, place: str, classes: tuple[ClassSpec, ...]) -> Confusion:
    sets = ClassSets(classes, tuple(map(frozenset, record.outcome.members)))
    return Confusion(sets, np.array(record.outcome.counts[place], np.int64))

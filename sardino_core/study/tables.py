"""From the records of cells to the study's numbers: what the trials chose, scores, paired differences. No files."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product

import numpy as np
from numpy.typing import NDArray

from sardino_core.contract.model_spec import ClassSpec
from sardino_core.study.bootstrap import (
    SCORES,
    Counts,
    Draws,
    Interval,
    Sample,
    class_f1,
    draws_of,
    miou,
    placewise,
    pooled,
    sample,
)
from sardino_core.study.cells import Cell, Settled
from sardino_core.study.config import StudyConfig
from sardino_core.study.places import Place
from sardino_core.study.records import Record
from sardino_core.training.landcover.scores import Confusion
from sardino_core.training.windows.targets import ClassSets

UNSEEN, SEEN, ALL = "unseen", "seen unlabelled", "all"
CONTRAST = f"{SEEN} less {UNSEEN}"  # of paired differences: the difference in differences
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
    """First arm less second, at the same seeds, labels and places; of `CONTRAST`, on seen places less unseen ones."""

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
    places: int  # real ones that have this score


@dataclass(frozen=True)
class ClassScore:
    """F1 of a class of an arm over all test places, of one confusion matrix, averaged over the seeds.

    NaN where no test place has the class.
    """

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
    return Tables(
        settled=choose(config, records),
        scores=tuple(scores(config, places, records)),
        classes=tuple(class_scores(config, places, records)),
        differences=tuple(differences(config, places, records)),
        real=tuple(real_scores(config, places, records)),
    )


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


def groups(config: StudyConfig, places: Sequence[Place]) -> dict[str, tuple[str, ...]]:
    """Test places by whether pre-training has seen their images, and all of them; without it none has been seen."""
    tests = [place for place in places if place.role == "test"]
    found = {
        UNSEEN: tuple(place.name for place in tests if not place.seen),
        SEEN: tuple(place.name for place in tests if place.seen),
        ALL: tuple(place.name for place in tests),
    }
    return {name: members for name, members in found.items() if members and (config.pretrains or name == ALL)}


def scores(config: StudyConfig, places: Sequence[Place], records: Records) -> list[Score]:
    """Every arm, fraction, group and score for which there is a cell that is done."""
    cases = product(groups(config, places).items(), config.fractions, config.arms)
    found = []
    for (group, names), fraction, arm in cases:
        counts = _stack(list(_done(config, arm.name, fraction, records).values()), names, config.finetune.classes)
        if counts.size:
            draws = _draws(counts, group, config)
            found += [_score(group, fraction, arm.name, score, counts, draws) for score in SCORES]
    return found


def class_scores(config: StudyConfig, places: Sequence[Place], records: Records) -> list[ClassScore]:
    """Every arm, fraction and class for which there is a cell that is done."""
    names = groups(config, places).get(ALL, ())
    found = []
    for fraction, arm in product(config.fractions, config.arms):
        counts = _stack(list(_done(config, arm.name, fraction, records).values()), names, config.finetune.classes)
        if not counts.size:
            continue
        each = class_f1(counts.sum(axis=1))  # (seeds, K)
        classes = enumerate(config.finetune.classes)
        found += [_class_score(fraction, arm.name, item.name, each[:, index]) for index, item in classes]
    return found


def differences(config: StudyConfig, places: Sequence[Place], records: Records) -> list[Difference]:
    """Every pair of arms that is compared, over the seeds that both have done: group by group, then between groups."""
    found = []
    by_group = groups(config, places)
    for fraction, pair in product(config.fractions, config.compare):
        stacks = {group: _pair(config, records, names, fraction, pair) for group, names in by_group.items()}
        stacks = {group: both for group, both in stacks.items() if both.size}
        draws = {group: _draws(both[0], group, config) for group, both in stacks.items()}
        for score, average in product(SCORES, AVERAGES):
            samples = {group: _paired(both, score, average, draws[group]) for group, both in stacks.items()}
            if SEEN in samples and UNSEEN in samples:
                samples[CONTRAST] = samples[SEEN] - samples[UNSEEN]
            found += [_difference(group, fraction, pair, score, average, each) for group, each in samples.items()]
    return found


def real_scores(config: StudyConfig, places: Sequence[Place], records: Records) -> list[RealScore]:
    """Agreement with the labels and F1 of the classes that they settle, place by place."""
    real = [place.name for place in places if place.role == "real"]
    cases = product(real, config.fractions, config.arms)
    found = [row for place, fraction, arm in cases for row in _real(config, records, place, fraction, arm.name)]
    having: dict[str, set[str]] = {}
    for row in found:
        having.setdefault(row.score, set()).add(row.place)
    return [replace(row, places=len(having[row.score])) for row in found]


def _score(group: str, fraction: float, arm: str, score: str, counts: Counts, draws: Draws) -> Score:
    found = sample(counts, SCORES[score], draws)
    return Score(
        group=group,
        fraction=fraction,
        arm=arm,
        score=score,
        found=found.interval,
        lowest=float(found.seeds.min()),
        highest=float(found.seeds.max()),
        seeds=len(found.seeds),
        places=found.places,
    )


def _class_score(fraction: float, arm: str, name: str, f1: NDArray[np.float64]) -> ClassScore:
    """`f1` by seed."""
    return ClassScore(
        fraction=fraction,
        arm=arm,
        name=name,
        f1=float(f1.mean()),
        lowest=float(f1.min()),
        highest=float(f1.max()),
        seeds=len(f1),
    )


def _difference(
    group: str, fraction: float, pair: tuple[str, str], score: str, average: str, found: Sample
) -> Difference:
    return Difference(
        group=group,
        fraction=fraction,
        first=pair[0],
        second=pair[1],
        score=score,
        average=average,
        found=found.interval,
        lowest=float(found.seeds.min()),
        highest=float(found.seeds.max()),
        seeds=len(found.seeds),
        places=found.places,
    )


def _pair(
    config: StudyConfig, records: Records, names: Sequence[str], fraction: float, pair: tuple[str, str]
) -> Counts:
    """(2, seeds, P, K, K): of both arms, at the seeds that both have done; empty without any."""
    one, other = (_done(config, arm, fraction, records) for arm in pair)
    seeds = [seed for seed in one if seed in other]
    both = _stack([arm[seed] for arm in (one, other) for seed in seeds], names, config.finetune.classes)
    return both.reshape(2, len(seeds), *both.shape[1:])


def _paired(both: Counts, score: str, average: str, draws: Draws) -> Sample:
    """First less second."""
    first, second = (sample(counts, SCORES[score], draws, AVERAGES[average]) for counts in both)
    return first - second


def _draws(counts: Counts, group: str, config: StudyConfig) -> Draws:
    """The same for all arms with as many seeds and places; other ones for other groups of places."""
    return draws_of(counts, config.resamples, (ALL, UNSEEN, SEEN).index(group))


def _real(config: StudyConfig, records: Records, place: str, fraction: float, arm: str) -> Iterator[RealScore]:
    """Of one place and arm; how many places have the score is not known yet."""
    done = [record for record in _done(config, arm, fraction, records).values() if place in record.outcome.counts]
    each = [_confusion(record, place, config.finetune.classes).metrics() for record in done]
    for name in each[0] if each else ():
        if name == "agreement" or name.startswith(("f1", "binary_f1")):
            value = float(np.mean([metrics[name] for metrics in each]))
            yield RealScore(place, fraction, arm, score=name, value=value, seeds=len(each), places=0)


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

"""study.md: what was done, what came out, what failed. Text from tables, no computing."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import isfinite
from statistics import mean, median

from sardino_core.study.basis import Basis
from sardino_core.study.bootstrap import LEAST, LEVEL, SCORES, Interval
from sardino_core.study.cells import Cell, finals
from sardino_core.study.config import ArmConfig, StudyConfig
from sardino_core.study.places import Place, count
from sardino_core.study.tables import AVERAGES, CONTRAST, SEEN, UNSEEN, Records, Tables, groups

_NONE = "—"
_EDGE = " †"


def page(basis: Basis, found: Tables, records: Records) -> str:
    """The whole page."""
    config, places = basis.config, basis.ground.places
    parts = [
        f"# {config.name}",
        _introduction(config, places, records),
        *_labels(config, records),
        *_trials(config, found),
        *_scores(config, found, records),
        *_classes(config, found),
        *_differences(config, found, records),
        *_real(config, found, places),
        *_failures(config, records),
    ]
    return "\n\n".join(parts) + "\n"


def _introduction(config: StudyConfig, places: Sequence[Place], records: Records) -> str:
    number = {role: sum(place.role == role for place in places) for role in ("train", "validation", "test", "real")}
    backbone, optimiser = config.finetune.model.backbone, config.finetune.optimiser
    every = ", every class in each" if _every_class(config, records) else ""
    facts = [
        *_pretraining(config, places),
        f"network: {backbone.architecture}/{backbone.patch}, width {backbone.width}, depth {backbone.depth}, windows "
        f"of {config.finetune.model.window} pixels; {count(optimiser.steps, 'step')} of training with "
        f"{count(optimiser.batch_size, 'window')}",
        f"labels: whole {config.finetune.label_unit}s, each smaller share within the larger ones{every}; another "
        "choice for every seed, the same one for all arms",
        f"seeds: {', '.join(map(str, config.seeds))}; each arm tried {count(len(config.arms[0].tried), 'setting')} for "
        f"every share of the labels, with seed {config.tuning_seed}, on the validation places",
        *_intervals(config),
        "*frozen* trains a head on fixed tokens, *full* trains everything",
    ]
    return "\n\n".join(
        [
            f"Written by `python scripts/study.py` from its cells. {'Simulated' if config.simulated else 'Given'} "
            f"places: {number['train']} to train, {number['validation']} to choose each arm's settings, "
            f"{number['test']} to test; places.csv lists them.",
            *_evidence(config, number["real"]),
            "\n".join(f"- {fact}" for fact in facts),
        ]
    )


def _pretraining(config: StudyConfig, places: Sequence[Place]) -> list[str]:
    """What the arms that start from it have had; nothing where none does."""
    if not config.pretrains:
        return []
    before, starts = config.pretrain.optimiser, [arm.name for arm in config.arms if arm.starts_pretrained]
    train, seen = sum(place.role == "train" for place in places), sum(place.seen for place in places)
    facts = [
        f"pre-training once: the images of {count(train, 'training place')} and of {count(seen, 'test place')}; the "
        "latter are marked *seen unlabelled* (transductive), the other test places are *unseen* (inductive)",
        f"{', '.join(starts)}: {count(before.steps, 'step')} of DINO, with {count(before.batch_size, 'window')} of "
        "images without labels, more than the other arms have had",
    ]
    confounded = (
        "seen and unseen places are different places, which may be harder or easier: scores of the two groups do not "
        f"tell what seeing gains. *{CONTRAST}* among the paired differences takes out what is harder for both arms "
        "alike, not what is harder for one"
    )
    return [*facts, confounded] if {SEEN, UNSEEN} <= set(groups(config, places)) else facts


def _intervals(config: StudyConfig) -> list[str]:
    """What they hold, and what they do not."""
    number = len(config.seeds)
    drawn, few = "the test places and, independently, of the seeds", f"{number} seeds tell little of how others vary"
    if number == 1:
        drawn, few = "the test places", "with one seed it is held fixed"
    fixed = "the pre-training, which was done once, and " if config.pretrains else ""
    return [
        f"intervals: 95 %, percentiles of {config.resamples} resamples of {drawn}, the same ones for all arms; a "
        "resample that lacks a class which the group of places has is drawn again, so that all average over the same "
        f"classes. None is told below {count(LEAST, 'place')}",
        f"what intervals hold: places such as these, and seeds (labels chosen, random weights, windows drawn; {few}). "
        f"Fixed, and in no interval: {fixed}the settings chosen",
    ]


def _every_class(config: StudyConfig, records: Records) -> bool:
    """Whether every share of the labels that is done has all classes."""
    done = [records[cell.name].outcome for cell in finals(config) if cell.name in records and records[cell.name].done]
    names = [item.name for item in config.finetune.classes]
    return bool(done) and all(outcome.labels.get(name, 0) for outcome in done for name in names)


def _evidence(config: StudyConfig, real: int) -> list[str]:
    """What these places cannot show."""
    if real:
        return []
    if config.simulated:
        return ["**This study ran on simulation alone: it is no evidence about any place.**"]
    return ["**No other real tiles were looked at (`real=FOLDER`).**"]


def _labels(config: StudyConfig, records: Records) -> list[str]:
    """What each share of the labels came to."""
    rows = []
    names = [item.name for item in config.finetune.classes]
    for fraction in config.fractions:
        cells = [records.get(Cell(arm.name, fraction, seed).name) for seed in config.seeds for arm in config.arms]
        done = {record.cell.seed: record.outcome for record in cells if record is not None and record.done}
        if not done:
            rows.append([f"{fraction:.4g}", *[_NONE] * (2 + len(names))])
            continue
        shares = [outcome.label_share for outcome in done.values()]
        numbers = [outcome.label_places for outcome in done.values()]
        each = [f"{median(outcome.labels.get(name, 0) for outcome in done.values()):,.0f}" for name in names]
        rows.append([f"{fraction:.4g}", f"{median(shares):.2%}", f"{median(numbers):g}", *each])
    table = _table(["share asked for", "share used", "places", *names], rows)
    text = "Medians over the seeds; labelled pixels per class. No arm can learn a class that has none."
    return ["## Labels", text, table]


def _trials(config: StudyConfig, found: Tables) -> list[str]:
    rows = []
    for arm in config.arms:
        chosen = [found.settled.get((arm.name, share)) for share in config.fractions]
        tried = ", ".join(f"{value:g}" for value in arm.tried)
        rows.append([arm.name, tried, *(_setting(arm, value) for value in chosen)])
    text = "Learning rates, for the forest the smallest leaf in pixels, with the highest mIoU on the validation places."
    if any(cell.endswith(_EDGE) for row in rows for cell in row):
        text += f"{_EDGE} is at the edge of what was tried: a value beyond it might have been better."
    return ["## Settings chosen", text, _table(["arm", "tried", *_shares(config)], rows)]


def _scores(config: StudyConfig, found: Tables, records: Records) -> list[str]:
    parts = ["## Scores", "Of one confusion matrix over the places of a group, averaged over the seeds."]
    for score in SCORES:
        for group in dict.fromkeys(row.group for row in found.scores):
            rows = {(r.arm, r.fraction): r for r in found.scores if (r.score, r.group) == (score, group)}
            lines = []
            for arm in config.arms:
                cells = [rows.get((arm.name, share)) for share in config.fractions]
                marks = [_why(config, share, records, arm.name) for share in config.fractions]
                shown = [mark if c is None else _shown(c.found) + mark for c, mark in zip(cells, marks, strict=True)]
                lines.append([arm.name, *shown])
            number = max(row.places for row in rows.values())
            parts += [f"### {score}, {group} ({count(number, 'place')})", _table(["arm", *_shares(config)], lines)]
    return [*parts, "![scores](scores.png)"]


def _classes(config: StudyConfig, found: Tables) -> list[str]:
    """Which classes an arm has learnt at all: a mean over classes is decided by the rare ones."""
    names = [item.name for item in config.finetune.classes]
    parts = [
        "## Classes",
        f"F1 over all test places, averaged over the seeds; {_NONE} where no test place has the class. classes.csv has "
        "the lowest and highest seed.",
    ]
    for share in config.fractions:
        rows = {(row.arm, row.name): row.f1 for row in found.classes if row.fraction == share}
        lines = [[arm.name, *(_number(rows.get((arm.name, name))) for name in names)] for arm in config.arms]
        parts += [f"### {100 * share:g} % of the labels", _table(["arm", *names], lines)]
    return parts


def _differences(config: StudyConfig, found: Tables, records: Records) -> list[str]:
    score = next(iter(SCORES))
    told = sum(row.score == score and row.found.known for row in found.differences)
    text = (
        "First arm less second at the same seeds, labels and places; **bold** where the interval leaves out 0. "
        f"{count(told, 'comparison')} with an interval in the tables below, none corrected for their number: if no two "
        f"arms differed, about {(1 - LEVEL) * told:.0f} or more would be bold by chance. "
        "differences.csv has the other scores, and the lowest and highest seed."
    )
    parts = ["## Paired differences", text]
    for average in AVERAGES:
        for group in dict.fromkeys(row.group for row in found.differences):
            chosen = [r for r in found.differences if (r.score, r.average, r.group) == (score, average, group)]
            rows = {(row.first, row.second, row.fraction): row for row in chosen}
            lines = []
            for pair in config.compare:
                cells = [rows.get((*pair, share)) for share in config.fractions]
                marks = [_why(config, share, records, *pair) for share in config.fractions]
                shown = [m if c is None else _shown(c.found, "+") + m for c, m in zip(cells, marks, strict=True)]
                lines.append([" less ".join(pair), *shown])
            parts += [f"### {score}, {average}, {group}", _table(["arms", *_shares(config)], lines)]
    return [*parts, "![differences](differences.png)"]


def _real(config: StudyConfig, found: Tables, places: Sequence[Place]) -> list[str]:
    if not any(place.role == "real" for place in places):
        return []
    text = (
        "Trained on the places above alone. Agreement: share of the labelled pixels whose class the label allows, "
        "mean over the seeds; real.csv has the F1 of classes place by place. F1 here: mean over the places whose "
        f"labels have the class, without interval; with fewer than {LEAST} of them nothing is claimed for the class."
    )
    parts = ["## Real tiles", text]
    arms = [arm.name for arm in config.arms]
    for share in config.fractions:
        rows = {(r.place, r.arm): r.value for r in found.real if (r.fraction, r.score) == (share, "agreement")}
        agreed = [
            [place, *(_number(rows.get((place, arm))) for arm in arms)]
            for place in dict.fromkeys(place for place, _ in rows)
        ]
        parts += [f"### Agreement, {100 * share:g} % of the labels", _table(["place", *arms], agreed)]
        classes = [_real_class(found, share, item.name, arms) for item in config.finetune.classes]
        parts += [f"### F1 of classes, {100 * share:g} % of the labels", _table(["class", "places", *arms], classes)]
    return parts


def _real_class(found: Tables, share: float, name: str, arms: Sequence[str]) -> list[str]:
    """How many real places have a class, and the arms' F1 of it where they are enough."""
    rows = [row for row in found.real if (row.fraction, row.score) == (share, f"f1 {name}")]
    places = max((row.places for row in rows), default=0)
    values = [[row.value for row in rows if row.arm == arm] for arm in arms]
    shown = [_number(mean(each)) if each and places >= LEAST else _NONE for each in values]
    return [name, str(places), *shown]


def _failures(config: StudyConfig, records: Records) -> list[str]:
    failed = [record for record in records.values() if not record.done]
    missing = [cell for cell in finals(config) if cell.name not in records]
    parts = []
    if failed:
        lines = [f"- `{record.cell.name}`: {record.error}" for record in failed]
        text = "The tables are without them; the same command tries them again."
        parts += ["## Cells that failed", text, "\n".join(lines)]
    if missing:
        text = f"{len(missing)} of {len(finals(config))}; the same command goes on."
        parts += ["## Cells that are not done yet", text]
    return parts


def _shares(config: StudyConfig) -> list[str]:
    return [f"{100 * fraction:g} %" for fraction in config.fractions]


def _why(config: StudyConfig, fraction: float, records: Records, *arms: str) -> str:
    """What a table's cell lacks: seeds that failed, or are not done yet."""
    cells = [[records.get(Cell(arm, fraction, seed).name) for arm in arms] for seed in config.seeds]
    if any(record is not None and not record.done for each in cells for record in each):
        word = "failed"
    elif any(record is None for each in cells for record in each):
        word = "missing"
    else:
        return ""
    lacking = sum(any(record is None or not record.done for record in each) for each in cells)
    return f" *{lacking} of {count(len(cells), 'seed')} {word}*"


def _setting(arm: ArmConfig, value: float | None) -> str:
    """A value that the trials chose, marked where none beyond it was tried; no leaf is smaller than a pixel."""
    if value is None:
        return _NONE
    least = arm.kind == "forest" and value <= 1
    edge = value == max(arm.tried) or (value == min(arm.tried) and not least)
    return f"{value:g}{_EDGE if edge else ''}"


def _number(value: float | None) -> str:
    return _NONE if value is None or not isfinite(value) else f"{value:.3f}"


def _shown(found: Interval, sign: str = "") -> str:
    """The value alone where there is no interval."""
    if not isfinite(found.value):
        return _NONE
    value = f"{found.value:{sign}.3f}"
    text = f"{value} ({found.low:{sign}.3f} to {found.high:{sign}.3f})" if found.known else value
    return f"**{text}**" if sign and found.leaves_out_0 else text


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)

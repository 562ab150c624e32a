"""study.md: what was done, what came out, what failed. Text from tables, no computing."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from statistics import median

from sardino_core.study.basis import Basis
from sardino_core.study.bootstrap import FEWEST, SCORES, Interval
from sardino_core.study.cells import Cell, finals
from sardino_core.study.config import StudyConfig
from sardino_core.study.places import Place
from sardino_core.study.pretraining import needed
from sardino_core.study.tables import AVERAGES, Records, Tables

_NONE = "—"
_FEW = 3  # places, below which nothing is claimed


def page(basis: Basis, found: Tables, records: Records) -> str:
    """The whole page."""
    config, places = basis.config, basis.ground.places
    parts = [
        f"# {config.name}",
        _introduction(config, places),
        *_labels(config, records),
        *_trials(config, found),
        *_scores(config, found, records),
        *_classes(config, found),
        *_differences(config, found, records),
        *_real(config, found, places),
        *_failures(config, records),
    ]
    return "\n\n".join(parts) + "\n"


def _introduction(config: StudyConfig, places: Sequence[Place]) -> str:
    count = {role: sum(place.role == role for place in places) for role in ("train", "validation", "test", "real")}
    seen = sum(place.seen for place in places)
    backbone, optimiser = config.finetune.model.backbone, config.finetune.optimiser
    facts = [
        *(_pretraining(config, count["train"], seen) if needed(config) else ()),
        f"network: {backbone.architecture}/{backbone.patch}, width {backbone.width}, depth {backbone.depth}, windows "
        f"of {config.finetune.model.window} pixels; {optimiser.steps} steps of training with {optimiser.batch_size} "
        "windows",
        f"labels: whole {config.finetune.label_unit}s, each smaller share within the larger ones, with every class "
        "where that is possible; another choice for every seed, the same one for all arms",
        f"seeds: {', '.join(map(str, config.seeds))}; each arm tried {len(config.arms[0].tried)} settings for every "
        f"share of the labels, with seed {config.tuning_seed}, on the validation places",
        f"intervals: 95 %, percentiles of {config.resamples} resamples of the test places, all seeds of a place "
        "together; they hold for places such as these alone. They say how much other test places would change a "
        "number, not what other labels, other random weights or another pre-training would: the CSV files have the "
        f"lowest and the highest seed. Of fewer than {FEWEST} places there is none",
        "*frozen* trains a head on fixed tokens, *full* trains everything",
    ]
    return "\n\n".join(
        [
            f"Written by `python scripts/study.py` from its cells. {count['train']} "
            f"{'simulated' if config.simulated else 'given'} places train, {count['validation']} choose each arm's "
            f"settings, {count['test']} test; places.csv lists them.",
            *_evidence(config, count["real"]),
            "\n".join(f"- {fact}" for fact in facts),
        ]
    )


def _pretraining(config: StudyConfig, train: int, seen: int) -> tuple[str, str]:
    before = config.pretrain.optimiser
    return (
        f"pre-training once, {before.steps} steps of {before.batch_size} windows without labels, which arms from "
        f"scratch have not had: images of {_count(train, 'training place')} and {_count(seen, 'test place')}",
        "test places of pre-training are marked *seen unlabelled* (transductive), the others *unseen* (inductive). "
        "They are different places: what having seen them is worth is the difference between the two of a pre-trained "
        "arm less that of an arm from scratch",
    )


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
        rows.append([arm.name, tried, *(_NONE if value is None else _setting(value, arm.tried) for value in chosen)])
    text = (
        "Learning rates, for the forest the smallest leaf in pixels, with the highest mIoU on the validation places. "
        "At the end of what was tried (↑, ↓) a value beyond it might do better."
    )
    return ["## Settings chosen", text, _table(["arm", "tried", *_shares(config)], rows)]


def _setting(value: float, tried: Sequence[float]) -> str:
    if len(tried) < 3 or min(tried) < value < max(tried):
        return f"{value:g}"
    return f"{value:g} {'↑' if value == max(tried) else '↓'}"


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
            parts += [f"### {score}, {group} ({_count(number, 'place')})", _table(["arm", *_shares(config)], lines)]
    return [*parts, "![scores](scores.png)"]


def _classes(config: StudyConfig, found: Tables) -> list[str]:
    """Which classes an arm has learnt at all: a mean over classes is decided by the rare ones."""
    names = [item.name for item in config.finetune.classes]
    parts = [
        "## Classes",
        "F1 over all test places, averaged over the seeds; classes.csv has the lowest and highest seed.",
    ]
    for share in config.fractions:
        told = [row for row in found.classes if row.fraction == share and not math.isnan(row.f1)]
        rows = {(row.arm, row.name): f"{row.f1:.3f}" for row in told}
        lines = [[arm.name, *(rows.get((arm.name, name), _NONE) for name in names)] for arm in config.arms]
        parts += [f"### {100 * share:g} % of the labels", _table(["arm", *names], lines)]
    return parts


def _differences(config: StudyConfig, found: Tables, records: Records) -> list[str]:
    text = (
        "First arm less second at the same seeds, labels and places; **bold** where the interval leaves out 0, as one "
        "in twenty does by chance where there is no difference. differences.csv has the other scores."
    )
    parts, score = ["## Paired differences", text], next(iter(SCORES))
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
        f"mean over the seeds; real.csv has the F1 of classes. With fewer than {_FEW} places of a class nothing is "
        "claimed for it."
    )
    parts = ["## Real tiles", text]
    for share in config.fractions:
        rows = {(r.place, r.arm): r.value for r in found.real if (r.fraction, r.score) == (share, "agreement")}
        lines = []
        for place in dict.fromkeys(place for place, _ in rows):
            values = [rows.get((place, arm.name)) for arm in config.arms]
            lines.append([place, *(_NONE if value is None else f"{value:.3f}" for value in values)])
        head = ["place", *(arm.name for arm in config.arms)]
        parts += [f"### Agreement, {100 * share:g} % of the labels", _table(head, lines)]
    return parts


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
    return f" *{lacking} of {len(cells)} seeds {word}*"


def _shown(found: Interval, sign: str = "") -> str:
    if math.isnan(found.low):
        return f"{found.value:{sign}.3f}"
    text = f"{found.value:{sign}.3f} ({found.low:{sign}.3f} to {found.high:{sign}.3f})"
    return f"**{text}**" if sign and (found.low > 0 or found.high < 0) else text


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)

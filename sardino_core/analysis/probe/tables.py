"""All numbers of a probe as rows for CSV files."""

from __future__ import annotations

from sardino_core.analysis.matrix_table import Rows
from sardino_core.analysis.probe.compare import FREE
from sardino_core.analysis.probe.features import HEADS, RANDOM, SCORES
from sardino_core.analysis.probe.findings import Findings
from sardino_core.analysis.probe.probes import KINDS
from sardino_core.analysis.probe.scores import class_entropy, score


def score_rows(findings: Findings) -> Rows:
    """A line per feature set, size and probe."""
    names = [item.name for item in findings.samples.classes]
    total = class_entropy(findings.samples.label)
    head = ["features", "dims", "columns", "probe", "miou", "low", "high", "accuracy", "information_nats",
            "information_share", *(f"f1 {name}" for name in names)]  # fmt: skip
    rows: Rows = [head]
    for item in findings.outcomes:
        found = item.scores
        start = [item.recipe, "free" if item.dims == FREE else item.dims, item.size, item.probe]
        numbers = [found.miou, *findings.interval(item), found.accuracy, found.information, found.information / total]
        rows.append([*start, *map(_rounded, numbers), *map(_rounded, found.f1)])
    return rows


def difference_rows(findings: Findings) -> Rows:
    """A line per pair, size and probe."""
    rows: Rows = [["first", "second", "dims", "probe", "difference_miou", "low", "high"]]
    for item in findings.differences:
        dims = "free" if item.dims == FREE else item.dims
        rows.append([item.first, item.second, dims, item.probe, *map(_rounded, (item.value, item.low, item.high))])
    return rows


def head_rows(findings: Findings) -> Rows:
    """A line per layer and head."""
    heads, folds = findings.heads, len(findings.folds.splits)
    miou = [f"miou_{name}_{probe}" for name in ("softmax", "before_softmax") for probe in KINDS]
    rows: Rows = [
        ["layer", "head", "information_within_places_nats", "information_all_places_nats",
         "information_before_softmax_within_places_nats", "information_random_weights_within_places_nats", *miou,
         "entropy_nats", "entropy_over_log_n", "share_of_prefix_tokens", "distance_px", "distance_m",
         f"chosen_linear_of_{folds}", f"chosen_forest_of_{folds}"]
    ]  # fmt: skip
    layers, count = heads.relative_entropy.shape
    picks = [findings.outcome("best head", FREE, probe) for probe in KINDS]
    for layer in range(layers):
        for head in range(count):
            at = layer, head
            distance = heads.statistics["distance"][at]
            numbers = [
                heads.information[HEADS][at],
                heads.pooled[at],
                heads.information[SCORES][at],
                heads.information[RANDOM + HEADS][at],
                *(heads.miou[name, probe][at] for name in (HEADS, SCORES) for probe in KINDS),
                heads.statistics["entropy"][at],
                heads.relative_entropy[at],
                heads.statistics["share of prefix tokens"][at],
                distance * heads.patch_px,
                distance * heads.patch_m,
            ]
            chosen = [item.picked.count(layer * count + head) if item else 0 for item in picks]
            rows.append([layer, head, *map(_rounded, numbers), *chosen])
    return rows


def place_rows(findings: Findings) -> Rows:
    """A line per held-out place (or block), feature set, size and probe."""
    rows: Rows = [[findings.folds.kind, "features", "dims", "probe", "patches", "miou", "accuracy"]]
    for item in findings.outcomes:
        for group, counts in enumerate(item.by_group):
            found = score(counts)
            dims = "free" if item.dims == FREE else item.dims
            numbers = map(_rounded, (found.miou, found.accuracy))
            rows.append([group_name(findings, group), item.recipe, dims, item.probe, int(counts.sum()), *numbers])
    return rows


def confusion_rows(findings: Findings) -> Rows:
    """A line per feature set, size, probe, place and pair of classes that occurs: all else can be computed from it."""
    names = [item.name for item in findings.samples.classes]
    rows: Rows = [["features", "dims", "probe", findings.folds.kind, "reference", "predicted", "patches"]]
    for item in findings.outcomes:
        dims = "free" if item.dims == FREE else item.dims
        for group, counts in enumerate(item.by_group):
            for true, predicted in zip(*counts.nonzero(), strict=True):
                where = [item.recipe, dims, item.probe, group_name(findings, group)]
                rows.append([*where, names[true], names[predicted], int(counts[true, predicted])])
    return rows


def group_name(findings: Findings, group: int) -> str:
    """Of a place, or of a block of the only place."""
    if findings.folds.kind == "block":
        return f"block {group + 1}"
    return findings.places[int(findings.samples.place[findings.folds.groups == group][0])].name


def _rounded(value: float) -> float | None:
    return round(float(value), 5) if value == value else None

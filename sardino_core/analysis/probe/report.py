"""The report of a probe as one HTML page, with its tables and figures beside it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np

import sardino_core
from sardino_core.analysis.matrix_table import csv_text
from sardino_core.analysis.probe import figures, tables
from sardino_core.analysis.probe.compare import FREE, Difference, Outcome
from sardino_core.analysis.probe.features import HEADS, RANDOM, RECIPES, Looks
from sardino_core.analysis.probe.findings import Findings, chosen_heads
from sardino_core.analysis.probe.method import METHOD
from sardino_core.analysis.probe.probes import KINDS
from sardino_core.analysis.probe.scores import class_entropy
from sardino_core.analysis.report_page import Cell, Page, number
from sardino_core.raster.writing.staging import staged

_LISTED = 12  # heads in the page's table; all are in heads.csv
_PLACES = 12  # in the page's table


def write_report(findings: Findings, network: Looks, folder: Path) -> dict[str, str]:
    """Write report.html, five CSV files and five figures, all or none; returns them by role."""
    rows = {
        "scores": tables.score_rows(findings),
        "differences": tables.difference_rows(findings),
        "heads": tables.head_rows(findings),
        "places": tables.place_rows(findings),
        "confusion": tables.confusion_rows(findings),
    }
    examples, shown = figures.examples_figure(findings, network)
    pictures = {
        "sets": figures.sets_figure(findings),
        "paired": figures.differences_figure(findings),
        "attention": figures.heads_figure(findings),
        "tokens": figures.tokens_figure(findings),
        "examples": examples,
    }
    page = _page(findings, pictures, shown)
    with staged() as staging:
        outputs = {"output": folder / "report.html"}
        staging.path(outputs["output"]).write_text(page.html(), encoding="utf-8")
        for role, lines in rows.items():
            outputs[role] = folder / f"{role}.csv"
            staging.path(outputs[role]).write_text(csv_text(lines), encoding="utf-8")
        for role, png in pictures.items():
            outputs[f"figure_{role}"] = folder / f"{role}.png"
            staging.path(outputs[f"figure_{role}"]).write_bytes(png)
    return {role: str(path) for role, path in outputs.items()}


def _page(findings: Findings, pictures: dict[str, bytes], shown: Sequence[int]) -> Page:
    page = Page(
        f"Land cover in attention, tokens and backscatter: {findings.model}",
        f"Model: {findings.spec.name}, {_backbone(findings)}. sardino {sardino_core.__version__}.",
    )
    for text in findings.caveats():
        page.text(text, "warning")
    _in_short(page, findings)
    _sets(page, findings, pictures)
    _differences(page, findings, pictures)
    _classes(page, findings)
    _heads(page, findings, pictures, shown)
    _tokens(page, findings, pictures)
    _data(page, findings)
    page.heading("Method and limits")
    for text in METHOD:
        page.text(text)
    page.facts([(name, str(value)) for name, value in vars(findings.config).items()])
    return page


def _in_short(page: Page, findings: Findings) -> None:
    page.heading("In short")
    for line in findings.summary():
        page.text(line[0].upper() + line[1:] + ".")
    compared = [item for item in findings.differences if item.dims == FREE and math.isfinite(item.low)]
    sure = sum(item.low > 0 or item.high < 0 for item in compared)
    page.text(
        f"Of {len(compared)} paired comparisons at full size the interval leaves out 0 in {sure}; one in twenty would "
        f"do so by chance. They are listed under What adds what."
    )


def _sets(page: Page, findings: Findings, pictures: dict[str, bytes]) -> None:
    page.heading("How much land cover each feature set gives away")
    unit = findings.folds.kind
    page.picture(
        pictures["sets"],
        f"mIoU of held-out {unit}s, from one confusion matrix over all of them; lines are 95 % intervals over draws of "
        f"{unit}s, the dotted line is the training fold's commonest class. Compare sets of one colour: same size, same "
        f"probe.",
    )
    total = class_entropy(findings.samples.label)
    sizes = [dims for dims in findings.sizes if dims != FREE]
    header = ["features", "columns"]
    for probe in KINDS:
        header += [f"{probe}: mIoU", "information (nats)", *(f"mIoU at {dims}" for dims in sizes)]
    best = max(item.scores.miou for item in findings.outcomes)
    rows = [_set_row(findings, recipe.name, sizes, best) for recipe in RECIPES]
    page.table(
        header, rows,
        f"Information is that of prediction and class, at least what the features hold, of {total:.2f} nats in all.",
    )  # fmt: skip


def _set_row(findings: Findings, recipe: str, sizes: Sequence[int], best: float) -> list[Cell | str]:
    found = findings.outcome(recipe, FREE, KINDS[0])
    row: list[Cell | str] = [recipe, str(found.size if found else 0)]
    for probe in KINDS:
        for dims in (FREE, *sizes):
            outcome = findings.outcome(recipe, dims, probe)
            row.append(_score_cell(outcome, best))
            if dims == FREE:
                row.append("–" if outcome is None else f"{outcome.scores.information:.2f}")
    return row


def _score_cell(outcome: Outcome | None, best: float) -> Cell | str:
    if outcome is None:
        return "–"
    return Cell(f"{outcome.scores.miou:.3f}", shade=outcome.scores.miou / best if best else 0.0)


def _differences(page: Page, findings: Findings, pictures: dict[str, bytes]) -> None:
    page.heading("What adds what")
    page.picture(
        pictures["paired"],
        f"Paired differences of mIoU: same patches, same probe, same draws of {findings.folds.kind}s. Right of 0 the "
        f"first set knows more. All sizes are in differences.csv.",
    )
    found = {(item.first, item.second, item.probe): item for item in findings.differences if item.dims == FREE}
    rows: list[list[Cell | str]] = []
    for first, second in dict.fromkeys((first, second) for first, second, _ in found):
        rows.append([f"{first} − {second}", *(_difference_cell(found[first, second, probe]) for probe in KINDS)])
    page.table(
        ["mIoU of first less second", *(f"{probe} probe" for probe in KINDS)],
        rows,
        "With all dimensions; blue: more, red: less, where the 95 % interval leaves out 0.",
    )


def _difference_cell(item: Difference) -> Cell:
    text = f"{item.value:+.3f} ({item.low:+.3f} to {item.high:+.3f})"
    return Cell(text, shade=0.35 * (item.low > 0 or item.high < 0), wrong=item.high < 0)


def _classes(page: Page, findings: Findings) -> None:
    page.heading("Class by class")
    classes = findings.samples.classes
    for probe in KINDS:
        rows: list[list[Cell | str]] = []
        for recipe in RECIPES:
            outcome = findings.outcome(recipe.name, FREE, probe)
            if outcome is not None:
                scores = outcome.scores.f1
                rows.append([recipe.name, *(Cell(f"{value:.2f}", shade=float(value)) for value in scores)])
        page.table(["features", *(item.name for item in classes)], rows, f"F1 on held-out patches, {probe} probe.")


def _heads(page: Page, findings: Findings, pictures: dict[str, bytes], shown: Sequence[int]) -> None:
    page.heading("Head by head")
    heads = findings.heads
    page.picture(
        pictures["attention"],
        "Every head by itself; layers and heads are counted from 0. Information is that of one head's attention "
        f"(in {findings.config.bins} bins of equal count) and the class within places. An entropy of 1 means that the "
        f"class token attends to all patches alike. Distance is from a patch to those that it attends to; to all alike "
        f"it is {heads.uniform_distance * heads.patch_px:.0f} pixels.",
    )
    control = heads.information[RANDOM + HEADS]
    page.text(
        f"Within places the most telling head holds {heads.information[HEADS].max():.2f} of "
        f"{findings.entropy_within:.2f} nats; with random weights the heads hold {control.mean():.2f} on average and "
        f"{control.max():.2f} at most: even untrained attention varies with the backscatter. Over all places together "
        f"a head tells up to {heads.pooled.max():.2f} of {class_entropy(findings.samples.label):.2f} nats, in part by "
        f"telling the place."
    )
    for recipe in ("best head", "best head, before softmax"):
        told = [f"{probe} probe: {', '.join(names)}" for probe, names in chosen_heads(findings, recipe)]
        page.text(f"Chosen inside the training folds as {recipe}: {'; '.join(told)}.")
    _head_list(page, findings)
    names = ", ".join(findings.head_name(column) for column in shown)
    page.picture(
        pictures["examples"],
        f"Windows with a mixture of classes, and the heads with the most information ({names}): bright patches are "
        f"those that the class token attends to. White patches of the second column have no clear class.",
    )


def _head_list(page: Page, findings: Findings) -> None:
    heads = findings.heads
    information = heads.information[HEADS]
    order = np.argsort(-information.ravel(), kind="stable")[:_LISTED]
    rows: list[list[Cell | str]] = []
    for column in order:
        at = np.unravel_index(column, information.shape)
        distance = heads.statistics["distance"][at]
        metres = float(distance * heads.patch_m)
        rows.append(
            [
                findings.head_name(int(column)),
                Cell(f"{information[at]:.3f}", shade=float(information[at] / (information.max() or 1))),
                f"{heads.pooled[at]:.3f}",
                *(f"{heads.miou[HEADS, probe][at]:.3f}" for probe in KINDS),
                f"{heads.statistics['entropy'][at]:.2f}",
                f"{heads.relative_entropy[at]:.2f}",
                f"{heads.statistics['share of prefix tokens'][at]:.2f}",
                f"{distance * heads.patch_px:.0f}",
                number(round(metres)) if math.isfinite(metres) else "–",
            ]
        )
    header = ["head", "information within places (nats)", "over all places", "mIoU, linear", "mIoU, forest",
              "entropy (nats)", "over log N", "to class token and registers", "distance (pixels)",
              "distance (m)"]  # fmt: skip
    page.table(header, rows, f"The {len(rows)} heads with the most information; all are in heads.csv.")


def _tokens(page: Page, findings: Findings, pictures: dict[str, bytes]) -> None:
    page.heading("The token space")
    page.picture(
        pictures["tokens"],
        f"Patch tokens after the last norm. Left: where classes part along the two directions of largest variance, "
        f"they part without labels. Middle: clusters of one {findings.folds.kind} tell that tokens know their place. "
        f"Right: the two directions that part the classes best in one half of the {findings.folds.kind}s (shrinkage "
        f"LDA), seen on the other half.",
    )


def _data(page: Page, findings: Findings) -> None:
    page.heading("Patches")
    classes, counts = findings.samples.classes, findings.samples.counts
    rows: list[list[Cell | str]] = []
    for index, place in enumerate(findings.places[: len(counts)][:_PLACES]):
        more = f" and {len(place.rasters) - 1} more" if len(place.rasters) > 1 else ""
        name = place.name + more + (" (trained on)" if place.known else "")
        rows.append([name, *(number(float(value)) for value in counts[index]), number(float(counts[index].sum()))])
    if len(counts) > _PLACES:
        rows.append([f"... {len(counts) - _PLACES} more", *[""] * (len(classes) + 1)])
    rows.append(["all", *(number(float(value)) for value in counts.sum(axis=0)), number(float(counts.sum()))])
    page.table(["place", *(item.name for item in classes), "sum"], rows)
    size_m = findings.heads.patch_m
    size = (
        f"{size_m:.0f} m, {findings.heads.patch_px} pixels of the network"
        if math.isfinite(size_m)
        else "of unknown size"
    )
    page.text(f"A patch is {size}; a window has {findings.windows.side} x {findings.windows.side} of them.")
    for text in findings.warnings:
        page.text(text, "note")


def _backbone(findings: Findings) -> str:
    spec = findings.spec.backbone
    return (
        f"{spec.architecture}/{spec.patch}, width {spec.width}, {spec.depth} layers of {spec.heads} heads, "
        f"{spec.register_tokens} registers, windows of {findings.spec.window} pixels"
    )

"""Everything a probe found, in one place for report and tables, and the few lines that sum it up."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sardino_core.analysis.probe.compare import COMMONEST, FREE, Difference, Outcome
from sardino_core.analysis.probe.config import ProbeConfig
from sardino_core.analysis.probe.features import ALL, BEST, CONTEXT, TOKEN, Tables
from sardino_core.analysis.probe.folds import Folds
from sardino_core.analysis.probe.heads import HeadTable
from sardino_core.analysis.probe.samples import Samples, Windows
from sardino_core.analysis.probe.scores import class_entropy, interval, resampled_miou
from sardino_core.contract.model_spec import ModelSpec

FEW_PLACES = 5  # below which an interval over places says little


@dataclass(frozen=True)
class Place:
    """One place: rasters of the same or neighbouring ground."""

    name: str
    rasters: tuple[str, ...]
    known: bool  # the model's provenance names one of them: it was trained on this ground
    simulated: bool


@dataclass(frozen=True)
class Findings:
    """What the report is made of."""

    model: str
    spec: ModelSpec
    config: ProbeConfig
    samples: Samples
    windows: Windows
    places: tuple[Place, ...]
    folds: Folds
    tables: Tables
    outcomes: tuple[Outcome, ...]
    differences: tuple[Difference, ...]
    draws: NDArray[np.int64]  # (B, groups)
    heads: HeadTable
    warnings: tuple[str, ...]

    def outcome(self, recipe: str, dims: int, probe: str) -> Outcome | None:
        """That one; None where it was not probed so."""
        wanted = recipe, dims, probe
        return next((item for item in self.outcomes if (item.recipe, item.dims, item.probe) == wanted), None)

    def interval(self, outcome: Outcome) -> tuple[float, float]:
        """Of its mIoU, over draws of places."""
        return interval(resampled_miou(outcome.by_group, self.draws))

    @property
    def sizes(self) -> list[int]:
        """FREE, and the equal sizes."""
        return sorted({item.dims for item in self.outcomes})

    @property
    def chance(self) -> Outcome:
        """Always the commonest class of the training fold."""
        return next(item for item in self.outcomes if item.recipe == COMMONEST)

    @property
    def entropy_within(self) -> float:
        """Of the class where the place is known, in nats: what a head can tell within places."""
        places, counts = np.unique(self.samples.place, return_counts=True)
        own = [class_entropy(self.samples.label[self.samples.place == place]) for place in places]
        return float(np.average(own, weights=counts))

    def head_name(self, column: int) -> str:
        """`layer 3, head 0`, both counted from 0 as everywhere."""
        layer, head = divmod(column, self.spec.backbone.heads)
        return f"layer {layer}, head {head}"

    def caveats(self) -> list[str]:
        """What a reader must know before any number."""
        told = []
        count = self.folds.count
        if self.folds.kind == "block":
            told.append(
                f"All labels lie in one place. The folds are {count} blocks of it: the figures say how well features "
                f"carry over to neighbouring ground, and nothing about other places."
            )
        elif count < FEW_PLACES:
            told.append(
                f"There are {count} places only: the intervals show how these differ, not how other places would."
            )
        known = [place.name for place in self.places if place.known]
        if known:
            told.append(
                f"The model was trained on {len(known)} of {len(self.places)} places, as far as it names them "
                f"({', '.join(known[:4])}{', ...' if len(known) > 4 else ''}): no evidence about new places."
            )
        if any(place.simulated for place in self.places):
            told.append("Some scenes are simulated: their figures are evidence for the machinery, not about any place.")
        lonely = [
            item.name
            for index, item in enumerate(self.samples.classes)
            if len(np.unique(self.folds.groups[self.samples.label == index])) == 1
        ]
        if lonely:
            told.append(
                f"Only one {self.folds.kind} has {', '.join(lonely)}: no probe can know it there, "
                f"and it counts as missed."
            )
        best = max(item.scores.miou for item in self.outcomes if item.recipe != COMMONEST)
        if best <= self.chance.scores.miou:
            told.append(
                "No feature set reaches the mIoU of always naming the commonest class: these "
                f"{self.folds.kind}s have too little land cover in common to compare feature sets by."
            )
        return told

    def summary(self) -> list[str]:
        """A few lines for a person."""
        groups = "places" if self.folds.kind == "place" else "blocks of one place"
        patches, classes = len(self.samples.label), len(self.samples.classes)
        lines = [f"{patches} patches in {self.folds.count} {groups}, {classes} classes"]
        for name in (BEST, ALL, TOKEN, CONTEXT, "brightness alone"):
            found = [item for item in self.outcomes if item.recipe == name and item.dims == FREE]
            lines.append(f"{name}: mIoU " + " and ".join(f"{item.scores.miou:.3f} ({item.probe})" for item in found))
        return [*lines, f"{COMMONEST}: mIoU {self.chance.scores.miou:.3f}"]

    def values(self) -> dict[str, Any]:
        """Plain numbers for programs."""
        return {
            "patches": len(self.samples.label),
            "places": len(self.places),
            "split_by": self.folds.kind,
            "summary": [*self.caveats(), *self.summary()],
            "miou": [
                {"features": item.recipe, "dims": item.dims, "probe": item.probe, "miou": item.scores.miou}
                for item in self.outcomes
            ],
            "differences": [
                {"first": item.first, "second": item.second, "dims": item.dims, "probe": item.probe,
                 "value": item.value, "low": _plain(item.low), "high": _plain(item.high)}
                for item in self.differences
            ],
        }  # fmt: skip


def chosen_heads(findings: Findings, recipe: str) -> Sequence[tuple[str, list[str]]]:
    """For each probe, the heads chosen in the folds, each with how often."""
    found = []
    for probe in ("linear", "forest"):
        outcome = findings.outcome(recipe, FREE, probe)
        columns, counts = np.unique(outcome.picked if outcome else (), return_counts=True)
        order = np.argsort(-counts, kind="stable")
        found.append((probe, [f"{findings.head_name(int(columns[i]))} ({counts[i]}x)" for i in order]))
    return found


def _plain(value: float) -> float | None:
    return value if math.isfinite(value) else None

"""How sure a map is of a place and how often it is right, pixel by pixel, and the tables that follow."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from user_maps import UserMap

from sardino_core.training.landcover.calibrate import calibration_error
from sardino_core.training.windows.targets import ClassSets

_EVERY = 7  # labelled pixel is asked for its confidence


@dataclass(frozen=True)
class Doubt:
    """Sampled pixels with a label. One of several classes is right where it allows the class that is given."""

    confidence: NDArray[np.float64]
    correct: NDArray[np.bool_]
    sure: NDArray[np.bool_]  # by the threshold of the model
    single: NDArray[np.bool_]  # the label allows one class alone

    @staticmethod
    def of(found: UserMap, target: NDArray[np.int64], sets: ClassSets) -> Doubt:
        """`target` (h, w): numbers of sets, 0 without a label."""
        chosen = np.flatnonzero((found.given >= 0) & (target > 0))[::_EVERY]
        given, confidence, sure, label = (
            part.ravel()[chosen] for part in (found.given, found.confidence, found.sure, target)
        )
        allowed = sets.table[label]
        return Doubt(
            confidence.astype(np.float64), allowed[np.arange(len(label)), given], sure, allowed.sum(axis=1) == 1
        )

    @staticmethod
    def together(doubts: Sequence[Doubt]) -> Doubt:
        """The pixels of all."""
        keys = ("confidence", "correct", "sure", "single")
        return Doubt(*(np.concatenate([getattr(doubt, key) for doubt in doubts]) for key in keys))

    def where(self, chosen: NDArray[np.bool_]) -> Doubt:
        """A part of the pixels."""
        return Doubt(self.confidence[chosen], self.correct[chosen], self.sure[chosen], self.single[chosen])

    @property
    def accuracy(self) -> float:
        """Of all pixels."""
        return float(self.correct.mean())

    @property
    def unsure(self) -> float:
        """The share that is left out."""
        return float(1 - self.sure.mean())

    @property
    def accuracy_when_sure(self) -> float:
        """Of the others; NaN where there are none."""
        return float(self.correct[self.sure].mean()) if self.sure.any() else float("nan")

    @property
    def calibration_error(self) -> float:
        """Expected calibration error."""
        return calibration_error(self.confidence, self.correct)


@dataclass(frozen=True)
class PlaceDoubt:
    """Of a place: its labelled pixels, and how many of the whole map are `unsure`, labelled or not."""

    place: str
    labelled: Doubt
    unsure: float  # share of the map's pixels
    shipped: float  # the same of the model that make_starter.py made

    @staticmethod
    def of(place: str, maps: Sequence[UserMap], shipped: Sequence[UserMap], labelled: Sequence[Doubt]) -> PlaceDoubt:
        """From its scenes."""
        return PlaceDoubt(place, Doubt.together(labelled), unsure_share(maps), unsure_share(shipped))


def unsure_share(maps: Sequence[UserMap]) -> float:
    """Of all pixels with data."""
    known = [found.given >= 0 for found in maps]
    unsure = sum(int((~found.sure[mask]).sum()) for found, mask in zip(maps, known, strict=True))
    return unsure / max(1, sum(int(mask.sum()) for mask in known))


def doubt_lines(places: Sequence[PlaceDoubt]) -> list[str]:
    """Two tables: by what the labels allow, and by place."""
    whole = Doubt.together([item.labelled for item in places])
    parts = {
        "one class": whole.where(whole.single),
        "several classes": whole.where(~whole.single),
        "all": whole,
    }
    lines = [
        "| labels | share of the labelled pixels | right | unsure | right of the rest | calibration error |",
        "|---|---|---|---|---|---|",
    ]
    for name, part in parts.items():
        if len(part.correct):
            share = len(part.correct) / len(whole.correct)
            error = f"{part.calibration_error:.3f}" if part.single.all() else ""
            lines.append(f"| {name} | {share:.0%} | {_cells(part)} | {error} |")
    lines += [
        "",
        "| place | unsure, whole map | model that ships | labelled pixels: right | unsure | right of the rest |",
        "|---|---|---|---|---|---|",
    ]
    for item in places:
        lines.append(f"| {item.place} | {item.unsure:.1%} | {item.shipped:.1%} | {_cells(item.labelled)} |")
    mean, shipped = (float(np.mean(shares)) for shares in zip(*((i.unsure, i.shipped) for i in places), strict=True))
    return [*lines, f"| mean of the places | {mean:.1%} | {shipped:.1%} | | | |"]


def _cells(part: Doubt) -> str:
    rest = part.accuracy_when_sure
    return f"{part.accuracy:.1%} | {part.unsure:.1%} | {'' if np.isnan(rest) else f'{rest:.1%}'}"

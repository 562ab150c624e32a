"""Labelled sample points of a map as area-adjusted estimates: numbers, CSV tables and a page."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sardino_core.analysis.area_adjusted import AreaAdjusted, Estimate, area_adjusted
from sardino_core.analysis.class_map import Stratum
from sardino_core.analysis.matrix_table import Rows, matrix_page, matrix_rows
from sardino_core.analysis.reference import Legend, Tally, rows_of
from sardino_core.analysis.report_page import Bar, Cell, Page, number, percent
from sardino_core.contract.errors import SettingInvalid
from sardino_core.contract.model_spec import ClassSpec

METHOD = (
    "Stratified estimators of Olofsson et al. (2014), Remote Sensing of Environment 148, 42-57, equations 1 to 11; "
    "± is half of a 95 % confidence interval (1.96 standard errors). It covers the chance of the sample, not errors "
    "of the reference labels."
)
NO_WIDTH = "± 0 is no certainty: where all points of a class, or none, agree, the formula finds no spread to measure."


@dataclass(frozen=True)
class AreaAssessment:
    """All estimates from one sample; `decided` leaves the stratum `unsure` out, and is None where there is none."""

    classes: tuple[ClassSpec, ...]
    tally: Tally
    mapped: NDArray[np.float64]  # (K,) or (K + 1,) area of the map's rows
    unit: str
    whole: AreaAdjusted
    decided: AreaAdjusted | None

    @staticmethod
    def of(tally: Tally, strata: Sequence[Stratum], legend: Legend, unit: str) -> AreaAssessment:
        """Estimate. Raises SettingInvalid for a class of the map with fewer than two labelled points."""
        rows, size = rows_of(strata, legend), len(legend.classes)
        area, pixels = np.zeros(size + 1), np.zeros(size + 1, np.int64)
        for stratum in strata:
            area[rows[stratum.item.value]] += stratum.area
            pixels[rows[stratum.item.value]] += stratum.pixels
            _require_points(stratum, int(tally.counts[rows[stratum.item.value]].sum()))
        census = tally.counts.sum(axis=1) == pixels
        whole = area_adjusted(tally.counts, area / area.sum(), census)
        decided = None
        if 0 < area[size] < area.sum():
            decided = area_adjusted(tally.counts[:size], area[:size] / area[:size].sum(), census[:size])
        used = size + 1 if area[size] else size
        return AreaAssessment(legend.classes, tally, area[:used], unit, whole, decided)

    @property
    def points(self) -> int:
        """Labelled points that were used."""
        return int(self.tally.counts.sum())

    def areas(self) -> list[Estimate]:
        """Area of each class by the reference, in the map's unit (equation 11)."""
        total = float(self.mapped.sum())
        return [Estimate(total * share.value, total * share.half_width) for share in self.whole.shares]

    def values(self) -> dict[str, Any]:
        """Plain numbers for programs; None where there is nothing to estimate from."""
        classes = []
        for index, (item, area) in enumerate(zip(self.classes, self.areas(), strict=True)):
            entry: dict[str, Any] = {"value": item.value, "name": item.name, "mapped_area": float(self.mapped[index])}
            entry |= _pair("area", area) | _pair("users_accuracy", self.whole.users[index])
            classes.append(entry | _pair("producers_accuracy", self.whole.producers[index]))
        found: dict[str, Any] = {
            "kind": "area-adjusted",
            **_pair("overall_accuracy", self.whole.overall),
            "points": self.points,
            "points_without_reference": self.tally.left_out,
            "area_unit": self.unit,
            "unsure_area": float(self.mapped[len(self.classes) :].sum()),
            "classes": classes,
            "matrix": self.tally.counts[: len(self.mapped)].tolist(),
        }
        return found | (_pair("overall_accuracy_decided", self.decided.overall) if self.decided else {})

    def table(self) -> Rows:
        """One line per class."""
        unit = self.unit
        head = [
            "value", "class", f"mapped_{unit}", f"area_{unit}", f"area_half_width_{unit}", "users_accuracy",
            "users_half_width", "producers_accuracy", "producers_half_width",
        ]  # fmt: skip
        lines: Rows = [head]
        for entry in self.values()["classes"]:
            keys = ("value", "name", "mapped_area", "area", "area_half_width", "users_accuracy",
                    "users_accuracy_half_width", "producers_accuracy", "producers_accuracy_half_width")  # fmt: skip
            lines.append([entry[key] for key in keys])
        return lines

    def matrices(self) -> Rows:
        """The error matrix in points, then in shares of the area."""
        used = len(self.mapped)
        return [
            *matrix_rows("points", self.tally.counts[:used], self.classes),
            [],
            *matrix_rows("share of the area", self.whole.proportions[:used], self.classes),
        ]

    def headline(self) -> list[str]:
        """The overall accuracy in a line or two, and what was left out."""
        overall = self.whole.overall
        lines = [f"overall accuracy {percent(overall.value, overall.half_width)} (95 %), from {self.points} points"]
        if self.decided:
            decided = self.decided.overall
            lines.append(
                f"without unsure, which is {percent(self.mapped[-1] / self.mapped.sum())} of the map: "
                f"{percent(decided.value, decided.half_width)}"
            )
        if self.tally.left_out:
            lines.append(f"{self.tally.left_out} points without a reference were left out")
        return lines

    def summary(self) -> list[str]:
        """The headline, and the area of every class, for a person."""
        lines = self.headline()
        for item, area in zip(self.classes, self.areas(), strict=True):
            lines.append(f"  {item.name}: {number(area.value)} ± {number(area.half_width)} {self.unit}")
        return lines

    def write(self, page: Page) -> None:
        """Add everything to a page."""
        for line in self.headline():
            page.text(line[0].upper() + line[1:] + ".")
        if self.tally.left_out:
            page.text(
                "Points left out make the sample smaller. If they are the difficult ones, the accuracy is overstated.",
                "warning",
            )
        self._write_classes(page, "Classes", self.whole)
        bars = [
            Bar(item.name, item.colour, area.value, area.half_width, float(self.mapped[index]))
            for index, (item, area) in enumerate(zip(self.classes, self.areas(), strict=True))
        ]
        page.chart(bars, self.unit, "Area by the reference, with its 95 % interval; the diamond is the mapped area.")
        if self.decided:
            page.text(
                "Above, unsure counts as wrong: it lowers the overall and the producer's accuracy. The areas include "
                "what lies under it. The next table is about the decided part of the map alone."
            )
            self._write_classes(page, "Without unsure", self.decided)
        page.heading("Error matrix")
        used = len(self.mapped)
        matrix_page(page, self.tally.counts[:used], self.classes, "Sample points")
        matrix_page(page, self.whole.proportions[:used], self.classes, "Shares of the mapped area", share=True)
        page.heading("Method")
        page.text(METHOD)
        page.text(NO_WIDTH)

    def _write_classes(self, page: Page, title: str, found: AreaAdjusted) -> None:
        page.heading(title)
        whole = found is self.whole
        rows: list[list[Cell | str]] = []
        for index, (item, area) in enumerate(zip(self.classes, self.areas(), strict=True)):
            users, producers = found.users[index], found.producers[index]
            row: list[Cell | str] = [
                Cell(item.name, swatch=item.colour),
                str(int(self.tally.counts[index].sum())),
                percent(users.value, users.half_width),
                percent(producers.value, producers.half_width),
            ]
            areas: list[Cell | str] = [number(self.mapped[index]), f"{number(area.value)} ± {number(area.half_width)}"]
            rows.append(row + areas if whole else row)
        if whole and len(self.mapped) > len(self.classes):
            points = int(self.tally.counts[-1].sum())
            rows.append([Cell("unsure", swatch="#d9d9d9"), str(points), "–", "–", number(self.mapped[-1]), "–"])
        header = ["class", "points", "user's accuracy", "producer's accuracy"]
        page.table([*header, f"mapped {self.unit}", f"area {self.unit}"] if whole else header, rows)


def _require_points(stratum: Stratum, points: int) -> None:
    if points < min(2, stratum.pixels):
        raise SettingInvalid(
            f"The mapped class {stratum.item.name} has {points or 'no'} labelled point{'' if points == 1 else 's'}; an "
            f"interval needs 2 or more in every class.",
            "Label more points.",
        )


def _pair(name: str, estimate: Estimate) -> dict[str, float | None]:
    return {
        name: estimate.value if math.isfinite(estimate.value) else None,
        f"{name}_half_width": estimate.half_width if math.isfinite(estimate.half_width) else None,
    }

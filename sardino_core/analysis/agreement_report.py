"""A map's agreement with a reference raster or polygons: numbers, CSV tables and a page. Without intervals."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sardino_core.analysis.agreement import Agreement, agreement
from sardino_core.analysis.class_map import Stratum
from sardino_core.analysis.matrix_table import Rows, matrix_page, matrix_rows
from sardino_core.analysis.reference import Legend, Tally
from sardino_core.analysis.report_page import Cell, Page, number, percent
from sardino_core.contract.errors import NoValidData
from sardino_core.contract.model_spec import ClassSpec

NO_INTERVAL = (
    "These figures describe agreement where the reference has labels, errors of the reference included. The labels are "
    "no probability sample of the map: no confidence interval and no area estimate follows. For these, draw points "
    "with `sardino samplepoints`, label them, and give them as the reference."
)
_SCORES = ("users_accuracy", "producers_accuracy", "f1", "iou")


@dataclass(frozen=True)
class AgreementAssessment:
    """Scores with `unsure` as wrong and, where the map has any, without those pixels."""

    classes: tuple[ClassSpec, ...]
    tally: Tally
    rows: int  # of the matrix: one more than classes where the map has `unsure`
    whole: Agreement
    decided: Agreement | None

    @staticmethod
    def of(tally: Tally, strata: Sequence[Stratum], legend: Legend, name: str) -> AgreementAssessment:
        """Score. Raises NoValidData when map and reference have no pixel in common."""
        if not tally.counts.sum():
            raise NoValidData(
                f"The map and the reference {name} have no labelled pixel in common.",
                "Check where they lie, and the --mapping.",
            )
        size = len(legend.classes)
        unsure = any(stratum.unsure for stratum in strata)
        decided = agreement(tally.counts[:size]) if unsure else None
        return AgreementAssessment(legend.classes, tally, size + unsure, agreement(tally.counts), decided)

    def values(self) -> dict[str, Any]:
        """Plain numbers for programs; None where there is nothing to score."""
        counts = self.tally.counts
        found: dict[str, Any] = {
            "kind": "agreement",
            "overall_accuracy": _plain(self.whole.overall),
            "pixels": int(counts.sum()),
            "pixels_left_out": self.tally.left_out,
            "unsure_pixels": int(counts[-1].sum()),
            "classes": _by_class(self.whole, self.classes),
            "matrix": counts[: self.rows].tolist(),
        }
        if self.decided:
            found["overall_accuracy_decided"] = _plain(self.decided.overall)
            found["classes_decided"] = _by_class(self.decided, self.classes)
        return found

    def table(self) -> Rows:
        """One line per class."""
        entries = self.values()
        lines: Rows = [["value", "class", *_SCORES]]
        lines += [list(entry.values()) for entry in entries["classes"]]
        if self.decided:
            lines += [[], ["without unsure"], *(list(entry.values()) for entry in entries["classes_decided"])]
        return lines

    def matrices(self) -> Rows:
        """The confusion matrix in pixels."""
        return matrix_rows("pixels", self.tally.counts[: self.rows], self.classes)

    def summary(self) -> list[str]:
        """A few lines for a person."""
        lines = [f"overall agreement {percent(self.whole.overall)}, over {number(self.tally.counts.sum())} pixels"]
        if self.decided:
            share = self.tally.counts[-1].sum() / self.tally.counts.sum()
            lines.append(f"without unsure, which is {percent(share)} of them: {percent(self.decided.overall)}")
        return [*lines, "no confidence interval follows: the labels are no probability sample"]

    def unnamed(self) -> str:
        """A remark on mapped classes that the reference never names; empty where it names all."""
        counts = self.tally.counts
        names = [
            item.name for index, item in enumerate(self.classes) if counts[index].any() and not counts[:, index].any()
        ]
        if not names:
            return ""
        return (
            f"The reference names no pixel {', '.join(names)}, so all that is mapped so counts as wrong. Where its "
            f"classes are broader than the map's, merge those of the map first."
        )

    def write(self, page: Page) -> None:
        """Add everything to a page."""
        for line in self.summary()[:-1]:
            page.text(line[0].upper() + line[1:] + ".")
        page.text(NO_INTERVAL, "warning")
        if self.unnamed():
            page.text(self.unnamed())
        self._write_classes(page, "Classes", self.whole)
        if self.decided:
            page.text("Above, unsure counts as wrong. The next table is about the decided pixels alone.")
            self._write_classes(page, "Without unsure", self.decided)
        page.heading("Confusion matrix")
        matrix_page(page, self.tally.counts[: self.rows], self.classes, "Pixels")
        page.heading("Method")
        page.text(
            "User's accuracy is the share of what is mapped as a class that the reference calls so; producer's "
            "accuracy the share of what the reference calls a class that is mapped so; F1 their harmonic mean; IoU "
            "the pixels that both call so among those that either does. A reference on another grid is read by its "
            "nearest pixel."
        )

    def _write_classes(self, page: Page, title: str, found: Agreement) -> None:
        page.heading(title)
        rows: list[list[Cell | str]] = []
        matrix = self.tally.counts if found is self.whole else self.tally.counts[:-1]
        for index, item in enumerate(self.classes):
            scores = (found.users[index], found.producers[index], found.f1[index], found.iou[index])
            counts = matrix[index].sum(), matrix[:, index].sum()
            name = Cell(item.name, swatch=item.colour)
            rows.append(
                [name, *(number(float(count)) for count in counts), *(percent(float(score)) for score in scores)]
            )
        page.table(["class", "mapped", "reference", "user's accuracy", "producer's accuracy", "F1", "IoU"], rows)


def _by_class(found: Agreement, classes: Sequence[ClassSpec]) -> list[dict[str, Any]]:
    scores = (found.users, found.producers, found.f1, found.iou)
    return [
        {"value": item.value, "name": item.name}
        | {name: _plain(float(score[index])) for name, score in zip(_SCORES, scores, strict=True)}
        for index, item in enumerate(classes)
    ]


def _plain(value: float) -> float | None:
    return value if math.isfinite(value) else None

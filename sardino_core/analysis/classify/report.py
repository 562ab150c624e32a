"""A classifier as a page and a few lines: what it took, what cross-validation says, what the map holds."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

import sardino_core
from sardino_core.analysis.agreement import agreement
from sardino_core.analysis.classify.areas import BLOCK_PX
from sardino_core.analysis.classify.classifier_file import Description
from sardino_core.analysis.classify.estimators import NEIGHBOURS
from sardino_core.analysis.classify.features import COMPONENTS, SQUARES_PX
from sardino_core.analysis.matrix_table import matrix_page
from sardino_core.analysis.report_page import Cell, Page, number, percent

METHOD_NAMES = {
    "forest": "random forest of 100 trees",
    "logistic": "logistic regression",
    "knn": f"{NEIGHBOURS} nearest neighbours",
}
FEATURE_NAMES = {
    "bands": "backscatter of the pixel in dB",
    "filtered": f"mean power in squares of {', '.join(map(str, SQUARES_PX))} pixels, in dB",
    "attention": "attention of the class token in the last layer, head by head (base-2 logarithm)",
    "tokens": f"the first {COMPONENTS} principal components of the patch tokens",
}
CAUTION = (
    "Areas that were held out stand for places like them: whoever draws clear examples gets better figures than the "
    "map deserves. They are no probability sample of the map, so that no interval and no area follows. For these, draw "
    "points with `sardino samplepoints`, label them, and give them to `sardino accuracy`."
)


def summary(said: Description) -> list[str]:
    """A few lines for a person."""
    found = agreement(np.array(said.counts))
    held = "polygons" if said.kind == "polygons" else f"squares of {BLOCK_PX} pixels with points"
    return [
        f"{METHOD_NAMES[said.method]} on {', '.join(said.features)}; trained on {sum(said.pixels)} pixels of "
        f"{sum(said.areas)} {said.kind} of {said.scene}",
        f"cross-validated over {said.groups} {held} in {said.folds} folds: {percent(found.overall)} of the pixels "
        f"right, mean IoU {percent(float(np.nanmean(found.iou)))}",
    ]


def page(said: Description, pixels: Mapping[str, int], scene: str, training: str | None) -> Page:
    """The report; `pixels` of the map by class, `training` the areas' file where this run trained on it."""
    given = f"Training: {training}" if training else f"Classifier trained on {said.scene}, applied"
    found = Page(f"Classification of {scene}", f"Scene: {scene}. {given}. sardino {sardino_core.__version__}.")
    found.text(summary(said)[1][0].upper() + summary(said)[1][1:] + ".")
    found.text(CAUTION, "warning")
    if training is None:
        found.text("The figures are those of the scene that the classifier was trained on. Of this scene they say "
                   "nothing: another season, orbit or product may look different.", "warning")  # fmt: skip
    _classes(found, said, pixels)
    found.heading("Confusion matrix of the held-out areas")
    matrix_page(found, np.array(said.counts), said.classes, "Training pixels: what was said, against the areas' class")
    found.heading("Method")
    found.facts(
        [
            ("method", METHOD_NAMES[said.method]),
            *((name, FEATURE_NAMES[name]) for name in said.features),
            ("bands", ", ".join(said.bands)),
            ("network", said.model or "none was run"),
            ("held out", f"{said.groups} groups in {said.folds} folds; {_grouping(said)}"),
        ]
    )
    return found


def _grouping(said: Description) -> str:
    if said.kind == "polygons":
        return "a polygon is never in training and test at once"
    return f"points within one square of {BLOCK_PX} pixels are never in training and test at once"


def _classes(found: Page, said: Description, pixels: Mapping[str, int]) -> None:
    found.heading("Classes")
    scores, total = agreement(np.array(said.counts)), max(1, sum(pixels.values()))
    rows: list[list[Cell | str]] = [
        [
            Cell(item.name, swatch=item.colour),
            number(said.areas[index]),
            number(said.pixels[index]),
            *(percent(float(part[index])) for part in (scores.users, scores.producers, scores.f1, scores.iou)),
            percent(pixels[item.name] / total),
        ]
        for index, item in enumerate(said.classes)
    ]
    header = ["class", said.kind, "training pixels", "user's accuracy", "producer's accuracy", "F1", "IoU",
              "share of the map"]  # fmt: skip
    found.table(header, rows, "Accuracies are those of held-out areas; the share counts the map's pixels")

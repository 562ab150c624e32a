"""Pictures of the starter's page: reliability and coverage, and every place with its map and errors."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from numpy.typing import NDArray
from whole_maps import WholeMap, whole_maps

from sardino_core.models.model_file import load_weights, read_spec
from sardino_core.models.network import build
from sardino_core.raster.false_colour import false_colour
from sardino_core.training.landcover.calibrate import calibration_error
from sardino_core.training.landcover.report import colours
from sardino_core.training.settings.finetune_config import FinetuneConfig
from sardino_core.training.windows.sources import SceneStore
from sardino_core.training.windows.targets import ClassSets

_BINS = 10
_EVERY = 7  # labelled pixel is asked for its confidence
_UNSURE, _UNKNOWN, _OTHER = (40, 40, 40), (255, 255, 255), (225, 215, 190)  # other: a label of several classes
_WRONG, _RIGHT = (220, 30, 30), (235, 235, 235)
Image = NDArray[np.uint8]  # (h, w, 3)


@dataclass(frozen=True)
class Doubt:
    """Confidence and truth of sampled pixels with a single class, and whether the model's threshold keeps them."""

    confidence: NDArray[np.float64]
    correct: NDArray[np.bool_]
    sure: NDArray[np.bool_]

    @property
    def accuracy(self) -> float:
        """Of all pixels."""
        return float(self.correct.mean())

    @property
    def kept(self) -> float:
        """The share that is not unsure."""
        return float(self.sure.mean())

    @property
    def accuracy_when_sure(self) -> float:
        """Of those."""
        return float(self.correct[self.sure].mean())

    @property
    def calibration_error(self) -> float:
        """Expected calibration error."""
        return calibration_error(self.confidence, self.correct)


@dataclass(frozen=True)
class Picture:
    """One scene of a place."""

    name: str
    backscatter: Image
    labels: Image
    land_cover: Image
    errors: Image


def look(model: Path, config: FinetuneConfig) -> tuple[list[Picture], Doubt]:
    """What a model says of all scenes of the configuration, whose labels are held out."""
    spec = read_spec(model)
    network = build(spec, load_weights(model)).eval()
    pictures, doubts = [], []
    with SceneStore(config) as store:
        for found in whole_maps(network, spec.calibration, store, config):
            db, valid, target = store.read(found.scene, found.scene.grid.full)
            doubts.append(_doubt(found, target, store.sets))
            pictures.append(_picture(found, false_colour(db, valid), target, store.sets))
    return pictures, together(doubts)


def _doubt(found: WholeMap, target: NDArray[np.int64], sets: ClassSets) -> Doubt:
    chosen = np.flatnonzero((found.given >= 0) & (sets.table[target].sum(axis=-1) == 1))[::_EVERY]
    given, confidence, sure = (part.ravel()[chosen] for part in (found.given, found.confidence, found.sure))
    return Doubt(confidence.astype(np.float64), sets.table[target.ravel()[chosen], given], sure)


def _picture(found: WholeMap, backscatter: Image, target: NDArray[np.int64], sets: ClassSets) -> Picture:
    of_sets, of_classes = colours(sets)
    several, none = sets.table.sum(axis=1) > 1, ~sets.table.any(axis=1)
    labels = np.where(several[:, None], _OTHER, np.where(none[:, None], _UNKNOWN, of_sets)).astype(np.uint8)
    asked, given = found.given >= 0, np.maximum(found.given, 0)
    drawn = np.where(found.sure[..., None], of_classes[given], _UNSURE)
    wrong = asked & found.sure & ~sets.table[target, given]
    return Picture(
        f"{found.scene.source.name}: {found.scene.name.rpartition('/')[2]}",
        backscatter,
        labels[target],
        np.where(asked[..., None], drawn, _UNKNOWN).astype(np.uint8),
        np.where(wrong[..., None], _WRONG, np.where(asked[..., None], _RIGHT, _UNKNOWN)).astype(np.uint8),
    )


def together(doubts: Sequence[Doubt]) -> Doubt:
    """The pixels of several models."""
    return Doubt(
        *(np.concatenate([getattr(doubt, key) for doubt in doubts]) for key in ("confidence", "correct", "sure"))
    )


def draw_doubt(doubt: Doubt) -> bytes:
    """Reliability and accuracy over coverage, as PNG."""
    figure = Figure(figsize=(9, 4), layout="constrained")
    reliability, coverage = figure.subplots(1, 2)
    bins = np.minimum((doubt.confidence * _BINS).astype(int), _BINS - 1)
    count = np.bincount(bins, minlength=_BINS)
    filled = count > 0
    claimed, true = (
        np.bincount(bins, values, _BINS)[filled] / count[filled] for values in (doubt.confidence, doubt.correct)
    )
    reliability.plot([0, 1], [0, 1], color="grey", lw=1)
    reliability.plot(claimed, true, "-o", ms=4)
    reliability.bar((np.arange(_BINS) + 0.5) / _BINS, count / count.sum(), 1 / _BINS, color="tab:blue", alpha=0.15)
    reliability.set(
        xlabel="confidence (bars: share of the pixels)", ylabel="right", xlim=(0, 1), ylim=(0, 1), title="Reliability"
    )
    order = np.argsort(-doubt.confidence, kind="stable")
    kept = np.arange(1, len(order) + 1)
    coverage.plot(kept / len(order), doubt.correct[order].cumsum() / kept)
    coverage.plot(doubt.kept, doubt.accuracy_when_sure, "x", ms=9, color="tab:red")
    coverage.set(
        xlabel="share of the pixels kept",
        ylabel="right among them",
        xlim=(0, 1),
        ylim=(0, 1),
        title="Accuracy over coverage",
    )
    return _png(figure)


def draw_gallery(pictures: Sequence[Picture], legend: Mapping[str, str]) -> bytes:
    """A row of four panels per scene, and the classes' colours (name -> #rrggbb) below; as PNG."""
    figure = Figure(figsize=(11, 2.75 * len(pictures) + 0.5), layout="constrained")
    axes = figure.subplots(len(pictures), 4, squeeze=False)
    titles = ("VV, VH, VV-VH", "labels", "map", "errors")
    for row, picture in zip(axes, pictures, strict=True):
        panels = (picture.backscatter, picture.labels, picture.land_cover, picture.errors)
        for axis, title, image in zip(row, titles, panels, strict=True):
            axis.imshow(image, interpolation="nearest")
            axis.set(xticks=[], yticks=[], title=picture.name if title == titles[0] else title)
            axis.title.set_size(8)
    shown = {**legend, "unsure": _hex(_UNSURE), "several classes": _hex(_OTHER)}
    figure.legend(
        handles=[Patch(facecolor=colour, edgecolor="grey", label=name) for name, colour in shown.items()],
        loc="outside lower center",
        ncols=len(shown),
        fontsize=8,
    )
    return _png(figure)


def _hex(rgb: tuple[int, int, int]) -> str:
    return "#{:02x}{:02x}{:02x}".format(*rgb)


def _png(figure: Figure) -> bytes:
    target = io.BytesIO()
    figure.savefig(target, dpi=110, format="png")
    return target.getvalue()

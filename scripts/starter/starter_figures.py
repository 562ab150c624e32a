"""Pictures of the starter's page: reliability and coverage, and every place with its map and errors."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from sardino_core.models.model_file import load_weights, read_spec
from sardino_core.models.network import build
from sardino_core.models.outputs import probabilities
from sardino_core.raster.false_colour import false_colour
from sardino_core.training.evaluate import predictions
from sardino_core.training.landcover.calibrate import calibration_error
from sardino_core.training.settings.finetune_config import FinetuneConfig, load_config
from sardino_core.training.windows.sources import SceneStore

_BINS = 10
_EVERY = 7  # labelled pixel is asked for its confidence
_UNSURE, _UNKNOWN, _OTHER = (40, 40, 40), (255, 255, 255), (225, 215, 190)  # other: a label of several classes


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
    """One scene of a place, each (h, w, 3) in 0..255."""

    name: str
    backscatter: NDArray[np.uint8]
    labels: NDArray[np.uint8]
    land_cover: NDArray[np.uint8]
    errors: NDArray[np.uint8]


def names_of(values: Sequence[int]) -> dict[int, str]:
    """Class values to names, as in configs/finetune-starter.yaml."""
    known = {item.value: item.name for item in load_config("finetune-starter").classes}
    return {value: known[value] for value in values}


def look(model: Path, config: FinetuneConfig) -> tuple[list[Picture], Doubt]:
    """What a model says of all scenes of the configuration, whose labels are held out."""
    spec = read_spec(model)
    network = build(spec, load_weights(model)).eval()
    pictures, confidences, rights = [], [], []
    with SceneStore(config) as store:
        table, colours = store.sets.table, np.array([_rgb(item.colour) for item in store.sets.classes], np.uint8)
        shades = np.array([_shade(row, colours) for row in table], np.uint8)
        maps: dict[Any, NDArray[np.int64]] = {}
        for window, logits in predictions(network, store, config):
            scene = window.scene
            p = probabilities(logits.reshape(len(logits), -1).T, spec.calibration.temperature)  # (m, K)
            given, confidence = p.argmax(axis=1), p.max(axis=1)
            single = table[window.target.ravel()].sum(axis=1) == 1
            chosen = np.flatnonzero(single)[::_EVERY]
            confidences.append(confidence[chosen].astype(np.float64))
            rights.append(table[window.target.ravel()[chosen], given[chosen]])
            drawn = np.where(confidence < spec.calibration.unsure_below, len(colours), given).reshape(
                window.target.shape
            )
            whole = maps.setdefault(scene, np.full((scene.grid.height, scene.grid.width), -1))
            height, width = window.target.shape
            area = whole[window.row : window.row + height, window.col : window.col + width]
            area[...] = np.where(window.target > 0, drawn, area)
        for scene, drawn in maps.items():
            db, valid, target = store.read(scene, scene.grid.full)
            palette = np.concatenate([colours, [_UNSURE, _UNKNOWN]]).astype(np.uint8)
            wrong = (drawn >= 0) & (drawn < len(colours)) & ~table[target, np.clip(drawn, 0, len(colours) - 1)]
            errors = np.where(wrong[..., None], (220, 30, 30), np.where((target > 0)[..., None], 235, 255))
            pictures.append(
                Picture(
                    f"{scene.source.name}: {scene.name.rpartition('/')[2]}",
                    false_colour(db, valid),
                    shades[target],
                    palette[drawn],
                    errors.astype(np.uint8),
                )
            )
    confidence = np.concatenate(confidences)
    return pictures, Doubt(confidence, np.concatenate(rights), confidence >= spec.calibration.unsure_below)


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
            axis.set(xticks=[], yticks=[], title=f"{picture.name}" if title == titles[0] else title)
            axis.title.set_size(8)
    from matplotlib.patches import Patch

    shown = {**legend, "unsure": _hex(_UNSURE), "several classes": _hex(_OTHER)}
    figure.legend(
        handles=[Patch(facecolor=colour, edgecolor="grey", label=name) for name, colour in shown.items()],
        loc="outside lower center",
        ncols=len(shown),
        fontsize=8,
    )
    return _png(figure)


def _shade(members: NDArray[np.bool_], colours: NDArray[np.uint8]) -> Any:
    """Of a label: its class's colour, one colour for several classes, white for none."""
    if members.sum() == 1:
        return colours[members.argmax()]
    return _OTHER if members.any() else _UNKNOWN


def _rgb(colour: str) -> tuple[int, int, int]:
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)


def _hex(rgb: tuple[int, int, int]) -> str:
    return "#{:02x}{:02x}{:02x}".format(*rgb)


def _png(figure: Figure) -> bytes:
    target = io.BytesIO()
    figure.savefig(target, dpi=110, format="png")
    return target.getvalue()

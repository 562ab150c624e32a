"""Pictures of the starter's page: reliability and coverage, and every place with its map and errors."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from doubts import Doubt, PlaceDoubt
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from numpy.typing import NDArray
from user_maps import UserMap, user_map

from sardino_core.raster.false_colour import false_colour
from sardino_core.training.landcover.report import colours
from sardino_core.training.settings.finetune_config import FinetuneConfig
from sardino_core.training.windows.sources import LabelledScene, SceneStore
from sardino_core.training.windows.targets import ClassSets

_BINS = 10
_UNSURE, _UNKNOWN, _OTHER = (40, 40, 40), (255, 255, 255), (225, 215, 190)  # other: a label of several classes
_WRONG, _RIGHT = (220, 30, 30), (235, 235, 235)
Image = NDArray[np.uint8]  # (h, w, 3)


@dataclass(frozen=True)
class Picture:
    """One scene of a place."""

    name: str
    backscatter: Image
    labels: Image
    land_cover: Image
    errors: Image


def look(model: Path, shipped: Path, config: FinetuneConfig) -> tuple[list[Picture], list[PlaceDoubt]]:
    """What a user's map by a model says of all scenes of the configuration, whose labels are held out.

    `shipped` may have trained on them, and is asked for its doubt alone.
    """
    pictures: list[Picture] = []
    maps: dict[str, list[UserMap]] = {}
    others: dict[str, list[UserMap]] = {}
    labelled: dict[str, list[Doubt]] = {}
    with SceneStore(config) as store:
        for scene in store.scenes:
            db, valid, target = store.read(scene, scene.grid.full)
            found = user_map(model, scene)
            maps.setdefault(scene.source.name, []).append(found)
            others.setdefault(scene.source.name, []).append(user_map(shipped, scene))
            labelled.setdefault(scene.source.name, []).append(Doubt.of(found, target, store.sets))
            pictures.append(_picture(scene, found, false_colour(db, valid), target, store.sets))
    return pictures, [PlaceDoubt.of(place, maps[place], others[place], labelled[place]) for place in maps]


def _picture(
    scene: LabelledScene, found: UserMap, backscatter: Image, target: NDArray[np.int64], sets: ClassSets
) -> Picture:
    of_sets, of_classes = colours(sets)
    several, none = sets.table.sum(axis=1) > 1, ~sets.table.any(axis=1)
    labels = np.where(several[:, None], _OTHER, np.where(none[:, None], _UNKNOWN, of_sets)).astype(np.uint8)
    known, given = found.given >= 0, np.maximum(found.given, 0)
    drawn = np.where(found.sure[..., None], of_classes[given], _UNSURE)
    asked = known & (target > 0)
    wrong = asked & found.sure & ~sets.table[target, given]
    return Picture(
        f"{scene.source.name}: {scene.name.rpartition('/')[2]}",
        backscatter,
        labels[target],
        np.where(known[..., None], drawn, _UNKNOWN).astype(np.uint8),
        np.where(wrong[..., None], _WRONG, np.where(asked[..., None], _RIGHT, _UNKNOWN)).astype(np.uint8),
    )


def draw_doubt(doubt: Doubt) -> bytes:
    """Reliability and accuracy over coverage, as PNG: of the labels of one class, and of all."""
    figure = Figure(figsize=(9, 4), layout="constrained")
    reliability, coverage = figure.subplots(1, 2)
    reliability.plot([0, 1], [0, 1], color="grey", lw=1)
    for name, part, colour in (
        ("labels of one class", doubt.where(doubt.single), "tab:blue"),
        ("all labels", doubt, "tab:orange"),
    ):
        bins = np.minimum((part.confidence * _BINS).astype(int), _BINS - 1)
        count = np.bincount(bins, minlength=_BINS)
        filled = count > 0
        claimed, true = (
            np.bincount(bins, values, _BINS)[filled] / count[filled] for values in (part.confidence, part.correct)
        )
        reliability.plot(claimed, true, "-o", ms=4, color=colour, label=name)
        reliability.bar((np.arange(_BINS) + 0.5) / _BINS, count / count.sum(), 1 / _BINS, color=colour, alpha=0.15)
        order = np.argsort(-part.confidence, kind="stable")
        kept = np.arange(1, len(order) + 1)
        coverage.plot(kept / len(order), part.correct[order].cumsum() / kept, color=colour, label=name)
        coverage.plot(1 - part.unsure, part.accuracy_when_sure, "x", ms=9, color="tab:red")
    reliability.set(
        xlabel="confidence (bars: share of the pixels)", ylabel="right", xlim=(0, 1), ylim=(0, 1), title="Reliability"
    )
    coverage.set(
        xlabel="share of the pixels kept",
        ylabel="right among them",
        xlim=(0, 1),
        ylim=(0, 1),
        title="Accuracy over coverage",
    )
    coverage.legend(loc="lower left")
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

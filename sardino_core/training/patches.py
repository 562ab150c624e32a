"""Windows straight from rasters: drawn at random for training, laid out side by side for validation. No chipping step.

A window is read at its own scale and brought to the network's with the same averaging that inference uses. Windows with
too little data or too few labels are skipped and counted. No torch here.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from sardino_core.contract.errors import NoValidData
from sardino_core.raster.grid import PixelWindow
from sardino_core.raster.resampling import cell_size, resample_backscatter, resampling_matrix
from sardino_core.training.config import FinetuneConfig
from sardino_core.training.sources import LabelledScene, SceneStore
from sardino_core.training.targets import UNKNOWN

_PATIENCE = 500  # windows skipped in a row before a source is said to have nothing to offer
_OVERLAP = 0.25  # of validation windows, as inference has by default


@dataclass(frozen=True)
class Patch:
    """One window at the network's scale, S pixels a side."""

    backscatter_db: NDArray[np.float32]  # (B, S, S); 0 where not valid
    valid: NDArray[np.bool_]  # (S, S)
    target: NDArray[np.int64]  # (S, S) numbers of class sets; 0: no label


class PatchSampler:
    """Endless random training windows: a source by its weight, a scene by its area, then a place and a scale."""

    def __init__(self, store: SceneStore, config: FinetuneConfig) -> None:
        """Raises NoValidData when no source has a scene to train on."""
        self.skipped: Counter[str] = Counter()  # by reason
        self.drawn: Counter[str] = Counter()  # by source
        self._store, self._config = store, config
        training = [scene for scene in store.scenes if not scene.split.held_out.all() and scene.source.weight > 0]
        if not training:
            raise NoValidData("No scene is left to train on: everything is held out.", "Lower hold_out.")
        self._groups = _by_source(training)
        weights = np.array([group[0].source.weight for group in self._groups])
        self._chances = weights / weights.sum()

    def draw(self, rng: np.random.Generator) -> Patch:
        """The next window. Raises NoValidData when a source offers none, again and again."""
        group = self._groups[rng.choice(len(self._groups), p=self._chances)]
        areas = np.array([float(scene.grid.height * scene.grid.width) for scene in group])
        for _ in range(_PATIENCE):
            scene = group[rng.choice(len(group), p=areas / areas.sum())]
            patch = self._at_random(scene, rng)
            reason = self._reason_to_skip(patch)
            if reason is None:
                self.drawn[scene.source.name] += 1
                return patch
            self.skipped[f"{scene.source.name}: {reason}"] += 1
        raise NoValidData(
            f"{_PATIENCE} windows in a row of the source {group[0].source.name} had too little data or too few labels.",
            "Check its labels, or lower least_valid and least_labelled.",
        )

    def _at_random(self, scene: LabelledScene, rng: np.random.Generator) -> Patch:
        window_px = self._config.model.window
        low, high = self._config.augment.zoom
        scale = math.exp(rng.uniform(math.log(low), math.log(high))) * _base_scale(scene, self._config)
        # Beyond the raster there is nothing but mirror images: a small one is not shrunk further.
        side = min(max(8, round(window_px * scale)), max(round(window_px * low), scene.grid.height, scene.grid.width))
        row, col = (int(rng.integers(0, max(0, extent - side) + 1)) for extent in (scene.grid.height, scene.grid.width))
        window = PixelWindow(row, col, side, side)
        db, valid, target = read_padded(self._store, scene, window)
        inside = _inside(scene, window)
        kept = np.zeros_like(target)
        kept[: inside.height, : inside.width] = scene.split.trains(inside)
        return resample_patch(Patch(db, valid, target * kept), window_px)

    def _reason_to_skip(self, patch: Patch) -> str | None:
        if patch.valid.mean() < self._config.least_valid:
            return "too little valid data"
        if (patch.target != UNKNOWN).mean() < self._config.least_labelled:
            return "too few labels"
        return None


@dataclass(frozen=True)
class ValidationWindow:
    """A window of the validation layout; `patch` is at the network's scale."""

    scene: LabelledScene
    patch: Patch
    target: NDArray[np.int64]  # (h, w) at the raster's scale: labels that this window, and no other, answers for
    side_px: int  # of the window in raster pixels; `target` is its upper left part


def validation_windows(store: SceneStore, config: FinetuneConfig) -> Iterator[ValidationWindow]:
    """All windows that hold validation labels, scene by scene; every labelled pixel belongs to exactly one window."""
    for scene in store.scenes:
        if scene.split.held_out.any():
            yield from _windows_of(scene, store, config)


def _windows_of(scene: LabelledScene, store: SceneStore, config: FinetuneConfig) -> Iterator[ValidationWindow]:
    patch_px, window_px = config.model.backbone.patch, config.model.window
    side = window_px // patch_px * cell_size(scene.grid.spacing_m, config.model.inputs.spacing_m, patch_px)
    for row, rows in _layout(scene.grid.height, side):
        for col, cols in _layout(scene.grid.width, side):
            window = PixelWindow(row, col, side, side)
            inside = _inside(scene, window)
            owned = np.zeros((inside.height, inside.width), np.bool_)
            owned[rows, cols] = True
            owned &= scene.split.validates(inside)
            if not owned.any():
                continue
            db, valid, target = read_padded(store, scene, window)
            own_target = target[: inside.height, : inside.width] * owned
            if (own_target != UNKNOWN).any():
                yield ValidationWindow(scene, resample_patch(Patch(db, valid, target), window_px), own_target, side)


def read_padded(
    store: SceneStore, scene: LabelledScene, window: PixelWindow
) -> tuple[NDArray[np.float32], NDArray[np.bool_], NDArray[np.int64]]:
    """A window that may reach over the lower and right edge: the image mirrored there as in inference, no labels."""
    inside = _inside(scene, window)
    db, valid, target = store.read(scene, inside)
    margin = ((0, window.height - inside.height), (0, window.width - inside.width))
    if not any(after for _, after in margin):
        return db, valid, target
    return np.pad(db, ((0, 0), *margin), "symmetric"), np.pad(valid, margin, "symmetric"), np.pad(target, margin)


def resample_patch(patch: Patch, side: int) -> Patch:
    """The same place with `side` pixels: backscatter averaged in power, the label at each new pixel's centre."""
    source = patch.valid.shape[0]
    if source == side:
        return patch
    db, valid = resample_backscatter(patch.backscatter_db, patch.valid, resampling_matrix(source, side))
    nearest = np.minimum(((np.arange(side) + 0.5) * (source / side)).astype(np.int64), source - 1)
    return Patch(db, valid, patch.target[np.ix_(nearest, nearest)] * valid)


def count_labels(store: SceneStore, scenes: Sequence[LabelledScene], training: bool) -> NDArray[np.int64]:
    """Pixels per class set on one side of the split."""
    counts = np.zeros(len(store.sets.members), np.int64)
    for scene in scenes:
        window = scene.grid.full
        _, _, target = store.read(scene, window)
        side = scene.split.trains(window) if training else scene.split.validates(window)
        counts += np.bincount((target * side).ravel(), minlength=len(counts))
    return counts


def _layout(length: int, side: int) -> Iterator[tuple[int, slice]]:
    """Starts of overlapping windows, and the part (relative to the start) that each answers for."""
    count = 1 if length <= side else math.ceil((length - side) / (side * (1 - _OVERLAP))) + 1
    starts = [round(index * (length - side) / max(1, count - 1)) if count > 1 else 0 for index in range(count)]
    cuts = [0, *[(first + side + second) // 2 for first, second in pairwise(starts)], length]
    for index, start in enumerate(starts):
        yield start, slice(cuts[index] - start, cuts[index + 1] - start)


def _inside(scene: LabelledScene, window: PixelWindow) -> PixelWindow:
    height = min(window.height, scene.grid.height - window.row)
    width = min(window.width, scene.grid.width - window.col)
    return PixelWindow(window.row, window.col, height, width)


def _base_scale(scene: LabelledScene, config: FinetuneConfig) -> float:
    """Raster pixels per network pixel before jitter: 1, unless the spacing lies outside the model's range."""
    patch = config.model.backbone.patch
    return cell_size(scene.grid.spacing_m, config.model.inputs.spacing_m, patch) / patch


def _by_source(scenes: Sequence[LabelledScene]) -> list[list[LabelledScene]]:
    groups: dict[int, list[LabelledScene]] = {}
    for scene in scenes:
        groups.setdefault(id(scene.source), []).append(scene)
    return list(groups.values())

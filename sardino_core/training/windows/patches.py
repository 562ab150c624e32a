"""Windows straight from rasters: drawn at random for training, laid out side by side for validation. No chipping step.

A window is read at its own scale and brought to the network's with the same averaging that inference uses. Windows with
too little data or too few labels are skipped and counted. No torch here.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice, pairwise

import numpy as np
from numpy.typing import NDArray

from sardino_core.contract.errors import NotARaster, NoValidData
from sardino_core.raster.grid import PixelWindow
from sardino_core.raster.resampling import cell_size, resample_backscatter, resampling_matrix
from sardino_core.training.settings.finetune_config import FinetuneConfig
from sardino_core.training.windows.label_blocks import Census, LabelBlocks
from sardino_core.training.windows.sources import LabelledScene, SceneStore
from sardino_core.training.windows.targets import UNKNOWN

_PATIENCE = 500  # windows skipped in a row before a source is said to have nothing to offer
_OVERLAP = 0.25  # of validation windows, as inference has by default


@dataclass(frozen=True)
class Patch:
    """One window at the network's scale, S pixels a side."""

    backscatter_db: NDArray[np.float32]  # (B, S, S); 0 where not valid
    valid: NDArray[np.bool_]  # (S, S)
    target: NDArray[np.int64]  # (S, S) numbers of class sets; 0: no label


class PatchSampler:
    """Random training windows: a source by its weight, a block by its labels, then a place around it and a scale."""

    def __init__(self, census: Census, config: FinetuneConfig) -> None:
        self._config = config
        self._groups = [_Group.of(items) for items in _by_source(census.training)]
        weights = np.array([group.scenes[0].scene.source.weight for group in self._groups])
        self._chances = weights / weights.sum()

    def draw(self, store: SceneStore, rng: np.random.Generator, skipped: Counter[str]) -> tuple[Patch, str]:
        """The next window and where it lies. Raises NoValidData when a source offers none, again and again."""
        group = self._groups[rng.choice(len(self._groups), p=self._chances)]
        source = group.scenes[0].scene.source.name
        for _ in range(_PATIENCE):
            item, row, col = group.draw(rng)
            window = self._around(item, row, col, rng)
            try:
                patch = self._read(store, item, window)
            except NotARaster as error:
                skipped[f"{item.scene.name} cannot be read"] += 1
                store.leave_out(item.scene.name, error)
                continue
            reason = self._reason_to_skip(patch)
            if reason is None:
                return patch, f"{item.scene.name} at row {window.row}, column {window.col}"
            skipped[f"{source}: {reason}"] += 1
        raise NoValidData(
            f"{_PATIENCE} windows in a row of the source {source} had too little data or too few labels.",
            "Check its labels, or lower least_valid and least_labelled.",
        )

    def _around(self, item: LabelBlocks, row: int, col: int, rng: np.random.Generator) -> PixelWindow:
        """A window at a random scale whose centre lies in the block at (row, col), but for the raster's borders."""
        grid, window_px = item.scene.grid, self._config.model.window
        low, high = self._config.augment.zoom
        scale = math.exp(rng.uniform(math.log(low), math.log(high))) * item.side_px / window_px
        # Beyond the raster there is nothing but mirror images: a small one is not shrunk further.
        side = min(max(8, round(window_px * scale)), max(round(window_px * low), grid.height, grid.width))
        start = []
        for block, extent in ((row, grid.height), (col, grid.width)):
            first, end = block * item.side_px, min(extent, (block + 1) * item.side_px)
            start.append(min(max(0, int(rng.uniform(first, end) - side / 2)), max(0, extent - side)))
        return PixelWindow(start[0], start[1], side, side)

    def _read(self, store: SceneStore, item: LabelBlocks, window: PixelWindow) -> Patch:
        """The window at the network's scale, with the labels that may train and were chosen to."""
        db, valid, target = read_padded(store, item.scene, window)
        inside = _inside(item.scene, window)
        kept = np.zeros_like(target)
        kept[: inside.height, : inside.width] = item.scene.split.trains(inside) & item.used(inside)
        return resample_patch(Patch(db, valid, target * kept), self._config.model.window)

    def _reason_to_skip(self, patch: Patch) -> str | None:
        if patch.valid.mean() < self._config.least_valid:
            return "too little valid data"
        if (patch.target != UNKNOWN).mean() < self._config.least_labelled:
            return "too few labels"
        return None


@dataclass(frozen=True)
class _Group:
    """The scenes of one source, and their blocks laid end to end."""

    scenes: list[LabelBlocks]
    ends: NDArray[np.int64]  # (scenes,) of each one's blocks
    labels: NDArray[np.int64]  # (blocks,) labelled pixels, summed up from the first

    @staticmethod
    def of(scenes: list[LabelBlocks]) -> _Group:
        labels = [(item.counts.sum(axis=-1) * item.chosen).ravel() for item in scenes]
        return _Group(scenes, np.cumsum([len(part) for part in labels]), np.cumsum(np.concatenate(labels)))

    def draw(self, rng: np.random.Generator) -> tuple[LabelBlocks, int, int]:
        """A scene, and the row and column of one of its blocks, in proportion to the labelled pixels."""
        block = int(np.searchsorted(self.labels, rng.integers(self.labels[-1]), side="right"))
        index = int(np.searchsorted(self.ends, block, side="right"))
        item = self.scenes[index]
        row, col = divmod(block - int(self.ends[index] - item.chosen.size), item.chosen.shape[1])
        return item, row, col


@dataclass(frozen=True)
class ValidationWindow:
    """A window of the validation layout; `patch` is at the network's scale."""

    scene: LabelledScene
    patch: Patch
    target: NDArray[np.int64]  # (h, w) at the raster's scale: labels that this window, and no other, answers for
    row: int  # of its upper left pixel in the raster, as `col`
    col: int
    side_px: int  # of the window in raster pixels; `target` is its upper left part


def validation_windows(
    store: SceneStore, config: FinetuneConfig, rank: int = 0, size: int = 1
) -> Iterator[ValidationWindow]:
    """All windows that hold validation labels, scene by scene; every labelled pixel belongs to exactly one window.

    Damaged scenes are noted in the store and skipped; too many raise NotARaster. Of `size` processes the one of that
    `rank` gets every `size`th window.
    """
    places = (place for scene in store.scenes if scene.split.held_out.any() for place in _places(scene, config))
    for scene, window, owned in islice(places, rank, None, size):
        try:
            db, valid, target = read_padded(store, scene, window)
        except NotARaster as error:
            store.leave_out(scene.name, error)
            continue
        own_target = target[: owned.shape[0], : owned.shape[1]] * owned
        if (own_target != UNKNOWN).any():
            patch = resample_patch(Patch(db, valid, target), config.model.window)
            yield ValidationWindow(scene, patch, own_target, window.row, window.col, window.height)


def _places(
    scene: LabelledScene, config: FinetuneConfig
) -> Iterator[tuple[LabelledScene, PixelWindow, NDArray[np.bool_]]]:
    """Where a scene's validation windows lie, and the pixels (h, w) inside the raster that each answers for."""
    patch_px, window_px = config.model.backbone.patch, config.model.window
    side = window_px // patch_px * cell_size(scene.grid.spacing_m, config.model.inputs.spacing_m, patch_px)
    for row, rows in _layout(scene.grid.height, side):
        for col, cols in _layout(scene.grid.width, side):
            window = PixelWindow(row, col, side, side)
            inside = _inside(scene, window)
            owned = np.zeros((inside.height, inside.width), np.bool_)
            owned[rows, cols] = True
            owned &= scene.split.validates(inside)
            if owned.any():
                yield scene, window, owned


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


def _by_source(scenes: Sequence[LabelBlocks]) -> list[list[LabelBlocks]]:
    groups: dict[int, list[LabelBlocks]] = {}
    for item in scenes:
        groups.setdefault(id(item.scene.source), []).append(item)
    return list(groups.values())

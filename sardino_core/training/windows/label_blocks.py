"""Where the labels are: counted block by block, and for a label fraction chosen block by block. No torch.

A block has the side of the network's window. Whole blocks are chosen, or whole places (`label_unit`), never single
pixels: neighbours are so alike that every hundredth pixel of a map tells nearly as much as all of it (spatial
autocorrelation; Roberts et al. 2017, Ecography 40, 913-929).
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sardino_core.contract.errors import NotARaster, NoValidData, SpacingUnsuitable
from sardino_core.contract.listener import Listener
from sardino_core.raster.grid import PixelWindow
from sardino_core.raster.resampling import cell_size
from sardino_core.training.settings.finetune_config import FinetuneConfig
from sardino_core.training.windows.sources import LabelledScene, Pixels, SceneStore, short_name
from sardino_core.training.windows.targets import UNKNOWN

_SALT = 1  # draws other numbers than the split into training and validation blocks does


@dataclass(frozen=True, eq=False)
class LabelBlocks:
    """The training labels of one scene."""

    scene: LabelledScene
    side_px: int  # in raster pixels
    counts: NDArray[np.int64]  # (rows, cols, sets) labelled pixels that may train; none under the set 0
    chosen: NDArray[np.bool_]  # (rows, cols) blocks whose labels are used

    def used(self, window: PixelWindow) -> NDArray[np.bool_]:
        """(h, w): pixels that lie in a chosen block."""
        rows = np.arange(window.row, window.row + window.height) // self.side_px
        cols = np.arange(window.col, window.col + window.width) // self.side_px
        return self.chosen[np.ix_(rows, cols)]


@dataclass(frozen=True)
class Census:
    """The labels of a whole run, counted."""

    training: tuple[LabelBlocks, ...]  # of the scenes that have labels to train with
    validation: NDArray[np.int64]  # (sets,) pixels

    @property
    def available(self) -> NDArray[np.int64]:
        """(sets,) pixels that may train."""
        return sum((item.counts.sum(axis=(0, 1)) for item in self.training), np.zeros_like(self.validation))

    @property
    def used(self) -> NDArray[np.int64]:
        """(sets,) pixels that do train."""
        return sum((item.counts[item.chosen].sum(axis=0) for item in self.training), np.zeros_like(self.validation))

    @property
    def blocks(self) -> int:
        """How many blocks have labels that train."""
        return sum(int((item.chosen & item.counts.any(axis=-1)).sum()) for item in self.training)


def take_census(store: SceneStore, config: FinetuneConfig, listener: Listener) -> Census:
    """Read all labels once and choose `label_fraction` of them; scenes stay in memory if all fit into `run.memory_mb`.

    Damaged scenes are named and left out of the store. Raises NotARaster when there are too many, SettingInvalid for
    label values that the mapping lacks, NoValidData when nothing is left to train with.
    """
    validation = np.zeros(len(store.sets.members), np.int64)
    keep = _fit_into_memory(store, config)
    found, readable = [], []
    for done, scene in enumerate(store.scenes, 1):
        listener.raise_if_cancelled()
        listener.progress(0.03 * done / len(store.scenes), f"counting the labels of {scene.name}")
        try:
            item, held_out = _count(scene, store, config, keep)
        except NotARaster as error:
            store.leave_out(scene.name, error)
            continue
        readable.append(scene)
        validation += held_out
        if scene.source.weight > 0 and item.counts.any():
            found.append(item)
    store.scenes = readable
    for name, problem in store.damaged.items():
        listener.log("warning", f"skipped {name}: {problem}")
    if not found:
        raise NoValidData(
            "No label is left to train with: everything is held out, ignored or without data.",
            "Check the labels and their mapping, or lower hold_out.",
        )
    return Census(tuple(_choose(found, config)), validation)


def choose_blocks(counts: NDArray[np.int64], draws: NDArray[np.float64], fraction: float) -> NDArray[np.bool_]:
    """(M,): which of M blocks (or places) to use, so that they hold the share `fraction` of all labels.

    `counts` (M, strata) pixels, `draws` (M,) random in (0, 1]. One block after the other is taken for the stratum that
    is furthest behind (the rarest first), at random with a chance in proportion to its pixels of it (Efraimidis &
    Spirakis 2006, Inf. Process. Lett. 97). The order does not depend on the fraction, so that a smaller fraction's
    blocks are among a larger one's; every stratum has at least one block.
    """
    total = counts.sum(axis=0)
    strata = [stratum for stratum in np.argsort(total, kind="stable") if total[stratum]]
    queues = [_at_random(counts[:, stratum], draws) for stratum in strata]
    counts, total = counts[:, strata], total[strata]
    chosen = np.zeros(len(counts), np.bool_)
    got = np.zeros_like(total)
    while got.sum() < fraction * total.sum() or not got.all():
        block = next(index for index in queues[int(np.argmin(got / total))] if not chosen[index])
        chosen[block] = True
        got += counts[block]
    return chosen


def _at_random(counts: NDArray[np.int64], draws: NDArray[np.float64]) -> Iterator[int]:
    """The blocks that have pixels of a stratum, in a random order that favours those with many."""
    own = np.flatnonzero(counts)
    return iter(own[np.argsort(-np.log(draws[own]) / counts[own], kind="stable")].tolist())


def _choose(found: Sequence[LabelBlocks], config: FinetuneConfig) -> list[LabelBlocks]:
    """Each source by itself, so that each keeps its share; its strata are the class sets.

    Dates of a place on the same pixels have the same blocks chosen: a label of one is as good as known for the others.
    """
    if config.label_fraction == 1:
        return list(found)
    chosen: dict[int, list[LabelBlocks]] = {}
    for item in found:
        chosen.setdefault(id(item.scene.source), []).append(item)
    result: list[LabelBlocks] = []
    for items in chosen.values():
        result += (_whole_places if config.label_unit == "place" else _single_blocks)(_by_place(items), config)
    return result


def _by_place(items: Sequence[LabelBlocks]) -> list[list[LabelBlocks]]:
    """Dates of one place together: they see the same labels."""
    places: dict[Path, list[LabelBlocks]] = {}
    for item in items:
        places.setdefault(item.scene.place, []).append(item)
    return list(places.values())


def _single_blocks(places: Sequence[Sequence[LabelBlocks]], config: FinetuneConfig) -> Iterator[LabelBlocks]:
    counts = [np.sum([item.counts for item in dates], axis=0) for dates in places]
    draws = np.concatenate([_draws(dates[0], config.seed) for dates in places])
    flags = choose_blocks(
        np.concatenate([part.reshape(-1, part.shape[-1]) for part in counts]), draws, config.label_fraction
    )
    ends = np.cumsum([dates[0].chosen.size for dates in places])
    for dates, part in zip(places, np.split(flags, ends[:-1]), strict=True):
        for item in dates:
            yield replace(item, chosen=part.reshape(item.chosen.shape))


def _whole_places(places: Sequence[Sequence[LabelBlocks]], config: FinetuneConfig) -> Iterator[LabelBlocks]:
    """A place is drawn by its first scene."""
    counts = np.stack([sum(item.counts.sum(axis=(0, 1)) for item in dates) for dates in places])
    draws = np.array([_draws(dates[0], config.seed)[0] for dates in places])
    flags = choose_blocks(counts, draws, config.label_fraction)
    for dates, flag in zip(places, flags, strict=True):
        for item in dates:
            yield replace(item, chosen=np.full_like(item.chosen, flag))


def _draws(item: LabelBlocks, seed: int) -> NDArray[np.float64]:
    """A number in (0, 1] for each block, by the place's name: other scenes make no difference to it."""
    rng = np.random.default_rng([seed, zlib.crc32(short_name(item.scene.place).encode()), _SALT])
    draws: NDArray[np.float64] = 1.0 - rng.random(item.chosen.size)
    return draws


def _count(
    scene: LabelledScene, store: SceneStore, config: FinetuneConfig, keep: bool
) -> tuple[LabelBlocks, NDArray[np.int64]]:
    """Labels that may train, block by block, and (sets,) those that validate; a row of blocks at a time."""
    sets, side = len(store.sets.members), _side_px(scene, config)
    rows, cols = math.ceil(scene.grid.height / side), math.ceil(scene.grid.width / side)
    counts, validation = np.zeros((rows, cols, sets), np.int64), np.zeros(sets, np.int64)
    column = np.arange(scene.grid.width) // side
    strips: list[Pixels] = []
    for row in range(rows):
        height = min(side, scene.grid.height - row * side)
        window = PixelWindow(row * side, 0, height, scene.grid.width)
        db, valid, target = store.read(scene, window)
        if keep:
            strips.append((db, valid, target.astype(np.min_scalar_type(sets))))
        mine = target * scene.split.trains(window)
        counts[row] = np.bincount((column * sets + mine).ravel(), minlength=cols * sets).reshape(cols, sets)
        validation += np.bincount((target * scene.split.validates(window)).ravel(), minlength=sets)
    counts[..., UNKNOWN], validation[UNKNOWN] = 0, 0
    if keep:
        db, valid, kept = (np.concatenate(parts, axis=-2) for parts in zip(*strips, strict=True))
        store.keep(scene, (db, valid, kept))
    return LabelBlocks(scene, side, counts, np.ones((rows, cols), np.bool_)), validation


def _side_px(scene: LabelledScene, config: FinetuneConfig) -> int:
    """The window's side in raster pixels. Raises SpacingUnsuitable, naming the scene."""
    patch = config.model.backbone.patch
    try:
        cell = cell_size(scene.grid.spacing_m, config.model.inputs.spacing_m, patch)
    except SpacingUnsuitable as error:
        raise SpacingUnsuitable(f"{scene.name}: {error.message}", error.hint) from error
    return config.model.window // patch * cell


def _fit_into_memory(store: SceneStore, config: FinetuneConfig) -> bool:
    label_bytes = np.min_scalar_type(len(store.sets.members)).itemsize
    pixels = sum(scene.grid.height * scene.grid.width for scene in store.scenes)
    return pixels * (4 * len(store.bands) + 1 + label_bytes) <= config.run.memory_mb * 1e6

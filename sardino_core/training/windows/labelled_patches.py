"""Labelled windows side by side, with a class for each patch: the support that a probe compares features on. No torch.

Every patch of a raster belongs to one window at most, so that no patch counts twice. A patch has the class that most of
its labelled pixels have; mixed ones, and those that hardly any label covers, have none.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from sardino_core.contract.errors import NotARaster, NoValidData, SpacingUnsuitable
from sardino_core.contract.listener import Listener
from sardino_core.raster.grid import PixelWindow
from sardino_core.raster.resampling import cell_size
from sardino_core.training.settings.finetune_config import FinetuneConfig
from sardino_core.training.windows.patches import Patch, read_padded, resample_patch
from sardino_core.training.windows.sources import LabelledScene, SceneStore

UNLABELLED = -1


@dataclass(frozen=True)
class LabelledWindow:
    """One window at the network's scale, S pixels and n patches a side."""

    scene: LabelledScene
    backscatter_db: NDArray[np.float32]  # (B, S, S); 0 where not valid
    valid: NDArray[np.bool_]  # (S, S)
    classes: NDArray[np.int64]  # (n, n) index of the class; UNLABELLED: none, or another window answers for it
    row: int  # of its first pixel, in raster pixels
    col: int
    cell_px: int  # raster pixels per patch


def labelled_windows(
    store: SceneStore, config: FinetuneConfig, agree: float, labelled: float, limit: int, listener: Listener
) -> list[LabelledWindow]:
    """Up to `limit` windows, drawn by `config.seed`, as many of every raster as of the others where it has them.

    A patch needs the share `labelled` of its pixels with one class each, and `agree` of those with the same. Windows
    without such a patch are passed over. Raises NoValidData when none is left, and what the raster reader raises.
    """
    share = math.ceil(limit / len(store.scenes))
    found: list[LabelledWindow] = []
    for number, scene in enumerate(store.scenes):
        listener.raise_if_cancelled()
        listener.progress(0.1 * number / len(store.scenes), f"reading {scene.name}")
        try:
            candidates = _candidates(scene, store, config, (agree, labelled), number)
            found += [window for window, _ in zip(candidates, range(share), strict=False)]
        except NotARaster as error:
            store.leave_out(scene.name, error)
            listener.log("warning", f"skipped {scene.name}: {error.message}")
    if not found:
        raise NoValidData(
            f"No patch has {labelled:.0%} of its pixels labelled, {agree:.0%} of them with one class.",
            "Check that labels and images show the same ground, and the mapping; or lower `agree` or `labelled`.",
        )
    return found


def majority(classes: NDArray[np.int64], side: int, agree: float, labelled: float, count: int) -> NDArray[np.int64]:
    """Class indices (S, S), UNLABELLED where there is none, of `count` classes: to those of side x side patches."""
    cell = classes.shape[0] // side
    cells = classes.reshape(side, cell, side, cell).swapaxes(1, 2).reshape(side, side, cell * cell)
    votes = np.stack([(cells == index).sum(axis=-1) for index in range(count)], axis=-1)  # (side, side, K)
    known, most = votes.sum(axis=-1), votes.max(axis=-1)
    clear = (known > 0) & (known >= labelled * cell * cell) & (most >= agree * known)
    return np.where(clear, votes.argmax(axis=-1), UNLABELLED)


def layout(length_px: int, side: int, cell_px: int) -> list[tuple[int, slice]]:
    """Starts of windows of `side` cells along `length_px`, on the grid of cells, and the cells that each answers for.

    As few windows as cover all whole cells, evenly spread; where two overlap, each answers for its half.
    """
    cells = max(side, length_px // cell_px)
    count = math.ceil(cells / side)
    starts = [index * (cells - side) // max(1, count - 1) for index in range(count)]
    cuts = [0, *[(first + side + second) // 2 for first, second in pairwise(starts)], cells]
    return [(start * cell_px, slice(cuts[i] - start, cuts[i + 1] - start)) for i, start in enumerate(starts)]


def _candidates(
    scene: LabelledScene, store: SceneStore, config: FinetuneConfig, rule: tuple[float, float], number: int
) -> Iterator[LabelledWindow]:
    """The scene's windows that hold labelled patches, in random order."""
    side = config.model.window // config.model.backbone.patch
    cell_px = _cell_px(scene, config)
    rows, cols = (layout(length, side, cell_px) for length in (scene.grid.height, scene.grid.width))
    places = [(row, col) for row in rows for col in cols]
    indices = np.full(len(store.sets.members), UNLABELLED)
    for index, item in enumerate(store.sets.classes):
        indices[store.sets.number([item.value])] = index
    for position in np.random.default_rng([config.seed, number]).permutation(len(places)):
        (row, own_rows), (col, own_cols) = places[position]
        read = read_padded(store, scene, PixelWindow(row, col, side * cell_px, side * cell_px))
        patch = resample_patch(Patch(*read), config.model.window)
        own = np.full((side, side), UNLABELLED)
        own[own_rows, own_cols] = majority(indices[patch.target], side, *rule, len(store.sets.classes))[
            own_rows, own_cols
        ]
        if (own != UNLABELLED).any() and patch.valid.mean() >= config.least_valid:
            yield LabelledWindow(scene, patch.backscatter_db, patch.valid, own, row, col, cell_px)


def _cell_px(scene: LabelledScene, config: FinetuneConfig) -> int:
    """Raises SpacingUnsuitable, naming the scene."""
    try:
        return cell_size(scene.grid.spacing_m, config.model.inputs.spacing_m, config.model.backbone.patch)
    except SpacingUnsuitable as error:
        raise SpacingUnsuitable(f"{scene.name}: {error.message}", error.hint) from error

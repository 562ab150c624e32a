"""What a study will take, before it starts: a step of every network is timed on made-up windows, on one thread.

Cells that are done tell for their arm and share of the labels instead. An estimate, to a factor of two or so.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median

from sardino_core.study.cells import Cell
from sardino_core.study.config import ArmConfig, StudyConfig
from sardino_core.study.places import Place
from sardino_core.study.tables import Records

_FILE_S = 0.03  # to find, open and read a scene and its labels
_FOREST_S = 2e-7  # per pixel and tree, to classify
_WINDOWS = 8  # that are timed at once
_TEACHER = 1.33  # a forward pass without gradients beside forward and backward


@dataclass(frozen=True)
class Pace:
    """Seconds for a window, on as many threads as a worker has."""

    learn: float
    look: float


def seconds(cells: Sequence[Cell], config: StudyConfig, places: Sequence[Place], records: Records) -> float:
    """Of the cells that are named, with all workers at it."""
    known = _measured(records)
    paces: dict[str, Pace] = {}
    total = 0.0
    for cell in cells:
        key = cell.arm, cell.fraction, cell.tried is None
        if key not in known:
            arm = config.arm(cell.arm)
            if arm.kind != "forest" and cell.arm not in paces:
                paces[cell.arm] = _pace(arm, config)
            known[key] = _guess(cell, config, places, paces.get(cell.arm))
        total += known[key]
    return total / config.workers


def pretraining_seconds(config: StudyConfig) -> float:
    """Of the pre-training, on the threads of all workers together."""
    learn = _pace(ArmConfig("backbone", (1.0,), train="full", head="linear"), config).learn
    views, optimiser = config.pretrain.views, config.pretrain.optimiser
    crops = 2 * _TEACHER + views.local_crops * (views.local_size / config.pretrain.model.window) ** 2
    return learn * crops * optimiser.batch_size * optimiser.steps / (config.workers * config.threads)


def _measured(records: Records) -> dict[tuple[str, float, bool], float]:
    """Median seconds of the cells that are done, by arm, share of the labels and kind: one may have been asleep."""
    found: dict[tuple[str, float, bool], list[float]] = {}
    for record in records.values():
        if record.done:
            cell = record.cell
            found.setdefault((cell.arm, cell.fraction, cell.tried is None), []).append(record.seconds)
    return {key: median(values) for key, values in found.items()}


def _guess(cell: Cell, config: StudyConfig, places: Sequence[Place], pace: Pace | None) -> float:
    roles = ("test", "real") if cell.tried is None else ("validation",)
    looked_at = [place for place in places if place.role in roles]
    trained = [place for place in places if place.role == "train"]
    pixels, window = config.places.size**2, config.finetune.model.window
    reading = _FILE_S * (len(trained) + len(looked_at))
    if pace is None:
        return reading + _FOREST_S * pixels * len(looked_at) * config.forest.trees
    optimiser, overlap = config.finetune.optimiser, (4 / 3) ** 2
    learning = optimiser.steps * optimiser.batch_size * pace.learn
    return reading + learning + overlap * pixels / window**2 * len(looked_at) * pace.look


def _pace(arm: ArmConfig, config: StudyConfig) -> Pace:
    """Timed on random windows."""
    import torch

    from sardino_core.study.arms.networks import network_of

    before = torch.get_num_threads()
    torch.set_num_threads(config.threads)
    try:
        network = network_of(arm, config.unet, config.finetune)
        side = config.finetune.model.window
        windows = torch.randn(_WINDOWS, len(config.finetune.model.inputs.bands), side, side)

        def learn() -> None:
            network(windows).square().mean().backward()

        @torch.inference_mode()
        def look() -> None:
            network(windows)

        return Pace(_timed(learn) / _WINDOWS, _timed(look) / _WINDOWS)
    finally:
        torch.set_num_threads(before)


def _timed(work: Callable[[], None]) -> float:
    """Seconds, of the faster of two runs after one to warm up."""
    work()
    found = []
    for _ in range(2):
        began = time.perf_counter()
        work()
        found.append(time.perf_counter() - began)
    return min(found)

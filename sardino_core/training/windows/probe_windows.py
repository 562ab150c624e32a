"""Labelled windows that a pre-training run is probed with: never trained on with their labels. No torch.

Half of the blocks of every raster fit the probes, the other half scores them; M3LEO's chips follow their splits.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sardino_core.contract.errors import NotARaster, NoValidData
from sardino_core.contract.listener import Listener
from sardino_core.contract.model_spec import ClassSpec
from sardino_core.raster.grid import PixelWindow
from sardino_core.raster.resampling import cell_size, resample_backscatter, resampling_matrix
from sardino_core.raster.scaling import standardise
from sardino_core.training.settings.finetune_config import FinetuneConfig, ModelConfig, SourceConfig, ValidationConfig
from sardino_core.training.settings.pretrain_config import PretrainConfig
from sardino_core.training.windows.chips import CODES
from sardino_core.training.windows.sources import LabelledScene, SceneStore
from sardino_core.training.windows.targets import UNKNOWN

_LEAST_LABELLED = 0.25  # share of a window's patches
_LEAST_VALID = 0.9  # share of its pixels


@dataclass(frozen=True)
class LabelledWindows:
    """W windows with a class for each of their N patches."""

    windows: NDArray[np.float32]  # (W, C, S, S) standardised dB
    labels: NDArray[np.int64]  # (W, N) class, -1 where no class has the majority


@dataclass(frozen=True)
class ProbeWindows:
    """What fits the probes and what scores them."""

    fit: LabelledWindows
    score: LabelledWindows


def gather_probe(config: PretrainConfig, listener: Listener) -> ProbeWindows | None:
    """The same windows for the same configuration, whatever else is drawn; None when no labels are given.

    Raises SardinoError, NoValidData when one of the two halves is empty.
    """
    probe = config.probe
    if not probe.images:
        return None
    listener.progress(0.02, "reading the labelled windows of the probe")
    with SceneStore(_as_labelled(config)) as store:
        fit, score = (_collect(store, config, held_out) for held_out in (False, True))
        for line in store.warnings:
            listener.log("warning", f"probe: {line}")
    if not len(fit.windows) or not len(score.windows):
        raise NoValidData(
            f"The probe has {len(fit.windows)} labelled windows to fit on and {len(score.windows)} to score.",
            "Give larger or more labelled rasters, or lower probe.block_px.",
        )
    listener.log("info", f"probe: {len(fit.windows)} labelled windows to fit on, {len(score.windows)} to score, apart")
    return ProbeWindows(fit, score)


def _as_labelled(config: PretrainConfig) -> FinetuneConfig:
    """The probe's rasters as fine-tuning reads them."""
    probe, model = config.probe, config.model
    mapping = probe.mapping or {code: code for code in CODES}
    source = SourceConfig(
        "probe",
        probe.images,
        probe.labels,
        {value: (kind,) for value, kind in mapping.items()},
        probe.ignore,
        hold_out=0.5,
        units=probe.units,
        bands=probe.bands,
        m3leo=probe.m3leo,
    )
    return FinetuneConfig(
        config.name,
        ModelConfig(model.inputs, model.backbone, model.window),
        tuple(ClassSpec(kind, str(kind), "#000000") for kind in sorted(set(mapping.values()))),
        (source,),
        seed=config.seed,
        unreadable=config.unreadable,
        validation=ValidationConfig(block_px=probe.block_px),
    )


def _collect(store: SceneStore, config: PretrainConfig, held_out: bool) -> LabelledWindows:
    """Up to `probe.windows` windows of one half, spread over all rasters."""
    model = config.model
    candidates = [item for scene in store.scenes for item in _side_by_side(scene, config, held_out)]
    order = np.random.default_rng([config.seed, int(held_out)]).permutation(len(candidates))
    windows, labels = [], []
    for scene, window in (candidates[index] for index in order):
        try:
            db, valid, target = store.read(scene, window)
        except NotARaster as error:
            store.leave_out(scene.name, error)
            continue
        classes = _majority(target, model.window // model.backbone.patch)
        if valid.mean() < _LEAST_VALID or (classes >= 0).mean() < _LEAST_LABELLED:
            continue
        if window.height != model.window:
            db, valid = resample_backscatter(db, valid, resampling_matrix(window.height, model.window))
        windows.append(standardise(db, valid, model.inputs.bands, model.inputs.clip_db))
        labels.append(classes)
        if len(windows) == config.probe.windows:
            break
    if not windows:
        return LabelledWindows(np.zeros((0, 0, 0, 0), np.float32), np.zeros((0, 0), np.int64))
    return LabelledWindows(np.stack(windows), np.stack(labels))


def _side_by_side(
    scene: LabelledScene, config: PretrainConfig, held_out: bool
) -> Iterator[tuple[LabelledScene, PixelWindow]]:
    """The windows of a scene that lie wholly in one half of its blocks."""
    patch, inputs = config.model.backbone.patch, config.model.inputs
    side = config.model.window // patch * cell_size(scene.grid.spacing_m, inputs.spacing_m, patch)
    belongs = scene.split.validates if held_out else scene.split.trains
    for row in range(0, scene.grid.height - side + 1, side):
        for col in range(0, scene.grid.width - side + 1, side):
            window = PixelWindow(row, col, side, side)
            if belongs(window).all():
                yield scene, window


def _majority(target: NDArray[np.int64], side: int) -> NDArray[np.int64]:
    """Class sets (S, S) to the one of more than half of each of side x side patches, (side * side,), or -1."""
    cell = target.shape[0] // side
    cells = target.reshape(side, cell, side, cell).swapaxes(1, 2).reshape(side * side, cell * cell)
    found = np.full(side * side, -1, np.int64)
    for kind in np.unique(cells[cells != UNKNOWN]):
        found[(cells == kind).mean(axis=1) > 0.5] = kind
    return found

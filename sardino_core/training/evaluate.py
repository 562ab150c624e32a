"""A network against held-out labels: one confusion matrix per source over the whole validation set, and its doubts."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from sardino_core.contract.errors import NoValidData
from sardino_core.contract.listener import Listener
from sardino_core.contract.messages import Result
from sardino_core.contract.model_spec import CalibrationSpec
from sardino_core.models.model_file import load_weights, read_spec, resolve_model, write_aside
from sardino_core.models.network import build
from sardino_core.models.outputs import probabilities, require_head
from sardino_core.raster.resampling import resample, resampling_matrix
from sardino_core.raster.scaling import standardise
from sardino_core.training.landcover.calibrate import Reliability, calibrate
from sardino_core.training.landcover.scores import Confusion, majority_accuracy
from sardino_core.training.running.distributed import Team
from sardino_core.training.running.run import make_folder
from sardino_core.training.settings.finetune_config import FinetuneConfig, ModelConfig, SourceConfig
from sardino_core.training.windows.patches import ValidationWindow, validation_windows
from sardino_core.training.windows.sources import SceneStore
from sardino_core.training.windows.targets import ClassSets

_BATCH = 8
_SAMPLED_PER_SOURCE = 100_000  # pixels kept for calibration, so that no source outvotes the others
_EVERY = 5  # of the labelled pixels of a window is a candidate for that


@dataclass(frozen=True)
class Evaluation:
    """What a network does on the held-out labels of every source."""

    sets: ClassSets
    by_source: dict[str, Confusion]
    logits: NDArray[np.float32]  # (M, K) of sampled pixels, as many of every source as there are, up to a limit
    targets: NDArray[np.int64]  # (M,) numbers of class sets

    @property
    def whole(self) -> Confusion:
        """All sources together."""
        total = Confusion.empty(self.sets)
        for confusion in self.by_source.values():
            total = total + confusion
        return total

    def metrics(self) -> dict[str, float]:
        """All numbers, flat: of everything, then `source: name`."""
        found = dict(self.whole.metrics())
        if len(self.by_source) > 1:
            for source, confusion in self.by_source.items():
                found |= {f"{source}: {name}": value for name, value in confusion.metrics().items()}
                found[f"{source}: majority"] = majority_accuracy(confusion)
        return found

    def reliability(self, target_accuracy: float, most_unsure: float) -> Reliability:
        """Temperature and threshold fitted on the sampled pixels."""
        return calibrate(self.logits, self.sets.table[self.targets], target_accuracy, most_unsure)


def evaluate_network(
    network: nn.Module, store: SceneStore, config: FinetuneConfig, listener: Listener, crew: Team | None = None
) -> Evaluation:
    """Run over all validation windows. Raises NoValidData when there is none.

    Several processes share the windows: the confusion is everybody's, the sampled pixels are this process's alone.
    """
    rank, size = (crew.rank, crew.size) if crew is not None else (0, 1)
    told = len(store.damaged)
    names = dict.fromkeys(scene.source.name for scene in store.scenes if scene.split.held_out.any())
    confusions = {name: Confusion.empty(store.sets) for name in names}
    sampled: dict[str, list[tuple[NDArray[np.float32], NDArray[np.int64]]]] = {name: [] for name in names}
    for window, logits in predictions(network, store, config, rank, size):
        if size == 1:  # of several processes none may leave alone
            listener.raise_if_cancelled()
        source = window.scene.source.name
        confusions[source].add(window.target, logits.argmax(axis=0))
        known = np.flatnonzero(window.target)[::_EVERY]
        flat = logits.reshape(len(logits), -1)[:, known].T  # (m, K)
        sampled[source].append((flat, window.target.ravel()[known]))
    for name, problem in [*store.damaged.items()][told:]:
        listener.log("warning", f"skipped {name}: {problem}")
    for confusion in confusions.values():
        if crew is not None:
            confusion.counts[...] = crew.sum(torch.from_numpy(confusion.counts).to(crew.device)).cpu().numpy()
    confusions = {name: confusion for name, confusion in confusions.items() if confusion.counts.any()}
    if not confusions:
        raise NoValidData("No label is held out for validation.", "Set hold_out of a source above 0.")
    chosen = [_subsample(parts, config.seed) for parts in sampled.values() if parts]
    logits_of, targets_of = [part[0] for part in chosen], [part[1] for part in chosen]
    empty = np.zeros((0, len(store.sets.classes)), np.float32), np.zeros(0, np.int64)
    return Evaluation(
        store.sets, confusions, np.concatenate([empty[0], *logits_of]), np.concatenate([empty[1], *targets_of])
    )


def predictions(
    network: nn.Module, store: SceneStore, config: FinetuneConfig, rank: int = 0, size: int = 1
) -> Iterator[tuple[ValidationWindow, NDArray[np.float32]]]:
    """Each validation window with its logits (K, h, w), at the raster's scale, over the labels it answers for."""
    windows = validation_windows(store, config, rank, size)
    while batch := list(islice(windows, _BATCH)):
        yield from zip(batch, _predict(network, batch, config), strict=True)


def evaluate(
    model: str, config: FinetuneConfig, out: str | Path, listener: Listener | None = None, all_labels: bool = True
) -> Result:
    """A model file against the labels of a configuration's sources; writes metrics.json and confusion.csv.

    With `all_labels` every label counts, else those alone that the configuration holds out.
    """
    path = resolve_model(model)
    spec = read_spec(path)
    require_head(spec)
    sources = tuple(replace(source, hold_out=1.0) for source in config.sources) if all_labels else config.sources
    settings = replace(
        config,
        classes=spec.classes,
        sources=sources,
        model=ModelConfig(spec.inputs, spec.backbone, spec.window, "linear" if spec.head == "linear" else "decoder"),
    )
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    network = build(spec, load_weights(path)).eval().to(device)
    listener = listener or Listener()
    with SceneStore(settings) as store:
        for line in (*store.warnings, *(f"skipped {name}: {problem}" for name, problem in store.damaged.items())):
            listener.log("warning", line)
        found = evaluate_network(network, store, settings, listener)
    folder = Path(out)
    make_folder(folder)
    metrics = found.metrics() | {"majority": majority_accuracy(found.whole)} | _abstention(found, spec.calibration)
    write_aside(folder / "metrics.json", json.dumps(metrics, indent=1).encode())
    write_aside(folder / "confusion.csv", _table(found).encode())
    return Result({"metrics": str(folder / "metrics.json"), "confusion": str(folder / "confusion.csv")}, metrics)


def settings_for_evaluation(model: str, images: Iterable[str], labels: Iterable[str]) -> FinetuneConfig:
    """One source with the model's own classes as label values. Raises ModelInvalid for a backbone."""
    spec = read_spec(resolve_model(model))
    require_head(spec)
    source = SourceConfig(images=tuple(images), labels=tuple(labels), hold_out=1.0)
    return FinetuneConfig(spec.name, ModelConfig(spec.inputs, spec.backbone, spec.window), spec.classes, (source,))


def _predict(network: nn.Module, windows: list[ValidationWindow], config: FinetuneConfig) -> list[NDArray[np.float32]]:
    """Logits (K, h, w) at the raster's scale, over the part that each window answers for."""
    inputs = config.model.inputs
    stack = np.stack(
        [standardise(item.patch.backscatter_db, item.patch.valid, inputs.bands, inputs.clip_db) for item in windows]
    )
    device = next(network.parameters()).device
    with torch.inference_mode():
        logits = network(torch.from_numpy(stack).to(device)).float().cpu().numpy()  # (B, K, S, S)
    found = []
    for item, values in zip(windows, logits, strict=True):
        if item.side_px != values.shape[-1]:
            values = resample(values, resampling_matrix(values.shape[-1], item.side_px))
        found.append(values[:, : item.target.shape[0], : item.target.shape[1]])
    return found


def _subsample(
    parts: list[tuple[NDArray[np.float32], NDArray[np.int64]]], seed: int
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    logits, targets = np.concatenate([part[0] for part in parts]), np.concatenate([part[1] for part in parts])
    if len(targets) <= _SAMPLED_PER_SOURCE:
        return logits, targets
    chosen = np.random.default_rng(seed).choice(len(targets), _SAMPLED_PER_SOURCE, replace=False)
    return logits[chosen], targets[chosen]


def _abstention(found: Evaluation, calibration: CalibrationSpec) -> dict[str, float]:
    """What the model's own temperature and threshold give on these labels."""
    allowed = found.sets.table[found.targets]
    p = probabilities(found.logits, calibration.temperature)
    kept = p.max(axis=1) >= calibration.unsure_below
    right = allowed[np.arange(len(p)), p.argmax(axis=1)]
    sure = float(right[kept].mean()) if kept.any() else 0.0
    return {"unsure share": float(1 - kept.mean()), "agreement when sure": sure}


def _table(found: Evaluation) -> str:
    """The whole confusion matrix: a row for each set of classes that labels allow, a column for each prediction."""
    names = {item.value: item.name for item in found.sets.classes}
    lines = ["reference," + ",".join(names.values())]
    for members, counts in zip(found.sets.members, found.whole.counts, strict=True):
        if counts.any():
            lines.append(" or ".join(names[value] for value in sorted(members)) + "," + ",".join(map(str, counts)))
    return "\n".join(lines) + "\n"

"""What a fine-tuning run says of itself: rows of numbers, pictures, the model's description. Changes no weight."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import timm
import torch
from numpy.typing import NDArray
from torch import nn

import sardino_core
from sardino_core.contract.model_spec import ModelSpec, ProvenanceSpec
from sardino_core.raster.writing.class_legend import rgb
from sardino_core.training.evaluate import Evaluation
from sardino_core.training.landcover.plan import fraction_used, set_names
from sardino_core.training.landcover.step import Part
from sardino_core.training.running.run_log import Picture, backscatter, coloured
from sardino_core.training.settings.finetune_config import FinetuneConfig
from sardino_core.training.windows.label_blocks import Census
from sardino_core.training.windows.sources import SceneStore
from sardino_core.training.windows.targets import ClassSets

_SHOWN = 8  # windows in a picture
_LOGGED = ("accuracy", "miou", "agreement")  # and every F1


def validation_row(metrics: dict[str, float]) -> dict[str, float]:
    """The metrics of all sources together, as columns of the log."""
    return {f"val_{name}": value for name, value in metrics.items() if name in _LOGGED or name.startswith("f1 ")}


@torch.no_grad()
def pictures(average: nn.Module, part: Part, sets: ClassSets) -> dict[str, Picture]:
    """The first training windows in false colour, their labels, and what the averaged weights say of them."""
    windows, target = part.windows[:_SHOWN], part.target[:_SHOWN]
    predicted = average(windows).argmax(dim=1)  # (n, S, S)
    of_sets, of_classes = colours(sets)
    return {
        "windows/backscatter": backscatter(windows.float().cpu().numpy()),
        "windows/labels": coloured(target.cpu().numpy(), of_sets),
        "windows/prediction": coloured(predicted.cpu().numpy(), of_classes),
    }


def colours(sets: ClassSets) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """(sets, 3) and (K, 3): the classes' own colours; a set of several has their mean, no label is black."""
    of_classes = np.array([rgb(item.colour) for item in sets.classes], np.float64)
    table = sets.table.astype(np.float64)
    of_sets = table @ of_classes / np.maximum(table.sum(axis=1, keepdims=True), 1)
    return of_sets.astype(np.uint8), of_classes.astype(np.uint8)


def describe(
    config: FinetuneConfig, evaluation: Evaluation | None, steps: int, store: SceneStore, census: Census
) -> ModelSpec:
    """The specification of the trained model: calibration, metrics and where it comes from."""
    spec, metrics = config.spec(), {}
    if evaluation is not None:
        doubt = evaluation.reliability(config.validation.target_accuracy, config.validation.most_unsure)
        metrics = evaluation.metrics() | {f"calibration: {name}": value for name, value in doubt.metrics.items()}
        spec = replace(spec, calibration=doubt.calibration)
    versions = {"sardino": sardino_core.__version__, "torch": torch.__version__, "timm": timm.__version__}
    provenance = ProvenanceSpec(
        data=store.described(),
        steps=steps,
        seed=config.seed,
        metrics={name: round(value, 4) for name, value in metrics.items()},
        versions=versions | {"numpy": np.__version__},
        notes=(*config.notes, *_fraction(config, store, census)),
    )
    return replace(spec, provenance=provenance)


def _fraction(config: FinetuneConfig, store: SceneStore, census: Census) -> tuple[str, ...]:
    """How much of the labels trained, when it was not all of them."""
    if config.label_fraction == 1:
        return ()
    rows = zip(set_names(store), census.used.tolist(), census.available.tolist(), strict=True)
    each = ", ".join(f"{used} of {available} {name}" for name, used, available in rows if available)
    return (f"trained on {fraction_used(census):.2%} of the labels (label_fraction {config.label_fraction:g}): {each}",)

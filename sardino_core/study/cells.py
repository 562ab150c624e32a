"""The cells of a study: an arm, a share of the labels, a seed. What each is told, and by what it is known again.

A trial is a cell, too: one of the arm's settings with the tuning seed, judged on the validation places. No torch.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from sardino_core.contract.serial import to_dict
from sardino_core.study.config import ArmConfig, ForestConfig, StudyConfig, UNetConfig
from sardino_core.study.places import Place, evaluation_sources, paths_of, training_sources
from sardino_core.training.settings.finetune_config import FinetuneConfig, ModelConfig, SourceConfig

_FREE = ("name", "paths", "run", "licence", "attribution", "limits", "notes", "validation")  # change no cell
Settled = Mapping[tuple[str, float], float]  # (arm, fraction) -> the value that its trials chose


@dataclass(frozen=True)
class Cell:
    """One cell of the study's table."""

    arm: str
    fraction: float
    seed: int
    tried: float | None = None  # of a trial

    @property
    def name(self) -> str:
        """Of its record's file."""
        end = f"seed-{self.seed}" if self.tried is None else f"try-{self.tried:g}"
        return f"{self.arm}_{self.fraction:g}_{end}"


@dataclass(frozen=True)
class CellJob:
    """All that a cell is told: plain data, as it goes to a worker."""

    cell: Cell
    arm: ArmConfig
    value: float  # the learning rate, or the forest's smallest leaf
    config: FinetuneConfig  # what trains
    evaluate: tuple[SourceConfig, ...]  # a source for each place that is looked at
    unet: UNetConfig
    forest: ForestConfig
    init: str  # a model file, or `scratch`
    weights: str = ""  # the hash of that file
    stamps: tuple[str, ...] = ()  # of the places' files

    @property
    def settings(self) -> str:
        """A hash of everything that the result depends on, whatever folder the study lies in."""
        told = to_dict(self)
        told["config"] = {key: value for key, value in told["config"].items() if key not in _FREE}
        del told["init"], told["cell"]
        del told["arm"]["tried"], told["arm"]["name"]
        for size in {"unet", "forest"} - {self.arm.kind}:
            del told[size]
        return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()[:16]


def trials(config: StudyConfig) -> list[Cell]:
    """As many for every arm and fraction."""
    return [
        Cell(arm.name, fraction, config.tuning_seed, value)
        for fraction in config.fractions
        for arm in config.arms
        for value in arm.tried
    ]


def finals(config: StudyConfig) -> list[Cell]:
    """A whole table for each seed after the other, so that a study that is stopped has whole tables."""
    return [
        Cell(arm.name, fraction, seed) for seed in config.seeds for fraction in config.fractions for arm in config.arms
    ]


def job_of(
    cell: Cell, value: float, config: StudyConfig, places: Sequence[Place], out: Path, pretrained: tuple[str, str]
) -> CellJob:
    """What the cell is told; `pretrained` is the model file and its hash."""
    arm, own = config.arm(cell.arm), config.finetune
    roles = ("test", "real") if cell.tried is None else ("validation",)
    optimiser = own.optimiser if arm.kind == "forest" else replace(own.optimiser, lr=value)
    settings = replace(
        own,
        sources=training_sources(places),
        paths=paths_of(config, out),
        seed=cell.seed,
        label_fraction=cell.fraction,
        model=ModelConfig(own.model.inputs, own.model.backbone, own.model.window, arm.head),
        optimiser=replace(optimiser, train=arm.train, layer_decay=arm.layer_decay),
    )
    init, weights = pretrained if arm.starts_pretrained else ("scratch", "")
    looked_at = tuple(place.stamp for place in places if place.role in ("train", *roles) and place.stamp)
    sources = evaluation_sources(places, *roles)
    return CellJob(cell, arm, value, settings, sources, config.unet, config.forest, init, weights, looked_at)

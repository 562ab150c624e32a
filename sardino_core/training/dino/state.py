"""Everything that changes while a network is pre-trained: made, saved and restored as a whole."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch

from sardino_core.contract.jobs import SCRATCH
from sardino_core.models.model_file import load_weights, resolve_model
from sardino_core.models.network import initialise_from
from sardino_core.training.dino.health import Watch
from sardino_core.training.dino.network import DinoNetwork, student_and_teacher
from sardino_core.training.dino.schedules import parameter_groups
from sardino_core.training.dino.step import Centres
from sardino_core.training.running.precision import grad_scaler
from sardino_core.training.settings.pretrain_config import PretrainConfig


@dataclass
class State:
    """Everything that changes during training. All chance is a function of (seed, step), so none of it is here."""

    student: DinoNetwork
    teacher: DinoNetwork
    optimiser: torch.optim.Optimizer
    scaler: torch.amp.GradScaler
    centres: Centres
    watch: Watch = field(default_factory=Watch)
    step: int = 0
    skipped: Counter[str] = field(default_factory=Counter)
    sums: dict[str, float] = field(default_factory=dict)  # of the losses since the last row of the log


def start(config: PretrainConfig, device: torch.device, init: str = SCRATCH) -> State:
    """Networks, optimiser and centres at step 0; they depend on the seed and the model to go on from alone."""
    masked = config.loss.ibot > 0
    student, teacher = student_and_teacher(config.spec(), config.head, masked, config.optimiser.drop_path, config.seed)
    if init != SCRATCH:
        weights = load_weights(resolve_model(init))
        for network in (student.network, teacher.network):
            initialise_from(network, weights)
    student, teacher = student.to(device), teacher.to(device)
    if config.optimiser.compile:
        student.compile()
        teacher.compile()
    optimiser = torch.optim.AdamW(
        parameter_groups(student), lr=config.optimiser.lr, betas=config.optimiser.betas, fused=True
    )
    scaler = grad_scaler(device, config.optimiser.precision)
    centre = torch.zeros(config.head.prototypes, device=device)
    return State(student, teacher, optimiser, scaler, Centres(centre, centre.clone()))


def snapshot(state: State) -> dict[str, Any]:
    """All of it as tensors, numbers and text."""
    return {
        "step": state.step,
        "student": state.student.state_dict(),
        "teacher": state.teacher.state_dict(),
        "optimiser": state.optimiser.state_dict(),
        "scaler": state.scaler.state_dict(),
        "centres": [state.centres.classes, state.centres.patches],
        "watch": state.watch.state(),
        "skipped": dict(state.skipped),
        "sums": dict(state.sums),
    }


def restore(state: State, saved: Mapping[str, Any]) -> None:
    """Put a snapshot into a state made by `start` with the same configuration."""
    state.student.load_state_dict(saved["student"])
    state.teacher.load_state_dict(saved["teacher"])
    state.optimiser.load_state_dict(saved["optimiser"])
    state.scaler.load_state_dict(saved["scaler"])
    classes, patches = (item.to(state.centres.classes.device) for item in saved["centres"])
    state.centres = Centres(classes, patches)
    state.watch = Watch.of(saved["watch"])
    state.step, state.skipped, state.sums = saved["step"], Counter(saved["skipped"]), dict(saved["sums"])

"""Everything that changes while a network is fine-tuned: made, saved and restored as a whole."""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn

from sardino_core.models.model_file import load_weights, resolve_model
from sardino_core.models.network import build, initialise_from
from sardino_core.training.landcover.plan import SCRATCH
from sardino_core.training.landcover.schedules import freeze, parameter_groups
from sardino_core.training.running.precision import grad_scaler
from sardino_core.training.settings.finetune_config import FinetuneConfig


@dataclass
class State:
    """Everything that changes during training. All chance is a function of (seed, step), so none of it is here."""

    network: nn.Module  # windows to logits
    average: nn.Module  # exponential moving average of the weights: what is validated and saved
    optimiser: torch.optim.Optimizer
    scaler: torch.amp.GradScaler
    step: int = 0
    skipped: Counter[str] = field(default_factory=Counter)
    sums: dict[str, float] = field(default_factory=dict)  # of the losses since the last row of the log


def start(config: FinetuneConfig, init: str, device: torch.device) -> State:
    """Networks and optimiser at step 0; they depend on the seed and the model to start from alone."""
    optimiser = config.optimiser
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        network = build(config.spec(), drop_path=optimiser.drop_path)
    if init != SCRATCH:
        initialise_from(network, load_weights(resolve_model(init)))
    freeze(network, config.model.backbone.depth, optimiser)
    return begin(network, config, device)


def begin(network: nn.Module, config: FinetuneConfig, device: torch.device) -> State:
    """Step 0 of any network from windows to logits; what asks for no gradient is not trained."""
    optimiser = config.optimiser
    network = network.to(device)
    average = copy.deepcopy(network).eval().requires_grad_(False)
    groups = parameter_groups(network, config.model.backbone.depth, optimiser)
    if optimiser.compile:
        network.compile()
    adamw = torch.optim.AdamW(groups, lr=optimiser.lr, betas=optimiser.betas, fused=True)
    return State(network, average, adamw, grad_scaler(device, optimiser.precision))


def weights_told(state: State) -> str:
    """How many weights there are, how many of them are trained, and where, for people."""
    parameters = list(state.network.parameters())
    whole, trained = (
        sum(item.numel() for item in chosen) / 1e6
        for chosen in (parameters, [item for item in parameters if item.requires_grad])
    )
    return f"{whole:.2f} M weights, {trained:.2f} M of them trained, on {parameters[0].device.type}"


def snapshot(state: State) -> dict[str, Any]:
    """All of it as tensors, numbers and text."""
    return {
        "step": state.step,
        "network": state.network.state_dict(),
        "average": state.average.state_dict(),
        "optimiser": state.optimiser.state_dict(),
        "scaler": state.scaler.state_dict(),
        "skipped": dict(state.skipped),
        "sums": dict(state.sums),
    }


def restore(state: State, saved: Mapping[str, Any]) -> None:
    """Put a snapshot into a state made by `start` with the same configuration."""
    state.network.load_state_dict(saved["network"])
    state.average.load_state_dict(saved["average"])
    state.optimiser.load_state_dict(saved["optimiser"])
    state.scaler.load_state_dict(saved["scaler"])
    state.step, state.skipped, state.sums = saved["step"], Counter(saved["skipped"]), dict(saved["sums"])


@torch.no_grad()
def update_average(average: nn.Module, network: nn.Module, decay: float) -> None:
    """average = decay * average + (1 - decay) * network."""
    mean, current = list(average.state_dict().values()), list(network.state_dict().values())
    torch._foreach_lerp_(mean, current, 1 - decay)

"""Learning rate over the run, and how it and the weight decay differ between parts of the network."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any, cast

from torch import Tensor, nn

from sardino_core.models.network import Network
from sardino_core.training.settings.finetune_config import OptimiserConfig

_NOT_DECAYED = ("pos_embed", "cls_token", "reg_token")


def learning_rate(step: int, config: OptimiserConfig) -> float:
    """Linear warm-up, then half a cosine from `lr` to `final_lr`; `step` counts from 0."""
    if step < config.warm_up:
        return config.lr * (step + 1) / config.warm_up
    done = (step - config.warm_up) / max(1, config.steps - config.warm_up)
    return config.final_lr + (config.lr - config.final_lr) * 0.5 * (1 + math.cos(math.pi * min(1.0, done)))


def ema_decay(step: int, config: OptimiserConfig) -> float:
    """Share of the average that stays; smaller at first, so that the random start is forgotten."""
    return min(config.ema_decay, (1 + step) / (10 + step))


def freeze(network: Network, depth: int, config: OptimiserConfig) -> None:
    """Set what `optimiser.train` leaves to learn: everything, the topmost blocks and the head, or the head alone.

    Frozen parameters ask for no gradient, so that nothing is recorded for them in the forward pass; frozen blocks are
    in evaluation mode, without drop path.
    """
    lowest = {"full": 0, "partial": max(0, depth + 1 - config.trained_blocks), "frozen": depth + 1}[config.train]
    network.train()
    for _, layer, parameter in _layers(network, depth):
        parameter.requires_grad_(layer >= lowest)
    for index, block in enumerate(cast("Sequence[nn.Module]", network.backbone.blocks)):
        block.train(index + 1 >= lowest)


def parameter_groups(network: nn.Module, depth: int, config: OptimiserConfig) -> list[dict[str, Any]]:
    """Groups for AdamW with `lr_scale` by depth and `weight_decay` 0 for biases, norms, positions and tokens.

    Layer-wise decay after Clark et al. 2020 (ELECTRA, arXiv 2003.10555): scale = decay^(layers above).
    """
    groups: dict[tuple[int, bool], dict[str, Any]] = {}
    for name, layer, parameter in _layers(network, depth):
        if not parameter.requires_grad:
            continue
        decayed = parameter.ndim > 1 and not name.endswith(_NOT_DECAYED)
        group = groups.setdefault(
            (layer, decayed),
            {
                "params": [],
                "lr_scale": config.layer_decay ** (depth + 1 - layer),
                "weight_decay": config.weight_decay if decayed else 0.0,
            },
        )
        group["params"].append(parameter)
    return list(groups.values())


def _layers(network: nn.Module, depth: int) -> Iterator[tuple[str, int, Tensor]]:
    """Name, layer (0 the embedding, 1 to depth the blocks, depth + 1 the head) and parameter."""
    for name, parameter in network.named_parameters():
        if name.startswith("backbone.blocks."):
            yield name, int(name.split(".")[2]) + 1, parameter
        elif name.startswith("backbone.norm."):
            yield name, depth, parameter
        elif name.startswith("backbone."):
            yield name, 0, parameter
        else:
            yield name, depth + 1, parameter

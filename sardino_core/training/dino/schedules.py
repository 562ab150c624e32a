"""How learning rate, weight decay, the teacher's momentum and temperature move over a pre-training run."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from torch import nn

from sardino_core.training.settings.pretrain_config import PretrainConfig

_NOT_DECAYED = ("pos_embed", "cls_token", "reg_token", "mask_token")


@dataclass(frozen=True)
class Moment:
    """What holds at one step."""

    lr: float
    weight_decay: float
    momentum: float  # of the teacher
    temperature: float  # of the teacher


def moment(step: int, config: PretrainConfig) -> Moment:
    """The schedules of arXiv 2104.14294, section 3.2 and appendix; `step` counts from 0."""
    optimiser, loss = config.optimiser, config.loss
    done = step / max(1, optimiser.steps - 1)
    if step < optimiser.warm_up:
        lr = optimiser.lr * (step + 1) / optimiser.warm_up
    else:
        lr = cosine(optimiser.lr, optimiser.final_lr, (step - optimiser.warm_up) / _rest(config))
    start = loss.teacher_temperature_start or loss.teacher_temperature
    warmed = min(1.0, step / loss.teacher_warm_up) if loss.teacher_warm_up else 1.0
    return Moment(
        lr=lr,
        weight_decay=cosine(optimiser.weight_decay, optimiser.final_weight_decay, done),
        momentum=cosine(loss.momentum, 1.0, done),
        temperature=start + (loss.teacher_temperature - start) * warmed,
    )


def cosine(first: float, last: float, done: float) -> float:
    """Half a cosine from `first` at 0 to `last` at 1."""
    return last + (first - last) * 0.5 * (1 + math.cos(math.pi * min(1.0, max(0.0, done))))


def parameter_groups(student: nn.Module) -> list[dict[str, Any]]:
    """Two groups for AdamW: with weight decay, and (biases, norms, positions, tokens) without."""
    decayed: list[nn.Parameter] = []
    spared: list[nn.Parameter] = []
    for name, parameter in student.named_parameters():
        (spared if parameter.ndim == 1 or name.endswith(_NOT_DECAYED) else decayed).append(parameter)
    return [{"params": decayed, "decays": True}, {"params": spared, "decays": False, "weight_decay": 0.0}]


def _rest(config: PretrainConfig) -> int:
    return max(1, config.optimiser.steps - 1 - config.optimiser.warm_up)

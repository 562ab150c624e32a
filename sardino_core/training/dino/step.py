"""The pieces of one step of self-distillation: views of a part of the batch, the teacher's answers, the student's loss.

The teacher answers for the whole batch before the student begins, so that centring sees all of it however it is split
into parts and processes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
import torch
from torch import Tensor

from sardino_core.training.dino.losses import (
    centred_softmax,
    dino_cross_entropy,
    koleo,
    masked_cross_entropy,
    moved_centre,
    sinkhorn,
)
from sardino_core.training.dino.network import DinoNetwork, draw_masks
from sardino_core.training.dino.views import Views, Windows, make_views
from sardino_core.training.running.distributed import Team
from sardino_core.training.settings.pretrain_config import DinoConfig, PretrainConfig
from sardino_core.training.windows.unlabelled import Chunk


@dataclass(frozen=True)
class Part:
    """The windows of one forward pass, as views; n windows, N patches, M of them masked."""

    views: Views
    masks: Tensor | None  # (2 n, N) bool
    hidden: Tensor  # (M,) where the masked patches are among the 2 n * N
    weight: Tensor  # (M,) one over the masked patches of the image
    seed: int  # for drop path
    origins: tuple[str, ...]

    @property
    def count(self) -> int:
        """n."""
        return len(self.views.large) // 2


@dataclass(frozen=True)
class Lesson:
    """The teacher's probabilities for one part."""

    classes: Tensor  # (2, n, K)
    patches: Tensor  # (M, K)
    tokens: Tensor  # (2 n, D) class tokens


@dataclass
class Centres:
    """Running means of the teacher's cosines, (K,) each; used by EMA centring alone."""

    classes: Tensor
    patches: Tensor


def prepare(chunk: Chunk, config: PretrainConfig, step: int, number: int, device: torch.device) -> Part:
    """Views and masks of a chunk: a function of the seed, the step and the part's number in the batch."""
    seeds = np.random.SeedSequence([config.seed, step, number]).generate_state(3)
    choices = torch.Generator().manual_seed(int(seeds[0]))
    fields = torch.Generator(device).manual_seed(int(seeds[1]))
    windows = Windows(torch.from_numpy(chunk.backscatter_db), torch.from_numpy(chunk.valid)).to(device)
    views = make_views(windows, config.model.window, config.views, config.model.inputs, choices, fields)
    loss, side = config.loss, config.model.window // config.model.backbone.patch
    masks = None
    hidden, weight = torch.zeros(0, dtype=torch.int64), torch.zeros(0)
    if loss.ibot:
        masks = draw_masks(len(views.large), side, loss.mask_chance, loss.mask_share, choices)
        hidden = masks.flatten().nonzero().flatten()
        weight = (masks / masks.sum(dim=1, keepdim=True).clamp(min=1)).flatten()[hidden]
        masks = masks.to(device)
    return Part(views, masks, hidden.to(device), weight.to(device), int(seeds[2]), chunk.origins)


@torch.no_grad()
def teach(
    teacher: DinoNetwork, parts: Sequence[Part], centres: Centres, config: DinoConfig, temperature: float, team: Team
) -> list[Lesson]:
    """The teacher's answers for the global views of the whole batch, centred and sharpened; moves the centres."""
    tokens, classes, patches = [], [], []
    for part in parts:
        (found,) = teacher([part.views.large], [None])  # (2 n, prefix + N, D)
        tokens.append(found[:, 0])
        classes.append(teacher.head(found[:, 0]).float())
        if teacher.patch_head is not None:
            patches.append(teacher.patch_head(_hidden(found, part)).float())
    class_p, centres.classes = _centred(torch.cat(classes), centres.classes, config, temperature, team)
    by_part = torch.split(class_p, [len(item) for item in classes])
    if patches:
        patch_p, centres.patches = _centred(torch.cat(patches), centres.patches, config, temperature, team)
        masked = torch.split(patch_p, [len(item) for item in patches])
    else:
        masked = tuple(class_p[:0] for _ in parts)
    return [
        Lesson(p.view(2, part.count, -1), hidden, token)
        for p, hidden, token, part in zip(by_part, masked, tokens, parts, strict=True)
    ]


def learn(student: DinoNetwork, part: Part, lesson: Lesson, config: DinoConfig) -> tuple[dict[str, Tensor], Tensor]:
    """The losses of one part by name, `loss` being their weighted sum, and the global cosines (2, n, K)."""
    crops = [part.views.large] if part.views.small is None else [part.views.large, part.views.small]
    masks = [part.masks, None][: len(crops)]
    tokens = student(crops, masks)
    class_tokens = torch.cat([found[:, 0] for found in tokens])  # (V n, D)
    cosines = student.head(class_tokens).unflatten(0, (-1, part.count))  # (V, n, K)
    losses = {"dino": dino_cross_entropy(cosines, lesson.classes, config.student_temperature)}
    total = losses["dino"]
    if student.patch_head is not None:
        guesses = student.patch_head(_hidden(tokens[0], part))  # (M, K)
        images = 2 * part.count
        losses["ibot"] = masked_cross_entropy(guesses, lesson.patches, part.weight, images, config.student_temperature)
        total = total + config.ibot * losses["ibot"]
    if config.koleo:
        first, second = tokens[0][:, 0].chunk(2)
        losses["koleo"] = koleo(first) + koleo(second)
        total = total + config.koleo * losses["koleo"]
    return {"loss": total, **losses}, cosines[:2].detach()


@torch.no_grad()
def clip_each(parameters: Sequence[Tensor], limit: float) -> Tensor:
    """Scale every gradient to a norm of at most `limit`, each tensor by itself; returns the norm over all, before."""
    gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
    norms = torch._foreach_norm(gradients)
    scales = [(limit / (norm + 1e-6)).clamp(max=1.0) for norm in norms]
    torch._foreach_mul_(gradients, scales)
    total: Tensor = torch.linalg.vector_norm(torch.stack(norms))
    return total


@torch.no_grad()
def follow(teacher: DinoNetwork, student: DinoNetwork, momentum: float) -> None:
    """teacher = momentum * teacher + (1 - momentum) * student, all weights."""
    torch._foreach_lerp_(list(teacher.parameters()), list(student.parameters()), 1 - momentum)


def _hidden(tokens: Tensor, part: Part) -> Tensor:
    """(2 n, prefix + N, D) to the masked patches' (M, D)."""
    patches = tokens[:, -cast(Tensor, part.masks).shape[1] :]
    return patches.reshape(-1, patches.shape[-1])[part.hidden]


def _centred(
    cosines: Tensor, centre: Tensor, config: DinoConfig, temperature: float, team: Team
) -> tuple[Tensor, Tensor]:
    """Probabilities (M, K) and the centre for the next step."""
    if config.centring == "sinkhorn":
        return sinkhorn(cosines, temperature, team), centre
    if config.centring == "none":
        return (cosines / temperature).softmax(dim=-1), centre
    return centred_softmax(cosines, centre, temperature), moved_centre(centre, cosines, config.centre_momentum, team)

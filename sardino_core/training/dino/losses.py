"""Losses of self-distillation: DINO's cross-entropy, the teacher's centring, iBOT's masked tokens, KoLeo.

Tensors in, a scalar or probabilities out, in single precision also where a step runs in half; checked against float64
in the tests. n windows per part of the batch, V views of each (the first two global), K prototypes, M masked tokens.
"""

from __future__ import annotations

import torch
from torch import Tensor

from sardino_core.training.running.distributed import Team
from sardino_core.training.running.precision import autocast


def dino_cross_entropy(student: Tensor, teacher: Tensor, temperature: float) -> Tensor:
    """Mean of H(teacher's global view, student's view) over all pairs of different views (arXiv 2104.14294, eq. 3).

    `student` (V, n, K) cosines, `teacher` (2, n, K) probabilities; the student's first two views are the teacher's.
    """
    log_p = (student.float() / temperature).log_softmax(dim=-1)
    with autocast(student.device, "fp32"):  # half precision would round the sum over all prototypes to three digits
        pairs = -torch.einsum("tnk,vnk->tv", teacher.float(), log_p.float()) / student.shape[1]  # (2, V)
    same = torch.eye(2, student.shape[0], dtype=torch.bool, device=student.device)
    return pairs.masked_fill(same, 0.0).sum() / (pairs.numel() - 2)


def masked_cross_entropy(student: Tensor, teacher: Tensor, weight: Tensor, images: int, temperature: float) -> Tensor:
    """iBOT's loss on masked tokens (Zhou et al. 2022, arXiv 2111.07832, eq. 3), each image counting the same.

    `student` (M, K) cosines, `teacher` (M, K) probabilities, `weight` (M,) one over the masked tokens of its image;
    `images` counts those without a mask too, as DINOv2 does.
    """
    log_p = (student.float() / temperature).log_softmax(dim=-1)
    return -((teacher * log_p).sum(dim=-1) * weight).sum() / images


def koleo(features: Tensor) -> Tensor:
    """-mean log of the distance to the nearest neighbour on the unit sphere (Sablayrolles et al. 2019, arXiv
    1806.03198).

    `features` (n, D). Spreads the class tokens of a batch; 0 for a single window, which has no neighbour.
    """
    if len(features) < 2:
        return features.sum() * 0.0
    unit = torch.nn.functional.normalize(features.float(), dim=-1, eps=1e-8)
    with torch.no_grad(), autocast(features.device, "fp32"):  # in half precision neighbours look alike
        cosines = unit @ unit.T
        nearest = cosines.fill_diagonal_(-2.0).argmax(dim=1)  # (n,)
    distance = torch.linalg.vector_norm(unit - unit[nearest] + 1e-8, dim=-1)
    return -torch.log(distance + 1e-8).mean()


def centred_softmax(logits: Tensor, centre: Tensor, temperature: float) -> Tensor:
    """Softmax of (M, K) cosines less the running centre (K,), sharpened (arXiv 2104.14294, section 3.1)."""
    return ((logits.float() - centre) / temperature).softmax(dim=-1)


def moved_centre(centre: Tensor, logits: Tensor, momentum: float, team: Team) -> Tensor:
    """centre * m + mean * (1 - m), the mean being over the (M, K) cosines of all processes (ibid., eq. 4)."""
    total = team.sum(torch.cat([logits.float().sum(dim=0), logits.new_tensor([float(len(logits))]).float()]))
    mean = total[:-1] / total[-1].clamp(min=1.0)
    return torch.where(total[-1] > 0, torch.lerp(mean, centre, momentum), centre)


def sinkhorn(logits: Tensor, temperature: float, team: Team, iterations: int = 3) -> Tensor:
    """(M, K) cosines to probabilities that use every prototype equally often over the batch.

    Sinkhorn-Knopp as in SwAV (Caron et al. 2020, arXiv 2006.09882, section 3.1), three iterations over the batch of all
    processes: columns to 1/K each, then rows to 1/M. Unlike a running centre it needs no history.
    """
    scaled = logits.float() / temperature
    own = scaled.amax(dim=1, keepdim=True)  # (M, 1)
    largest = own.max() if len(own) else scaled.new_tensor(-torch.inf)
    largest = team.maximum(largest.clone())
    # A row far below the largest would vanish at a low temperature: its scale is kept apart, and counts in the first
    # sum over the columns alone, since rows are normalised then.
    p, scale = (scaled - own).exp(), (own - largest).exp()  # (M, K), (M, 1)
    prototypes = p.shape[1]
    for _ in range(iterations):
        p = p / (team.sum((p * scale).sum(dim=0)).clamp(min=1e-30) * prototypes)
        p = p / p.sum(dim=1, keepdim=True)  # rows sum to 1; the common factor 1/M cancels
        scale = torch.ones_like(scale)
    return p

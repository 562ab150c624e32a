"""Losses for labels that allow a set of classes. Tensors in, a scalar out; checked against float64 in the tests."""

from __future__ import annotations

import torch
from torch import Tensor

from sardino_core.training.targets import UNKNOWN


def partial_cross_entropy(
    logits: Tensor, target: Tensor, table: Tensor, weights: Tensor | None = None, label_smoothing: float = 0.0
) -> Tensor:
    """Mean of -log P(class in the allowed set) over labelled pixels; cross-entropy where the set has one class.

    The likelihood of a set is the sum of its classes' probabilities (Jin & Ghahramani 2002, "Learning with multiple
    labels", NIPS 15; shown to be consistent by Feng et al. 2020, arXiv 2007.08929):
    logsumexp(all logits) - logsumexp(allowed logits).

    `logits` (N, K, S, S); `target` (N, S, S) numbers of sets, 0 = no label; `table` (sets, K) bool; `weights` (K,)
    per class, a set having the mean of its classes'. Smoothing moves that share of the target to all classes evenly.
    """
    log_p = logits.permute(0, 2, 3, 1)[target != UNKNOWN].float().log_softmax(dim=-1)  # (M, K)
    if not len(log_p):
        return logits.sum() * 0.0
    allowed = table[target[target != UNKNOWN]]  # (M, K)
    loss = -log_p.masked_fill(~allowed, -torch.inf).logsumexp(dim=-1)  # (M,)
    if label_smoothing:
        loss = (1 - label_smoothing) * loss - label_smoothing * log_p.mean(dim=-1)
    if weights is None:
        return loss.mean()
    weight = (allowed * weights).sum(dim=-1) / allowed.sum(dim=-1)
    return (loss * weight).sum() / weight.sum()


def soft_dice(logits: Tensor, target: Tensor, table: Tensor) -> Tensor:
    """1 - mean Dice coefficient of the classes present, over pixels whose label is one class (Milletari et al. 2016,
    arXiv 1606.04797). Arguments as above.
    """
    single = (table.sum(dim=-1) == 1)[target]  # (N, S, S)
    p = logits.permute(0, 2, 3, 1)[single].float().softmax(dim=-1)  # (M, K)
    truth = table[target[single]].float()  # (M, K)
    present = truth.sum(dim=0) > 0
    if not present.any():
        return logits.sum() * 0.0
    dice = 2 * (p * truth).sum(dim=0) / (p.sum(dim=0) + truth.sum(dim=0))
    return 1 - dice[present].mean()

"""Losses for labels that allow a set of classes. Tensors in, a scalar out; checked against float64 in the tests.

`logits` (N, K, S, S); `target` (N, S, S) numbers of sets, 0 = no label; `table` (sets, K) bool.
"""

from __future__ import annotations

import torch
from torch import Tensor

from sardino_core.training.windows.targets import UNKNOWN

_TINY = 1e-12  # nothing is divided by 0, and a power below 1 has no finite slope there


def label_weights(target: Tensor, table: Tensor, weights: Tensor) -> Tensor:
    """(N, S, S): what each pixel counts; a set has the mean of its classes' `weights` (K,), no label has 0."""
    of_set = (table * weights).sum(dim=-1) / table.sum(dim=-1).clamp(min=1)  # (sets,); the empty set's is 0
    return of_set[target]


def partial_cross_entropy(
    logits: Tensor,
    target: Tensor,
    table: Tensor,
    weights: Tensor | None = None,
    label_smoothing: float = 0.0,
    focal_gamma: float = 0.0,
    total: Tensor | None = None,
    doubt: float = 0.0,
) -> Tensor:
    """Mean of -(1 - p)^gamma log p over labelled pixels, p being the probability of the allowed set of classes.

    The likelihood of a set is the sum of its classes' probabilities (Jin & Ghahramani 2002, "Learning with multiple
    labels", NIPS 15; shown to be consistent by Feng et al. 2020, arXiv 2007.08929):
    -log p = logsumexp(all logits) - logsumexp(allowed logits), which is cross-entropy where the set has one class.
    `focal_gamma` above 0 gives the focal loss (Lin et al. 2017, arXiv 1708.02002, eq. 4) of that probability.
    A set of all classes is always likely, and teaches nothing; with `doubt` it counts that much times the mean of
    -log p over the classes, least where all are equally probable (outlier exposure, Hendrycks et al. 2019, arXiv
    1812.04606).

    `weights` (K,) per class, see `label_weights`. Smoothing moves that share of the target to all classes evenly. The
    mean is over these pixels' weights, or over `total`: that of a whole batch of which this is a part.
    """
    known = target != UNKNOWN
    log_p = logits.permute(0, 2, 3, 1)[known].float().log_softmax(dim=-1)  # (M, K)
    if not len(log_p):
        return logits.sum() * 0.0
    allowed = log_p.masked_fill(~table[target[known]], -torch.inf).logsumexp(dim=-1).clamp(max=0.0)  # (M,)
    loss = -allowed
    if focal_gamma:
        loss = loss * (-torch.expm1(allowed)).clamp(min=_TINY) ** focal_gamma
    if doubt:
        anything = table.all(dim=-1)[target[known]]
        loss = torch.where(anything, -doubt * log_p.mean(dim=-1), loss)
    if label_smoothing:
        loss = (1 - label_smoothing) * loss - label_smoothing * log_p.mean(dim=-1)
    if weights is None:
        weights = log_p.new_ones(log_p.shape[-1])
    weight = label_weights(target[known], table, weights)
    return (loss * weight).sum() / (weight.sum().clamp(min=_TINY) if total is None else total)


def soft_dice(logits: Tensor, target: Tensor, table: Tensor) -> Tensor:
    """1 - mean Dice coefficient of the classes present, over pixels whose label is one class (Milletari et al. 2016,
    arXiv 1606.04797).
    """
    single = (table.sum(dim=-1) == 1)[target]  # (N, S, S)
    p = logits.permute(0, 2, 3, 1)[single].float().softmax(dim=-1)  # (M, K)
    truth = table[target[single]].float()  # (M, K)
    present = truth.sum(dim=0) > 0
    if not present.any():
        return logits.sum() * 0.0
    dice = 2 * (p * truth).sum(dim=0) / (p.sum(dim=0) + truth.sum(dim=0))
    return 1 - dice[present].mean()

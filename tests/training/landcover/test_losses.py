"""Losses against an independent float64 reference, pixel by pixel."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from sardino_core.training.landcover.losses import label_weights, partial_cross_entropy, soft_dice

TABLE = torch.tensor([[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1], [0, 1, 1], [1, 1, 1]], dtype=torch.bool)


def reference(logits, target, weights, smoothing, gamma=0.0):
    total = weight_sum = 0.0
    for n, row, col in np.ndindex(*target.shape):
        allowed = TABLE[target[n, row, col]].numpy()
        if not allowed.any():
            continue
        p = np.exp(logits[n, :, row, col])
        p /= p.sum()
        focal = (1 - min(1.0, p[allowed].sum())) ** gamma
        loss = (1 - smoothing) * focal * -math.log(p[allowed].sum()) - smoothing * np.log(p).mean()
        weight = weights[allowed].mean()
        total, weight_sum = total + weight * loss, weight_sum + weight
    return total / weight_sum


@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("weights", [None, [1.0, 2.0, 0.5]])
def test_partial_cross_entropy_and_focal_loss_equal_the_reference(smoothing, weights, gamma):
    rng = np.random.default_rng(0)
    logits, target = rng.normal(0, 3, (2, 3, 6, 5)), rng.integers(0, 6, (2, 6, 5))
    found = partial_cross_entropy(
        torch.from_numpy(logits),
        torch.from_numpy(target),
        TABLE,
        None if weights is None else torch.tensor(weights, dtype=torch.float64),
        smoothing,
        gamma,
    )
    expected = reference(logits, target, np.array(weights or [1.0] * 3), smoothing, gamma)
    assert found.item() == pytest.approx(expected, rel=1e-5)


def test_one_class_sets_give_ordinary_cross_entropy():
    logits, index = torch.randn(2, 3, 8, 8), torch.randint(0, 3, (2, 8, 8))
    expected = torch.nn.functional.cross_entropy(logits, index)
    assert torch.allclose(partial_cross_entropy(logits, index + 1, TABLE), expected)


def test_a_set_of_all_classes_teaches_nothing_and_no_labels_give_zero():
    logits = torch.randn(1, 3, 4, 4, requires_grad=True)
    for number in (5, 0):
        loss = partial_cross_entropy(logits, torch.full((1, 4, 4), number), TABLE)
        (gradient,) = torch.autograd.grad(loss, logits)
        assert loss.item() == pytest.approx(0.0, abs=1e-6)
        assert gradient.abs().max() < 1e-6


def test_doubt_pulls_a_set_of_all_classes_to_equal_probabilities_and_leaves_the_others():
    logits = torch.tensor([[4.0, -2.0, 1.0]], dtype=torch.float64, requires_grad=True)
    everything = torch.full((1, 1, 1), 5)
    loss = partial_cross_entropy(logits.view(1, 3, 1, 1), everything, TABLE, doubt=0.7)
    p = np.exp([4.0, -2.0, 1.0]) / np.exp([4.0, -2.0, 1.0]).sum()
    assert loss.item() == pytest.approx(-0.7 * np.log(p).mean(), rel=1e-5)
    (gradient,) = torch.autograd.grad(loss, logits)
    assert np.allclose(gradient[0].numpy(), 0.7 * (p - 1 / 3), atol=1e-6)
    one_class = torch.full((1, 1, 1), 2)
    assert partial_cross_entropy(logits.view(1, 3, 1, 1), one_class, TABLE, doubt=0.7).item() == pytest.approx(
        -math.log(p[1]), rel=1e-5
    )


@pytest.mark.parametrize("gamma", [0.5, 1.0, 2.0])
def test_focal_gradients_are_those_of_the_formula_and_finite_where_all_is_certain(gamma):
    logits = torch.tensor([[2.0, -1.0, 0.5], [60.0, -60.0, -60.0]], requires_grad=True)
    target = torch.tensor([4, 1]).view(2, 1, 1)
    partial_cross_entropy(logits.view(2, 3, 1, 1), target, TABLE, focal_gamma=gamma).backward()
    numeric = np.zeros(3)
    for index in range(3):
        for sign in (1, -1):
            moved = np.array([2.0, -1.0, 0.5])
            moved[index] += sign * 1e-6
            p = np.exp(moved) / np.exp(moved).sum()
            numeric[index] += sign * -((1 - p[1:].sum()) ** gamma) * math.log(p[1:].sum()) / 2e-6 / 2
    assert np.allclose(logits.grad[0].numpy(), numeric, atol=1e-5)
    assert torch.isfinite(logits.grad).all()


def test_the_parts_of_a_batch_sum_up_to_the_whole():
    torch.manual_seed(0)
    logits, target = torch.randn(6, 3, 8, 8), torch.randint(0, 6, (6, 8, 8))
    target[:2] *= torch.rand(2, 8, 8) < 0.1  # parts with fewer labels
    weights = torch.tensor([1.0, 3.0, 0.5])
    whole = partial_cross_entropy(logits, target, TABLE, weights, 0.1, 2.0)
    total = label_weights(target, TABLE, weights).sum()
    parts = [
        partial_cross_entropy(logits[i : i + 2], target[i : i + 2], TABLE, weights, 0.1, 2.0, total) for i in (0, 2, 4)
    ]
    assert torch.allclose(sum(parts), whole)


def test_dice_equals_the_reference_and_skips_partial_labels():
    rng = np.random.default_rng(1)
    logits, target = rng.normal(0, 2, (2, 3, 5, 5)), rng.choice([0, 1, 2, 4], (2, 5, 5))
    p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    scores = []
    single = (target == 1) | (target == 2)
    for index in (0, 1):
        truth = target == index + 1
        scores.append(2 * p[:, index][truth].sum() / (p[:, index][single].sum() + truth.sum()))
    found = soft_dice(torch.from_numpy(logits), torch.from_numpy(target), TABLE)
    assert found.item() == pytest.approx(1 - np.mean(scores), rel=1e-5)

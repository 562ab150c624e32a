"""Every loss against a plain float64 reference."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from sardino_core.training.dino.losses import (
    centred_softmax,
    dino_cross_entropy,
    koleo,
    masked_cross_entropy,
    moved_centre,
    sinkhorn,
)
from sardino_core.training.running.distributed import Team

ALONE = Team(0, 1, torch.device("cpu"))


class Twins(Team):
    """As if another process had the very same tensors."""

    def sum(self, value: torch.Tensor) -> torch.Tensor:
        return 2 * value


def softmax(x: np.ndarray) -> np.ndarray:
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def cosines(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).uniform(-1, 1, shape)


def tensor(x: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(x).float()


@pytest.mark.parametrize("views", [2, 3, 8])
def test_dino_cross_entropy_is_the_mean_over_pairs_of_different_views(views):
    student, teacher = cosines(views, 5, 7), softmax(cosines(2, 5, 7, seed=1) * 20)
    expected, pairs = 0.0, 0
    for t in range(2):
        for v in range(views):
            if t != v:
                pairs += 1
                for window in range(5):
                    expected -= (teacher[t, window] * np.log(softmax(student[v, window] / 0.1))).sum() / 5
    found = dino_cross_entropy(tensor(student), tensor(teacher), 0.1)
    assert found.item() == pytest.approx(expected / pairs, rel=1e-5)


def test_masked_cross_entropy_lets_every_image_count_the_same():
    student, teacher = cosines(6, 4), softmax(cosines(6, 4, seed=1) * 10)
    image = np.array([0, 0, 0, 0, 2, 2])  # image 1 has no mask
    per_token = -(teacher * np.log(softmax(student / 0.1))).sum(axis=-1)
    expected = (per_token[image == 0].mean() + per_token[image == 2].mean()) / 3
    weight = np.where(image == 0, 1 / 4, 1 / 2)
    found = masked_cross_entropy(tensor(student), tensor(teacher), tensor(weight), 3, 0.1)
    assert found.item() == pytest.approx(expected, rel=1e-5)


def test_koleo_is_the_log_distance_to_the_nearest_neighbour():
    features = np.random.default_rng(0).normal(size=(9, 5))
    unit = features / np.linalg.norm(features, axis=1, keepdims=True)
    distance = np.linalg.norm(unit[:, None] - unit[None], axis=-1) + np.diag(np.full(9, np.inf))
    assert koleo(tensor(features)).item() == pytest.approx(-np.log(distance.min(axis=1)).mean(), rel=1e-5)
    assert koleo(tensor(features[:1])).item() == 0


def test_koleo_pushes_twins_apart_without_a_nan():
    features = torch.ones(4, 3, requires_grad=True)
    koleo(features).backward()
    assert torch.isfinite(features.grad).all()


def test_the_centre_follows_the_mean_and_is_taken_off():
    logits, centre = cosines(10, 6), cosines(6, seed=1)
    found = centred_softmax(tensor(logits), tensor(centre), 0.04)
    assert np.allclose(found.numpy(), softmax((logits - centre) / 0.04), atol=1e-5)
    moved = moved_centre(tensor(centre), tensor(logits), 0.9, ALONE)
    assert np.allclose(moved.numpy(), 0.9 * centre + 0.1 * logits.mean(axis=0), atol=1e-6)
    assert torch.equal(moved_centre(tensor(centre), tensor(logits[:0]), 0.9, ALONE), tensor(centre))


@pytest.mark.parametrize("temperature", [0.02, 0.07])
def test_sinkhorn_equals_alternating_normalisation(temperature):
    logits = cosines(12, 4)
    p = np.exp((logits - logits.max()) / temperature)
    p /= p.sum()
    for _ in range(3):
        p = p / p.sum(axis=0, keepdims=True) / 4
        p = p / p.sum(axis=1, keepdims=True) / 12
    assert np.allclose(sinkhorn(tensor(logits), temperature, ALONE).numpy(), p * 12, atol=2e-4)


def test_sinkhorn_spreads_alike_windows_over_the_prototypes():
    logits = torch.tensor([[1.0, 0.0, 0.0]]).repeat(9, 1) + 0.01 * torch.randn(9, 3, generator=torch.manual_seed(0))
    found = sinkhorn(logits, 0.05, ALONE, iterations=50)
    assert torch.allclose(found.sum(dim=0), torch.full((3,), 3.0), atol=0.05)
    assert torch.allclose(found.sum(dim=1), torch.ones(9), atol=1e-5)
    assert sinkhorn(logits[:0], 0.05, ALONE).shape == (0, 3)


def test_twice_the_same_batch_in_two_processes_changes_nothing():
    twins, logits, centre = Twins(0, 2, torch.device("cpu")), tensor(cosines(8, 5)), torch.zeros(5)
    assert torch.allclose(moved_centre(centre, logits, 0.9, twins), moved_centre(centre, logits, 0.9, ALONE))


@pytest.mark.parametrize("precision", [torch.bfloat16, torch.float16])
def test_losses_keep_single_precision_within_a_step_of_half_precision(precision):
    """A dot product over the prototypes would be rounded to eight bits, and take the gradient along."""
    rng = np.random.default_rng(0)
    student, teacher = tensor(cosines(6, 16, 256)), tensor(softmax(cosines(2, 16, 256, seed=1) / 0.02))
    crowd = tensor(10 + 1e-3 * rng.normal(size=(64, 8)))  # all neighbours are near
    exact, near = dino_cross_entropy(student, teacher, 0.1), koleo(crowd)
    with torch.autocast("cpu", precision):
        assert torch.equal(dino_cross_entropy(student, teacher, 0.1), exact)
        assert torch.equal(koleo(crowd), near)


@pytest.mark.parametrize("temperature", [0.04, 0.01, 0.002])
def test_no_row_vanishes_at_a_low_temperature(temperature):
    """Its loss would silently be 0."""
    cosine = cosines(24, 16) * 0.5
    cosine[::3] += 0.45  # nearly as far apart as cosines can be
    cosine[1::3] -= 0.45
    found = sinkhorn(tensor(cosine), temperature, ALONE)
    assert torch.allclose(found.sum(dim=1), torch.ones(24), atol=1e-5)
    log_p = torch.from_numpy(cosine) / temperature  # in logarithms nothing vanishes
    for _ in range(3):
        log_p = log_p - log_p.logsumexp(dim=0)
        log_p = log_p - log_p.logsumexp(dim=1, keepdim=True)
    assert temperature < 0.01 or np.allclose(found.numpy(), log_p.exp().numpy(), atol=1e-4)

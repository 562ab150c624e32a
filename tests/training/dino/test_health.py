from __future__ import annotations

import math

import pytest
import torch

from sardino_core.training.dino.health import Watch, diagnose, effective_rank, look

K, N, D = 32, 64, 16


def tokens(dimensions: int = D) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randn(2 * N, dimensions, generator=generator) @ torch.randn(dimensions, D, generator=generator)


def answers(kind: str) -> torch.Tensor:
    if kind == "even":
        return torch.full((2, N, K), 1 / K)
    index = torch.arange(N) % K if kind == "healthy" else torch.zeros(N, dtype=torch.int64)
    return torch.nn.functional.one_hot(index, K).float().repeat(2, 1, 1) * 0.99 + 0.01 / K


@pytest.mark.parametrize("dimensions", [1, 3, 8])
def test_effective_rank_counts_dimensions(dimensions):
    orthonormal, _ = torch.linalg.qr(torch.randn(200, dimensions, generator=torch.Generator().manual_seed(0)))
    embedded = torch.zeros(200, D)
    embedded[:, :dimensions] = orthonormal
    assert effective_rank(embedded) == pytest.approx(dimensions, rel=0.05)


def test_equal_embeddings_have_rank_one():
    assert effective_rank(torch.ones(50, D)) == 1.0


@pytest.mark.parametrize(("kind", "found"), [("healthy", None), ("one", "one prototype"), ("even", "even prototypes")])
def test_both_collapses_are_told_apart_from_health(kind, found):
    health = look(answers(kind), answers(kind), tokens(), 0.1)
    diagnosis = diagnose(health)
    assert (diagnosis[0] if diagnosis else None) == found
    if found is None:
        assert health.information > 0.9
        assert health.used == 1.0
    else:
        assert health.information == pytest.approx(0, abs=1e-3)


def test_few_dimensions_are_told():
    kind, text = diagnose(look(answers("healthy"), answers("healthy"), tokens(1), 0.1))
    assert kind == "few dimensions"
    assert "loss.koleo" in text


def test_divergence_is_that_between_different_views():
    teacher = torch.eye(2).view(2, 1, 2) * 0.8 + 0.1  # the two views of one window disagree
    student = teacher.log() * 0.1  # its cosines give just the teacher's answers at temperature 0.1
    expected = 0.9 * math.log(0.9 / 0.1) + 0.1 * math.log(0.1 / 0.9)
    assert look(teacher, student, tokens(), 0.1).divergence == pytest.approx(expected, rel=1e-4)


def test_the_watch_waits_says_it_once_and_survives_a_checkpoint():
    sick = look(answers("one"), answers("one"), tokens(), 0.1)
    well = look(answers("healthy"), answers("healthy"), tokens(), 0.1)
    watch = Watch()
    assert [watch.judge(sick), watch.judge(sick)] == [None, None]
    watch = Watch.of(watch.state())
    assert "sinkhorn" in watch.judge(sick)
    assert watch.judge(sick) is None
    assert watch.collapsed == "one prototype"
    assert watch.judge(well) is None
    assert watch.collapsed == ""

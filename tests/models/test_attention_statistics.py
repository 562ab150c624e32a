from __future__ import annotations

import math

import pytest
import torch

from sardino_core.models.attention_statistics import COLUMNS, distances, entropy, head_statistics, mean_distance
from tests.models.networks import lively_network, noise
from tests.models.specs import make_spec


def test_entropy_of_all_alike_is_log_n_and_of_one_is_nothing():
    assert float(entropy(torch.full((64,), 1 / 64))) == pytest.approx(math.log(64))
    assert float(entropy(torch.eye(5)[2])) == 0
    halves = torch.tensor([0.5, 0.5, 0, 0])
    assert float(entropy(halves)) == pytest.approx(math.log(2))


def test_distance_is_euclidean_between_patches():
    found = distances(3)
    for i in range(9):
        for j in range(9):
            assert float(found[i, j]) == pytest.approx(math.hypot(i // 3 - j // 3, i % 3 - j % 3), abs=1e-9)


def test_mean_distance_of_looking_at_oneself_at_a_neighbour_and_everywhere():
    count = 16
    assert float(mean_distance(torch.eye(count), 4)) == 0
    neighbour = torch.zeros(count, count)
    for i in range(count):
        neighbour[i, i + 1 if i % 4 < 3 else i - 1] = 1
    assert float(mean_distance(neighbour, 4)) == pytest.approx(1)
    everywhere = torch.full((count, count), 1 / count)
    expected = sum(math.hypot(a - c, b - d) for a in range(4) for b in range(4) for c in range(4) for d in range(4))
    assert float(mean_distance(everywhere, 4)) == pytest.approx(expected / count**2, rel=1e-5)


@pytest.mark.parametrize("shape", [dict(registers=2), dict(architecture="vit_small_dinov3", width=48, registers=1)])
def test_statistics_are_those_of_the_whole_softmax(shape):
    network = lively_network(make_spec(head="none", **shape))
    backbone, spec = network.backbone, network.spec
    x = torch.from_numpy(noise(spec))
    with torch.inference_mode():
        found = head_statistics(backbone, x)
        tokens = backbone._pos_embed(backbone.patch_embed(x))
        prefix = backbone.num_prefix_tokens
        for layer, block in enumerate(backbone.blocks):
            inner = block.norm1(tokens)
            batch, count, width = inner.shape
            q, k, _ = block.attn.qkv(inner).split(width, dim=-1)
            q, k = (part.view(batch, count, spec.backbone.heads, -1).transpose(1, 2) for part in (q, k))
            full = torch.softmax(q @ k.transpose(-1, -2) / q.shape[-1] ** 0.5, dim=-1)
            own = full[:, :, 0, prefix:]
            shares = own / own.sum(-1, keepdim=True)
            torch.testing.assert_close(found[:, layer, :, 0], -(shares * shares.log()).sum(-1), atol=1e-4, rtol=1e-4)
            torch.testing.assert_close(found[:, layer, :, 1], 1 - own.sum(-1), atol=1e-5, rtol=1e-4)
            among = full[:, :, prefix:, prefix:]
            far = (among / among.sum(-1, keepdim=True) * distances(spec.tokens_per_side).float()).sum(-1).mean(-1)
            torch.testing.assert_close(found[:, layer, :, 2], far, atol=1e-4, rtol=1e-4)
            tokens = block(tokens)
    assert found.shape == (2, spec.backbone.depth, spec.backbone.heads, len(COLUMNS))
    assert found[..., 0].max() < math.log(spec.tokens_per_side**2) - 0.1, "uniform attention would show nothing"


def test_nothing_stays_behind_in_the_network():
    network = lively_network(make_spec(head="none"))
    head_statistics(network.backbone, torch.from_numpy(noise(network.spec)))
    assert not any(block.attn.qkv._forward_hooks for block in network.backbone.blocks)

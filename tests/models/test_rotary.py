"""Rotary positions: lengths stay, only places turn, and whoever asks for the projection sees it."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from sardino_core.contract.errors import ModelInvalid
from sardino_core.models.network import random_network
from sardino_core.models.rotary import RotaryProjection, periods, rotation
from sardino_core.models.vit import build_backbone, walk
from tests.models import checkpoints
from tests.models.networks import lively_network, noise
from tests.models.specs import make_spec

SPEC = make_spec(window=64, patch=16, width=192, registers=4, head="none", architecture="vit_tiny_dinov3")


def projection(heads: int = 3, prefix: int = 2) -> tuple[nn.Linear, RotaryProjection]:
    torch.manual_seed(0)
    plain = nn.Linear(48, 144)
    return plain, RotaryProjection(plain, heads, prefix)


def test_queries_and_keys_of_patches_turn_and_nothing_else_does() -> None:
    plain, rotary = projection()
    x = torch.randn(2, 2 + 9, 48)
    before, after = (module(x).reshape(2, 11, 3, 3, 16) for module in (plain, rotary))
    torch.testing.assert_close(after[:, :2], before[:, :2])
    torch.testing.assert_close(after[:, :, 2], before[:, :, 2])
    torch.testing.assert_close(after.norm(dim=-1), before.norm(dim=-1))
    assert (after[:, 2:, :2] - before[:, 2:, :2]).abs().amax(dim=(0, 2, 3, 4)).max() > 0.5


def test_the_product_of_query_and_key_depends_on_their_distance_alone() -> None:
    sin, cos = rotation(8, 16, torch.zeros(1, dtype=torch.float64))
    q, k = torch.randn(2, 16, dtype=torch.float64)

    def turned(x: torch.Tensor, at: int) -> torch.Tensor:
        first, second = x.chunk(2)
        return x * cos[at] + torch.cat((-second, first)) * sin[at]

    scores = {at: float(turned(q, at) @ turned(k, at + 8 + 2)) for at in (0, 1, 9, 20, 37)}  # one down, two right
    assert max(scores.values()) - min(scores.values()) < 1e-9
    assert abs(float(turned(q, 0) @ turned(k, 1)) - scores[0]) > 1e-3


def test_periods_run_from_one_to_nearly_a_hundred() -> None:
    found = periods(64)
    assert (found.shape, float(found[0]), float(found[8])) == ((16,), 1.0, pytest.approx(10.0))


@pytest.mark.parametrize("side", [64, 96, 32])
def test_the_backbone_is_timms_at_any_window(side: int) -> None:
    reference, _ = checkpoints.dinov3_of_timm(qkv_bias=True)
    backbone = build_backbone(SPEC.backbone, 3, SPEC.window, dynamic_size=True).eval()
    reference.patch_embed.strict_img_size = False
    backbone.load_state_dict(_renamed(reference.state_dict()))
    reference.rope.update_feat_shape([side // 16, side // 16])
    x = torch.randn(2, 3, side, side)
    with torch.inference_mode():
        found, expected = walk(backbone, x, (0, 1)), reference.forward_features(x)
    torch.testing.assert_close(found.patch_tokens, expected[:, 5:], atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(found.class_token, expected[:, 0], atol=1e-5, rtol=1e-5)


def test_attention_is_that_of_the_turned_queries_and_keys() -> None:
    network = lively_network(SPEC)
    x = torch.from_numpy(noise(SPEC))
    block = network.backbone.blocks[0]
    with torch.inference_mode():
        inner = block.norm1(network.backbone._pos_embed(network.backbone.patch_embed(x)))
        q, k, _ = block.attn.qkv(inner).view(2, 21, 3, 3, 64).permute(2, 0, 3, 1, 4)
        expected = (q[:, :, 0:1] @ k.mT / 8).softmax(-1)[:, :, 0, 5:]
        found = walk(network.backbone, x, (0,)).attention[:, 0]
    torch.testing.assert_close(found, expected, atol=1e-6, rtol=1e-4)


def test_it_trains_and_names_no_weights_of_its_own() -> None:
    network = random_network(SPEC, 0)
    assert not any("rope" in name or "pos_embed" in name for name in network.state_dict())
    network.features(torch.from_numpy(noise(SPEC))).tokens.sum().backward()
    assert all(value.grad is not None for value in network.backbone.parameters())


@pytest.mark.parametrize("shape", [(1, 2 + 8, 48), (11, 48), (1, 2, 48)])
def test_tokens_of_no_single_grid_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ModelInvalid, match="square windows of one size"):
        projection()[1](torch.zeros(shape))


def _renamed(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    names = {"gamma_1": "ls1.gamma", "gamma_2": "ls2.gamma"}
    found = {}
    for name, value in state.items():
        stem, _, end = name.rpartition(".")
        if end == "q_bias":
            found[f"{stem}.qkv.bias"] = torch.cat((value, torch.zeros_like(value), state[f"{stem}.v_bias"]))
        elif end not in ("v_bias", "k_bias"):
            found[f"{stem}.{names.get(end, end)}" if stem else end] = value
    return found

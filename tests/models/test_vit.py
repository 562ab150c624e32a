"""The walk over the blocks is the network that timm defines, plus attention that is really attention."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from sardino_core.contract.errors import ModelInvalid, SettingInvalid
from sardino_core.contract.model_spec import BackboneSpec
from sardino_core.models.vit import build_backbone, walk
from tests.models.networks import lively_network, noise
from tests.models.specs import make_spec

SHAPES = [
    dict(patch=8, registers=0, bands=("VV", "VH")),
    dict(patch=16, registers=4, bands=("VV",)),
    dict(patch=14, window=56, registers=1, bands=("VV", "VH", "VV-VH")),
    dict(patch=14, window=28, registers=4, architecture="vit_small_dinov2", width=64, heads=4),
    dict(patch=8, registers=0, architecture="vit_base_dinov2"),
]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("layers", [(), (-1,), (0, 1)])
def test_walk_equals_timms_own_forward(shape: dict, layers: tuple[int, ...]) -> None:
    network = lively_network(make_spec(head="none", **shape))
    x = torch.from_numpy(noise(network.spec))
    with torch.inference_mode():
        found, expected = walk(network.backbone, x, layers), network.backbone.forward_features(x)
    prefix = 1 + network.spec.backbone.register_tokens
    torch.testing.assert_close(found.patch_tokens, expected[:, prefix:], atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(found.class_token, expected[:, 0], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("shape", SHAPES)
def test_attention_is_the_class_tokens_row_of_the_softmax(shape: dict) -> None:
    network = lively_network(make_spec(head="none", **shape))
    backbone, spec = network.backbone, network.spec
    x = torch.from_numpy(noise(spec))
    with torch.inference_mode():
        found = walk(backbone, x, (0, 1)).attention
        expected = _attention_by_hand(backbone, x)  # (B, L, heads, prefix + N)
    prefix, count = 1 + spec.backbone.register_tokens, spec.tokens_per_side**2
    assert found.shape == (2, 2, spec.backbone.heads, count)
    torch.testing.assert_close(found, expected[..., prefix:], atol=1e-6, rtol=1e-4)
    total = found.sum(-1) + expected[..., :prefix].sum(-1)
    torch.testing.assert_close(total, torch.ones_like(total))
    assert (found.sum(-1) < 1).all()
    assert found.max() > 2 / count, "attention must not be uniform, or this test shows nothing"


def test_scores_are_what_the_softmax_is_taken_of() -> None:
    network = lively_network(make_spec(head="none", registers=2))
    x = torch.from_numpy(noise(network.spec))
    with torch.inference_mode():
        found = walk(network.backbone, x, (0, 1))
    shares = found.attention / found.attention.sum(-1, keepdim=True)
    torch.testing.assert_close(found.scores.softmax(-1), shares)
    assert found.scores.std() > 1, "or the softmax is flat, and this test shows nothing"


def _attention_by_hand(backbone: torch.nn.Module, x: Tensor) -> Tensor:
    """From timm's modules alone, without the fused kernel and without this project's walk."""
    rows = []
    x = backbone._pos_embed(backbone.patch_embed(x))
    for block in backbone.blocks:
        inner = block.norm1(x)
        batch, count, width = inner.shape
        heads = block.attn.num_heads
        q, k, _ = block.attn.qkv(inner).split(width, dim=-1)
        q, k = (part.view(batch, count, heads, width // heads).transpose(1, 2) for part in (q, k))
        full = torch.softmax(q @ k.transpose(-1, -2) / (width // heads) ** 0.5, dim=-1)
        rows.append(full[:, :, 0])
        x = block(x)
    return torch.stack(rows, dim=1)


def test_layers_keep_the_order_asked_for_and_may_be_negative() -> None:
    network = lively_network(make_spec(head="none", depth=3))
    x = torch.from_numpy(noise(network.spec))
    with torch.inference_mode():
        every = walk(network.backbone, x, (0, 1, 2)).attention
        chosen = walk(network.backbone, x, (-1, 0, 2)).attention
    torch.testing.assert_close(chosen, every[:, [2, 0, 2]])


@pytest.mark.parametrize("layer", [2, -3, 99])
def test_a_layer_that_does_not_exist_is_named(layer: int) -> None:
    network = lively_network(make_spec(head="none", depth=2))
    with pytest.raises(SettingInvalid, match=f"Layer {layer} .* 0 to 1"):
        walk(network.backbone, torch.from_numpy(noise(network.spec)), (layer,))


def test_an_unknown_architecture_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ModelInvalid, match=r"resnet50.*vit_tiny, vit_small"):
        build_backbone(BackboneSpec("resnet50", 8, 48, 2, 3), bands=2, window=32)


@pytest.mark.parametrize("name, width, heads", [("vit_tiny", 192, 3), ("vit_small", 384, 6), ("vit_base", 768, 12)])
@pytest.mark.parametrize("patch", [8, 16])
def test_real_sizes_build_with_timms_parameter_count(name: str, width: int, heads: int, patch: int) -> None:
    with torch.device("meta"):
        backbone = build_backbone(BackboneSpec(name, patch, width, 12, heads), bands=2, window=128)
    block = 12 * width**2 + 13 * width
    tokens = (128 // patch) ** 2
    expected = 12 * block + (2 * patch**2 + 1) * width + tokens * width + width + 2 * width
    assert sum(value.numel() for value in backbone.parameters()) == expected


@pytest.mark.parametrize("side", [16, 32, 48])
def test_dynamic_size_takes_crops_of_other_sizes(side: int) -> None:
    spec = make_spec(head="none", registers=2)
    backbone = build_backbone(spec.backbone, 2, spec.window, dynamic_size=True, drop_path=0.1).train()
    found = walk(backbone, torch.from_numpy(noise(spec, window=side)), (-1,))
    assert found.patch_tokens.shape == (2, (side // 8) ** 2, 48)
    assert found.attention.shape == (2, 1, 3, (side // 8) ** 2)


def test_dynamic_size_changes_nothing_at_the_native_size() -> None:
    fixed = lively_network(make_spec(head="none", registers=2))
    dynamic = build_backbone(fixed.spec.backbone, 2, 32, dynamic_size=True).eval()
    dynamic.load_state_dict(fixed.backbone.state_dict())
    x = torch.from_numpy(noise(fixed.spec))
    with torch.inference_mode():
        one, other = walk(fixed.backbone, x, (0,)), walk(dynamic, x, (0,))
    torch.testing.assert_close(one.patch_tokens, other.patch_tokens)
    torch.testing.assert_close(one.attention, other.attention)

"""The backbone: a timm Vision Transformer, and a walk over its blocks that also yields class-token attention.

timm gives the layers and their names; the walk gives, in one pass, dense tokens and the attention maps of any layer,
without slowing the layers that nobody asked about. Not for heads, files or pixels in dB: see `heads` and `network`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, cast

import torch
import torch.nn.functional as F
from timm.layers import LayerNorm  # type: ignore[attr-defined]
from timm.models.vision_transformer import Attention, Block, VisionTransformer  # type: ignore[attr-defined]
from torch import Tensor

from sardino_core.contract.errors import ModelInvalid
from sardino_core.contract.model_spec import BackboneSpec
from sardino_core.models.outputs import layer_index
from sardino_core.models.rotary import add_rotary_positions

# What the architecture's name fixes; width, depth and heads come from the specification. The DINOv2 variants differ
# from the plain ones in LayerScale alone (Oquab et al. 2023, arXiv 2304.07193); the DINOv3 variants in rotary instead
# of added positions besides, and in the norms' epsilon (Siméoni et al. 2025, arXiv 2508.10104).
_PLAIN: dict[str, Any] = {}
_DINOV2: dict[str, Any] = {"init_values": 1e-5}
_DINOV3: dict[str, Any] = {**_DINOV2, "pos_embed": "none", "norm_layer": partial(LayerNorm, eps=1e-5)}
ARCHITECTURES: dict[str, dict[str, Any]] = {
    "vit_tiny": _PLAIN,
    "vit_small": _PLAIN,
    "vit_base": _PLAIN,
    "vit_large": _PLAIN,
    "vit_tiny_dinov2": _DINOV2,
    "vit_small_dinov2": _DINOV2,
    "vit_base_dinov2": _DINOV2,
    "vit_large_dinov2": _DINOV2,
    "vit_tiny_dinov3": _DINOV3,
    "vit_small_dinov3": _DINOV3,
    "vit_base_dinov3": _DINOV3,
    "vit_large_dinov3": _DINOV3,
}


@dataclass(frozen=True)
class Walk:
    """What one pass through the backbone yields; N patch tokens in row-major order, D the width."""

    patch_tokens: Tensor  # (B, N, D), after the final norm
    class_token: Tensor  # (B, D), after the final norm
    attention: Tensor  # (B, layers asked for, heads, N): class token to patches; sums to at most 1
    scores: Tensor  # the same before the softmax: q k / sqrt(D / heads)
    queries_keys: Tensor | None = None  # (B, layers asked for, 2, heads, prefix + N, D / heads), where asked for


def build_backbone(
    spec: BackboneSpec, bands: int, window: int, dynamic_size: bool = False, drop_path: float = 0.0
) -> VisionTransformer:
    """The ViT of `spec` for `bands` channels and square windows of `window` pixels, freshly initialised.

    Position embeddings belong to the patches alone, (1, N, D): one for the class token would only be added to it, so
    that a checkpoint that has one is carried over by adding it (timm's `no_embed_class`). With `dynamic_size` inputs of
    any multiple of the patch are accepted, and position embeddings are resampled on the way (multi-crop training).
    """
    if spec.architecture not in ARCHITECTURES:
        raise ModelInvalid(
            f"The model's backbone.architecture is {spec.architecture}; allowed: {', '.join(ARCHITECTURES)}."
        )
    backbone = VisionTransformer(
        img_size=window,
        patch_size=spec.patch,
        in_chans=bands,
        embed_dim=spec.width,
        depth=spec.depth,
        num_heads=spec.heads,
        reg_tokens=spec.register_tokens,
        no_embed_class=True,
        num_classes=0,
        dynamic_img_size=dynamic_size,
        drop_path_rate=drop_path,
        **ARCHITECTURES[spec.architecture],
    )
    return add_rotary_positions(backbone) if ARCHITECTURES[spec.architecture] is _DINOV3 else backbone


def walk(backbone: VisionTransformer, x: Tensor, layers: Sequence[int] = (), queries_keys: bool = False) -> Walk:
    """One pass over (B, C, S, S): dense tokens, class token, and the class token's attention in `layers`.

    Layers count from 0, or from the last with negative numbers; the result keeps the order asked for. `queries_keys`:
    also those of every token in these layers, from which any token's attention follows.
    """
    blocks = cast("Sequence[Block]", backbone.blocks)
    wanted = [layer_index(layer, len(blocks)) for layer in layers]
    prefix = backbone.num_prefix_tokens
    x = backbone._pos_embed(backbone.patch_embed(x))  # (B, prefix + N, D)
    scores: dict[int, Tensor] = {}
    pairs: dict[int, Tensor] = {}
    for index, block in enumerate(blocks):
        if index in wanted:
            x, scores[index], queries, keys = _block_with_scores(block, x)
            if queries_keys:
                pairs[index] = torch.stack([queries, keys], dim=1)  # (B, 2, heads, prefix + N, D / heads)
        else:
            x = block(x)
    x = backbone.norm(x)
    if not wanted:
        empty = x.new_zeros(x.shape[0], 0, cast(Attention, blocks[0].attn).num_heads, x.shape[1] - prefix)
        return Walk(x[:, prefix:], x[:, 0], empty, empty)
    found = torch.stack([scores[index] for index in wanted], dim=1)  # (B, layers, heads, prefix + N)
    both = torch.stack([pairs[index] for index in wanted], dim=1) if queries_keys else None
    return Walk(x[:, prefix:], x[:, 0], found.softmax(dim=-1)[..., prefix:], found[..., prefix:], both)


def _block_with_scores(block: Block, x: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """What `block(x)` gives; the class token's scores for all tokens, (B, heads, prefix + N); queries and keys."""
    mixed, scores, queries, keys = _attend(cast(Attention, block.attn), block.norm1(x))
    x = x + block.drop_path1(block.ls1(mixed))
    x = x + block.drop_path2(block.ls2(block.mlp(block.norm2(x))))
    return x, scores, queries, keys


def _attend(attn: Attention, x: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Self-attention through the fused kernel; one row of the scores beside it, from the same q and k."""
    batch, count, width = x.shape
    qkv = attn.qkv(x).reshape(batch, count, 3, attn.num_heads, attn.head_dim).permute(2, 0, 3, 1, 4)
    q, k, v = qkv.unbind(0)  # each (B, heads, prefix + N, width / heads)
    mixed = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(batch, count, width)
    scores = (q[:, :, :1] * attn.scale) @ k.transpose(-2, -1)  # (B, heads, 1, prefix + N)
    return attn.proj(mixed), scores.squeeze(2), q, k

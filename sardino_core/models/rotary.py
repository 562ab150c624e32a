"""Rotary position embedding as DINOv3 has it (Siméoni et al. 2025, arXiv 2508.10104): positions turn queries and keys.

It is placed inside the projection to queries, keys and values, so that whoever uses that projection (timm's attention,
the walk, the export) sees turned queries and keys without knowing of it. No weights of its own. Not for the training
augmentations of DINOv3's coordinates (shift, jitter, rescale).
"""

from __future__ import annotations

import math
from typing import cast

import torch
from timm.models.vision_transformer import Attention, Block, VisionTransformer  # type: ignore[attr-defined]
from torch import Tensor, nn

from sardino_core.contract.errors import ModelInvalid

PERIOD_BASE = 100.0


class RotaryProjection(nn.Linear):
    """The linear map to q, k, v, with q and k of the patch tokens turned by their place in the square grid."""

    def __init__(self, plain: nn.Linear, heads: int, prefix: int) -> None:
        """Takes over the weights of `plain`; the first `prefix` tokens (class, registers) have no place."""
        super().__init__(plain.in_features, plain.out_features, device="meta")
        self.weight, self.bias = plain.weight, plain.bias
        self.heads, self.prefix = heads, prefix

    def forward(self, x: Tensor) -> Tensor:
        """(B, prefix + N, D) to (B, prefix + N, 3 D), in timm's order q, k, v."""
        batch, count, width = self._require_one_grid(x)
        qkv = super().forward(x).reshape(batch, count, 3, self.heads, width // self.heads)
        sin, cos = rotation(math.isqrt(count - self.prefix), width // self.heads, qkv)
        sin, cos = sin[:, None, None], cos[:, None, None]  # (N, 1, 1, D / heads)
        places = qkv[:, self.prefix :, :2]  # (B, N, 2, heads, D / heads)
        first, second = places.chunk(2, dim=-1)
        turned = places * cos + torch.cat((-second, first), dim=-1) * sin
        places = torch.cat((turned.to(qkv.dtype), qkv[:, self.prefix :, 2:]), dim=2)
        return torch.cat((qkv[:, : self.prefix], places), dim=1).flatten(2)

    def _require_one_grid(self, x: Tensor) -> tuple[int, int, int]:
        patches = x.shape[1] - self.prefix if x.ndim == 3 else -1
        if patches < 1 or math.isqrt(patches) ** 2 != patches:
            raise ModelInvalid(
                f"Rotary positions need the tokens of square windows of one size, not a tensor of {tuple(x.shape)}.",
                "Choose a backbone with added positions here, such as vit_small or vit_small_dinov2.",
            )
        return x.shape[0], x.shape[1], x.shape[2]


def rotation(side: int, head_width: int, like: Tensor) -> tuple[Tensor, Tensor]:
    """Sine and cosine of each patch's angles, both (side * side, head_width), row-major, at least float32.

    Coordinates of patch centres run from -1 to 1 whatever the side; one half of the angles belongs to the row, one to
    the column, and both repeat for the two halves that are turned into each other.
    """
    dtype = torch.promote_types(like.dtype, torch.float32)
    centres = (torch.arange(side, device=like.device, dtype=dtype) + 0.5) / side * 2 - 1
    angles = 2 * math.pi * centres[:, None] / periods(head_width).to(like.device, dtype)  # (side, head_width / 4)
    rows = angles[:, None].expand(side, side, -1)
    columns = angles[None, :].expand(side, side, -1)
    half = torch.cat((rows, columns), dim=-1).reshape(side * side, -1)  # (N, head_width / 2)
    both = torch.cat((half, half), dim=-1)
    return both.sin(), both.cos()


def periods(head_width: int) -> Tensor:
    """The wavelengths, (head_width / 4,) float64, in half-sides of the grid: 1 to nearly `PERIOD_BASE`."""
    steps = torch.arange(head_width // 4, dtype=torch.float64, device="cpu")
    powers: Tensor = PERIOD_BASE ** (2 * steps / (head_width // 2))
    return powers


def add_rotary_positions(backbone: VisionTransformer) -> VisionTransformer:
    """Make every block of `backbone` turn its queries and keys; its weights and their names stay the same."""
    for block in cast("list[Block]", backbone.blocks):
        attention = cast(Attention, block.attn)
        attention.qkv = RotaryProjection(attention.qkv, attention.num_heads, backbone.num_prefix_tokens)
    return backbone

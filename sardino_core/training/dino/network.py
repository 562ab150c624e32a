"""Student and teacher: a backbone with its projection heads, and one pass over crops of several sizes.

Linear layers and norms see the tokens of all crops as one long list, attention sees each size by itself (as in DINOv3,
arXiv 2508.10104): small crops then cost what their tokens cost, and no padding or extra package is needed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
import torch.nn.functional as F
from timm.models.vision_transformer import Attention, Block, VisionTransformer  # type: ignore[attr-defined]
from torch import Tensor, nn

from sardino_core.contract.model_spec import ModelSpec
from sardino_core.models.dino_head import DinoHead
from sardino_core.models.network import Network
from sardino_core.models.rotary import RotaryProjection
from sardino_core.training.settings.pretrain_config import HeadConfig


class DinoNetwork(nn.Module):
    """Backbone (`network.backbone.*`), class-token head, and for iBOT a patch head and a mask token."""

    def __init__(self, spec: ModelSpec, head: HeadConfig, masked: bool, drop_path: float = 0.0) -> None:
        """`masked`: with iBOT's head for patch tokens."""
        super().__init__()
        width = spec.backbone.width
        self.network = Network(spec, dynamic_size=True, drop_path=drop_path)
        self.head = DinoHead(width, head.prototypes, head.hidden, head.bottleneck)
        self.patch_head = DinoHead(width, head.prototypes, head.hidden, head.bottleneck) if masked else None
        self.mask_token = nn.Parameter(torch.zeros(width)) if masked else None

    def forward(self, crops: Sequence[Tensor], masks: Sequence[Tensor | None]) -> list[Tensor]:
        """Per size of crop (B, C, S, S) its tokens (B, prefix + N, D), normed; `masks` (B, N) hide patches."""
        return encode(self.network.backbone, crops, masks, self.mask_token)

    def last_layers(self) -> list[nn.Parameter]:
        """The prototypes, which stay as they are during the first steps."""
        heads = [self.head] if self.patch_head is None else [self.head, self.patch_head]
        return [head.prototypes for head in heads]


def student_and_teacher(
    spec: ModelSpec, head: HeadConfig, masked: bool, drop_path: float, seed: int
) -> tuple[DinoNetwork, DinoNetwork]:
    """Both with the same random weights, which depend on the seed alone; only the student has drop path."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        student = DinoNetwork(spec, head, masked, drop_path)
        teacher = DinoNetwork(spec, head, masked)
    teacher.load_state_dict(student.state_dict())
    return student, teacher.requires_grad_(False)


def encode(
    backbone: VisionTransformer,
    crops: Sequence[Tensor],
    masks: Sequence[Tensor | None],
    mask_token: Tensor | None = None,
) -> list[Tensor]:
    """One pass over crops of several sizes, (B, C, S, S) each; returns (B, prefix + N, D) each, as one by one."""
    parts = [_embed(backbone, crop, mask, mask_token) for crop, mask in zip(crops, masks, strict=True)]
    shapes = [(part.shape[0], part.shape[1]) for part in parts]
    x = torch.cat([part.flatten(0, 1) for part in parts])  # (T, D), T the tokens of all crops
    for block in cast("Sequence[Block]", backbone.blocks):
        mixed = _attend(cast(Attention, block.attn), block.norm1(x), shapes)
        x = x + _dropped(block.drop_path1, block.ls1(mixed), shapes)
        x = x + _dropped(block.drop_path2, block.ls2(block.mlp(block.norm2(x))), shapes)
    return _apart(backbone.norm(x), shapes)


def draw_masks(count: int, side: int, chance: float, share: tuple[float, float], generator: torch.Generator) -> Tensor:
    """(count, side * side) bool for iBOT: of the share `chance` of the images a `share` of the patches is hidden.

    Shares are spread evenly over their range rather than drawn, so that the number of masked patches is always the
    same: shapes stay, which compilers and memory allocators like. Hidden are one rectangle and, for three tenths,
    single patches: a hole inside a forest is guessed from its surroundings, a lone patch from its neighbours.
    """
    masks = torch.zeros(count, side, side, dtype=torch.bool)
    chosen = torch.randperm(count, generator=generator)[: round(chance * count)].tolist()
    for rank, index in enumerate(chosen):
        part = share[0] + (rank + 0.5) / len(chosen) * (share[1] - share[0])
        _hide(masks[index], max(1, round(part * side * side)), generator)
    return masks.flatten(1)


def _hide(mask: Tensor, wanted: int, generator: torch.Generator) -> None:
    """Set `wanted` patches of one image's mask (n, n)."""
    side = mask.shape[0]
    shape, top, left = torch.rand(3, generator=generator).tolist()
    area = 0.7 * wanted
    height = min(side, max(1, round(area**0.5 * 2 ** (shape - 0.5))))
    width = min(side, max(1, int(area / height)))
    row, col = int(top * (side - height + 1)), int(left * (side - width + 1))
    mask[row : row + height, col : col + width] = True
    rest = (~mask).flatten().nonzero().flatten()
    missing = wanted - (mask.numel() - len(rest))
    mask.view(-1)[rest[torch.randperm(len(rest), generator=generator)[:missing]]] = True


def _embed(backbone: VisionTransformer, crop: Tensor, mask: Tensor | None, mask_token: Tensor | None) -> Tensor:
    patches = backbone.patch_embed(crop)  # (B, n, n, D), since the size is dynamic
    if mask is not None and mask_token is not None:
        hidden = mask.view(*patches.shape[:3], 1)
        patches = torch.where(hidden, mask_token.to(patches.dtype), patches)
    return backbone._pos_embed(patches)  # (B, prefix + N, D)


def _attend(attn: Attention, x: Tensor, shapes: Sequence[tuple[int, int]]) -> Tensor:
    """Self-attention of (T, D), among the tokens of each crop alone."""
    if isinstance(attn.qkv, RotaryProjection):  # turns queries and keys by their place: needs each size by itself
        projected = [attn.qkv(part) for part in _apart(x, shapes)]
    else:
        projected = _apart(attn.qkv(x), shapes)
    mixed = []
    for part, (batch, count) in zip(projected, shapes, strict=True):
        qkv = part.view(batch, count, 3, attn.num_heads, attn.head_dim).permute(2, 0, 3, 1, 4)
        q, k, v = qkv.unbind(0)
        found = F.scaled_dot_product_attention(q, k, v)  # (B, heads, N, D / heads)
        mixed.append(found.transpose(1, 2).reshape(batch * count, -1))
    return cast(Tensor, attn.proj(torch.cat(mixed)))


def _dropped(drop_path: nn.Module, x: Tensor, shapes: Sequence[tuple[int, int]]) -> Tensor:
    """Drop path for whole crops: the layer draws once per first dimension."""
    if isinstance(drop_path, nn.Identity) or not drop_path.training:
        return x
    return torch.cat([drop_path(part).flatten(0, 1) for part in _apart(x, shapes)])


def _apart(x: Tensor, shapes: Sequence[tuple[int, int]]) -> list[Tensor]:
    """(T, D) to (B, N, D) of each size."""
    parts = torch.split(x, [batch * count for batch, count in shapes])
    return [part.view(batch, count, -1) for part, (batch, count) in zip(parts, shapes, strict=True)]

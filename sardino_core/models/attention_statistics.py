"""How each attention head looks around: how evenly, and how far. Tensors in, tensors out.

Distance is that of Dosovitskiy et al. 2021 (arXiv 2010.11929, appendix D.7): from each patch to the patches that it
attends to. The class token has no place in the window, so that of it only the evenness is told.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import cast

import torch
from timm.models.vision_transformer import Attention, Block, VisionTransformer  # type: ignore[attr-defined]
from torch import Tensor

COLUMNS = ("entropy", "share of prefix tokens", "distance")


def head_statistics(backbone: VisionTransformer, x: Tensor) -> Tensor:
    """Windows (B, C, S, S) to (B, layers, heads, 3).

    Entropy in nats of the class token's attention to the patches, renormalised over them; the share of its attention
    that goes to the prefix tokens instead (itself and the registers); the mean distance, in patches, from a patch to
    the patches that it attends to.
    """
    found: list[Tensor] = []
    with _watching(backbone, found):
        backbone.forward_features(x)
    return torch.stack(found, dim=1)


def entropy(shares: Tensor) -> Tensor:
    """In nats, of distributions along the last dimension; 0 log 0 = 0."""
    found: Tensor = -torch.special.xlogy(shares, shares).sum(dim=-1)
    return found


def mean_distance(attention: Tensor, side: int) -> Tensor:
    """Of attention (..., N, N) from each of side x side patches to each, rows summing to 1: (...) in patches."""
    return (attention * distances(side).to(attention)).sum(dim=-1).mean(dim=-1)


def distances(side: int) -> Tensor:
    """(N, N): between the centres of side x side patches in row-major order."""
    place = torch.cartesian_prod(torch.arange(side), torch.arange(side)).double()  # (N, 2)
    return torch.cdist(place, place)


@contextmanager
def _watching(backbone: VisionTransformer, found: list[Tensor]) -> Iterator[None]:
    """While it lasts, each layer's projection to q, k, v appends that layer's statistics (B, heads, 3)."""

    def look(module: Attention, qkv: Tensor) -> None:
        batch, count, _ = qkv.shape
        q, k, _ = qkv.reshape(batch, count, 3, module.num_heads, module.head_dim).permute(2, 0, 3, 1, 4).unbind(0)
        found.append(_statistics(((q * module.scale) @ k.transpose(-2, -1)).softmax(dim=-1), prefix))

    prefix = backbone.num_prefix_tokens
    attentions = [cast(Attention, block.attn) for block in cast("Sequence[Block]", backbone.blocks)]
    hooks = [attn.qkv.register_forward_hook(lambda _, __, qkv, attn=attn: look(attn, qkv)) for attn in attentions]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def _statistics(attention: Tensor, prefix: int) -> Tensor:
    """From a layer's whole attention (B, heads, prefix + N, prefix + N)."""
    of_class = attention[:, :, 0, prefix:]
    taken = of_class.sum(dim=-1, keepdim=True)
    among = attention[:, :, prefix:, prefix:]
    among = among / among.sum(dim=-1, keepdim=True).clamp(min=torch.finfo(among.dtype).tiny)
    shares = of_class / taken.clamp(min=torch.finfo(taken.dtype).tiny)
    side = round(among.shape[-1] ** 0.5)
    return torch.stack([entropy(shares), 1 - taken.squeeze(-1), mean_distance(among, side)], dim=-1)

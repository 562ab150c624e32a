"""The projection head of DINO: from a token to its similarity with each of K prototypes. Dropped after pre-training."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class DinoHead(nn.Module):
    """Three-layer MLP, L2 norm, cosine with K prototypes (Caron et al. 2021, arXiv 2104.14294, section 3.1).

    The last layer is weight-normalised with its gain fixed at 1, which is the same as unit prototypes: the parameter
    holds directions alone. No batch norm. The official hidden width of 2048 fits a ViT-S; small data and small
    backbones want a small head.
    """

    def __init__(self, width: int, prototypes: int, hidden: int = 2048, bottleneck: int = 256) -> None:
        """`width`: of the backbone's tokens."""
        super().__init__()
        self.mlp = nn.Sequential(
            nn.Linear(width, hidden), nn.GELU(), nn.Linear(hidden, hidden), nn.GELU(), nn.Linear(hidden, bottleneck)
        )
        self.prototypes = nn.Parameter(torch.empty(prototypes, bottleneck))
        for layer in self.mlp:
            if isinstance(layer, nn.Linear):
                nn.init.trunc_normal_(layer.weight, std=0.02)
                nn.init.zeros_(layer.bias)
        nn.init.trunc_normal_(self.prototypes, std=0.02)

    def forward(self, tokens: Tensor) -> Tensor:
        """Tokens (..., D) to cosines (..., K) in -1..1."""
        directions = F.normalize(self.mlp(tokens), dim=-1, eps=1e-6)  # (..., bottleneck)
        return directions @ F.normalize(self.prototypes, dim=-1, eps=1e-6).T

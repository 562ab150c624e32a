"""Segmentation heads: from patch tokens, and the window itself, to one logit per class and pixel.

Neither head normalises over the window or the batch, so that a pixel's logits depend on its surroundings alone.
"""

from __future__ import annotations

from typing import Protocol

import torch.nn.functional as F
from torch import Tensor, nn

from sardino_core.contract.errors import ModelInvalid
from sardino_core.contract.model_spec import ModelSpec

STEM, HALF, QUARTER = 16, 32, 48  # channels of the pyramid at strides 1, 2 and 4
FUSED = 64  # channels where tokens and pyramid meet


class Head(Protocol):
    """Called with the window (B, C, S, S) and its patch tokens (B, N, D); returns logits (B, K, S, S)."""

    def __call__(self, window: Tensor, tokens: Tensor) -> Tensor:
        """Logits (B, K, S, S)."""


class LinearHead(nn.Module):
    """One linear map per token, bilinear to full resolution: what the tokens alone can tell. 80-160 m detail."""

    def __init__(self, width: int, classes: int) -> None:
        super().__init__()
        self.classify = nn.Conv2d(width, classes, 1)

    def forward(self, window: Tensor, tokens: Tensor) -> Tensor:
        """Logits (B, K, S, S)."""
        logits = self.classify(token_grid(tokens))  # (B, K, n, n)
        return _resize(logits, window.shape[-1])  # (B, K, S, S)


class DecoderHead(nn.Module):
    """Tokens say what, a light convolutional pyramid of the window says where: detail of single pixels.

    The pyramid sees the window at strides 1, 2 and 4; tokens join at stride 4, and the way back up adds the pyramid's
    levels, as feature pyramids do (Lin et al. 2017, arXiv 1612.03144). ReLU, since it fuses into the convolutions at
    inference. About 12 % of the multiply-adds of a ViT-Tiny/8 on the same window.
    """

    def __init__(self, bands: int, width: int, classes: int) -> None:
        super().__init__()
        self.stem = nn.Sequential(_conv(bands, STEM), nn.ReLU(), _conv(STEM, STEM), nn.ReLU())
        self.to_half = nn.Sequential(_conv(STEM, HALF, stride=2), nn.ReLU())
        self.to_quarter = nn.Sequential(_conv(HALF, QUARTER, stride=2), nn.ReLU())
        self.from_tokens = nn.Conv2d(width, FUSED, 1)
        self.from_quarter = nn.Conv2d(QUARTER, FUSED, 1)
        self.fuse = nn.Sequential(nn.ReLU(), _conv(FUSED, FUSED), nn.ReLU())
        self.up_half = nn.Conv2d(FUSED, HALF, 1)
        self.refine_half = nn.Sequential(nn.ReLU(), _conv(HALF, HALF), nn.ReLU())
        self.up_full = nn.Conv2d(HALF, STEM, 1)
        self.refine_full = nn.Sequential(nn.ReLU(), _conv(STEM, STEM), nn.ReLU())
        self.classify = nn.Conv2d(STEM, classes, 1)
        _initialise(self)

    def forward(self, window: Tensor, tokens: Tensor) -> Tensor:
        """Logits (B, K, S, S)."""
        full = self.stem(window)  # (B, 16, S, S)
        half = self.to_half(full)  # (B, 32, S/2, S/2)
        quarter = self.to_quarter(half)  # (B, 48, S/4, S/4)
        coarse = _resize(self.from_tokens(token_grid(tokens)), quarter.shape[-1])  # (B, 64, S/4, S/4)
        x = self.fuse(coarse + self.from_quarter(quarter))
        x = self.refine_half(_resize(self.up_half(x), half.shape[-1]) + half)  # (B, 32, S/2, S/2)
        x = self.refine_full(_resize(self.up_full(x), full.shape[-1]) + full)  # (B, 16, S, S)
        logits: Tensor = self.classify(x)  # (B, K, S, S)
        return logits


def build_head(spec: ModelSpec) -> LinearHead | DecoderHead | None:
    """The head that `spec` names, freshly initialised; None for a pretrained backbone."""
    if spec.head == "none":
        return None
    width, classes = spec.backbone.width, len(spec.classes)
    if spec.head == "linear":
        return LinearHead(width, classes)
    if spec.window % 4:
        raise ModelInvalid(f"The model's window is {spec.window}; allowed with the decoder head: a multiple of 4.")
    return DecoderHead(len(spec.inputs.bands), width, classes)


def token_grid(tokens: Tensor) -> Tensor:
    """(B, N, D) in row-major order to the square map (B, D, n, n)."""
    batch, count, width = tokens.shape
    side = round(count**0.5)
    return tokens.transpose(1, 2).reshape(batch, width, side, side)


def _conv(inputs: int, outputs: int, stride: int = 1) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, 3, stride=stride, padding=1)


def _resize(x: Tensor, side: int) -> Tensor:
    return F.interpolate(x, size=(side, side), mode="bilinear", align_corners=False)


def _initialise(head: DecoderHead) -> None:
    """He et al. 2015 (arXiv 1502.01852) for what a ReLU follows; near-zero logits to start with."""
    for module in head.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
            if module.bias is not None:
                nn.init.zeros_(module.bias)
    nn.init.normal_(head.classify.weight, std=0.01)

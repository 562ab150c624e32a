"""A plain U-Net (Ronneberger et al. 2015, arXiv 1505.04597): what a convolutional network makes of the same labels.

Without normalisation, as the original: over a window it would take away how bright the window is, which tells water
from land; over a batch it needs larger ones. Not for model files: it lives inside a cell of the study.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sardino_core.contract.errors import SettingInvalid


class UNet(nn.Module):
    """Windows (B, bands, S, S) in standardised dB to logits (B, classes, S, S); S a multiple of 2^(levels - 1)."""

    def __init__(self, bands: int, classes: int, width: int = 16, levels: int = 4) -> None:
        """`width`: channels at full resolution, doubled at each of the other `levels`."""
        super().__init__()
        if width < 1 or levels < 2:
            raise SettingInvalid(
                f"The U-Net has width {width} and {levels} levels; allowed are 1 and more, and 2 and more."
            )
        widths = [width * 2**level for level in range(levels)]
        self.down = nn.ModuleList(_double(first, then) for first, then in zip([bands, *widths], widths, strict=False))
        self.up = nn.ModuleList(
            _double(fine + coarse, fine) for fine, coarse in zip(widths[-2::-1], widths[:0:-1], strict=True)
        )
        self.classify = nn.Conv2d(width, classes, 1)
        _initialise(self)

    def forward(self, x: Tensor) -> Tensor:
        """Logits (B, K, S, S)."""
        levels: list[Tensor] = []
        for index, block in enumerate(self.down):
            x = block(F.max_pool2d(x, 2) if index else x)
            levels.append(x)
        for block, fine in zip(self.up, levels[-2::-1], strict=True):
            x = F.interpolate(x, scale_factor=2.0, mode="bilinear", align_corners=False)
            x = block(torch.cat([fine, x], dim=1))
        logits: Tensor = self.classify(x)
        return logits


def _double(inputs: int, outputs: int) -> nn.Sequential:
    """Two 3 x 3 convolutions."""
    layers = [nn.Conv2d(first, outputs, 3, padding=1) for first in (inputs, outputs)]
    return nn.Sequential(layers[0], nn.ReLU(inplace=True), layers[1], nn.ReLU(inplace=True))


def _initialise(network: UNet) -> None:
    """He et al. 2015 (arXiv 1502.01852) for what a ReLU follows; near-zero logits to start with."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
            nn.init.zeros_(module.bias)  # type: ignore[arg-type]
    nn.init.normal_(network.classify.weight, std=0.01)

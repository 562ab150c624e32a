"""Networks for the tests of this folder. Imports torch."""

from __future__ import annotations

import numpy as np
import torch

from sardino_core.contract.model_spec import ModelSpec
from sardino_core.models.network import Network, random_network


def lively_network(spec: ModelSpec, seed: int = 0) -> Network:
    """A network whose attention is far from uniform and whose logits differ, unlike a freshly initialised one's.

    Scores of attention have a standard deviation of about 3, as in trained networks: sharp, and not a lottery.
    """
    network = random_network(spec, seed).eval()
    generator = torch.Generator().manual_seed(seed + 1)
    with torch.no_grad():
        for name, value in network.named_parameters():
            if name.endswith(("qkv.weight", "cls_token", "reg_token", "pos_embed")):
                value.add_(torch.randn(value.shape, generator=generator) * (3 / spec.backbone.width) ** 0.5)
            if name.endswith((".gamma", "classify.weight")):
                value.copy_(torch.randn(value.shape, generator=generator) * 0.5)
    return network


def noise(spec: ModelSpec, batch: int = 2, seed: int = 0, window: int = 0) -> np.ndarray:
    side = window or spec.window
    shape = (batch, len(spec.inputs.bands), side, side)
    return np.random.default_rng(seed).standard_normal(shape, dtype=np.float32)

"""What a backbone shows of windows, all layers and heads at once: arrays in, arrays out. Imports torch."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sardino_core.contract.jobs import Device
from sardino_core.models import outputs
from sardino_core.models.attention_statistics import COLUMNS, head_statistics
from sardino_core.models.network import Network
from sardino_core.models.predictor_torch import choose_device, empty_cache
from sardino_core.models.shrinking_batches import ShrinkingBatches

Array = NDArray[np.float32]
_ENTRIES_PER_CALL = 1 << 21  # entries of one layer's whole attention, over windows and heads, for the statistics


@dataclass(frozen=True)
class Inspection:
    """Of B windows; L layers, H heads, N patches in row-major order, D the width."""

    attention: Array  # (B, L, H, N) class token to patches, renormalised over them; uniform = 1
    scores: Array  # (B, L, H, N) the same before the softmax, less their mean over the window
    tokens: Array  # (B, N, D) after the final norm


class Inspector:
    """Runs one backbone. For one thread."""

    def __init__(self, network: Network, device: Device = "auto") -> None:
        """Raises DependencyMissing when the device is not there."""
        self._device = choose_device(device)
        self._network = network.eval().requires_grad_(False).to(self._device)
        self.spec = network.spec
        self._batches = ShrinkingBatches(empty_cache)

    def look(self, windows: Array) -> Inspection:
        """At (B, C, S, S) standardised dB. Raises OutOfMemory, and ModelInvalid for a network that overflows."""
        backbone = self.spec.backbone
        shape = backbone.depth, backbone.heads, self.spec.tokens_per_side**2
        cut = int(np.prod(shape))
        flat = self._run(windows, self._everything)  # (B, 2 L H N + N D)
        outputs.require_finite(flat)
        attention = flat[:, :cut].reshape(-1, *shape[1:])  # (B L, H, N)
        maps = outputs.attention_maps(attention, self.spec.tokens_per_side)
        scores = flat[:, cut : 2 * cut].reshape(len(windows), *shape)
        return Inspection(
            maps.reshape(len(windows), *shape),
            scores - scores.mean(axis=-1, keepdims=True),
            flat[:, 2 * cut :].reshape(len(windows), shape[-1], backbone.width),
        )

    def statistics(self, windows: Array) -> dict[str, NDArray[np.float64]]:
        """Of each layer and head (L, H), the mean over the windows, by the names in `COLUMNS`; distance in patches."""
        count = self.spec.tokens_per_side**2
        step = max(1, _ENTRIES_PER_CALL // (self.spec.backbone.heads * count**2))
        parts = [
            self._run(windows[start : start + step], lambda x: head_statistics(self._network.backbone, x))
            for start in range(0, len(windows), step)
        ]
        mean = np.concatenate(parts).mean(axis=0, dtype=np.float64)
        return {name: mean[..., index] for index, name in enumerate(COLUMNS)}

    def suggest_batch(self) -> int:
        """Windows per call."""
        return outputs.batch_on_cpu(self.spec) if self._device.type == "cpu" else 64

    def _everything(self, x: Tensor) -> Tensor:
        found = self._network.features(x, range(self.spec.backbone.depth))
        return torch.cat([part.flatten(1) for part in (found.attention, found.scores, found.tokens)], dim=1)

    def _run(self, windows: Array, compute) -> Array:  # type: ignore[no-untyped-def]
        def once(part: Array) -> Array:
            with torch.inference_mode():
                found: Array = compute(torch.from_numpy(part).to(self._device)).float().cpu().numpy()
            return found

        return self._batches.run(np.ascontiguousarray(windows, np.float32), once)

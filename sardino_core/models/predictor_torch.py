"""The predictor on torch: GPUs in bf16, Apple GPUs and CPUs in fp32. Imports torch."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import cast

import numpy as np
import torch
from torch import Tensor

from sardino_core.contract.errors import DependencyMissing
from sardino_core.contract.jobs import Device, Precision
from sardino_core.contract.model_spec import ModelSpec
from sardino_core.models import outputs
from sardino_core.models.devices import gpu_is_likely
from sardino_core.models.model_file import load_weights
from sardino_core.models.network import build
from sardino_core.models.shrinking_batches import ShrinkingBatches

_log = logging.getLogger(__name__)


class TorchPredictor:
    """See `predictor.Predictor`. For one thread at a time."""

    def __init__(self, model: Path, spec: ModelSpec, device: torch.device, precision: Precision = "auto") -> None:
        """Raises ModelInvalid when the weights are not those that the specification calls for."""
        self.spec = spec
        self._device = device
        self._bf16 = precision == "bf16" or (precision == "auto" and _bf16_pays(device))
        self._network = build(spec, load_weights(model)).eval().requires_grad_(False).to(device)
        self._batches = ShrinkingBatches(empty_cache)
        number = "bf16" if self._bf16 else "fp32"
        self.description = f"torch {torch.__version__.split('+')[0]}, {_device_name(device)}, {number}"

    def segment(self, windows: np.ndarray) -> np.ndarray:
        """Probabilities (B, K, S, S)."""
        outputs.require_head(self.spec)
        temperature = self.spec.calibration.temperature
        found = self._run(windows, lambda x: (self._network(x).float() / temperature).softmax(dim=1))
        outputs.require_finite(found)
        return found

    def attention(self, windows: np.ndarray, layer: int) -> np.ndarray:
        """Attention maps (B, heads, n, n), uniform = 1."""
        index = outputs.layer_index(layer, self.spec.backbone.depth)
        found = self._run(windows, lambda x: self._network.features(x, (index,)).attention[:, 0])
        return outputs.attention_maps(found, self.spec.tokens_per_side)

    def tokens(self, windows: np.ndarray) -> np.ndarray:
        """Patch tokens (B, n, n, D)."""
        found = self._run(windows, lambda x: self._network.features(x, ()).tokens)
        return outputs.token_maps(found, self.spec.tokens_per_side)

    def queries_keys(self, windows: np.ndarray) -> np.ndarray:
        """Queries and keys (B, layers, 2, heads, T, D / heads)."""
        layers = range(self.spec.backbone.depth)
        return self._run(windows, lambda x: cast(Tensor, self._network.features(x, layers, True).queries_keys))

    def suggest_batch(self) -> int:
        """Windows per call: on a GPU by work and free memory."""
        if self._device.type == "cpu":
            return outputs.batch_on_cpu(self.spec)
        batch = outputs.batch_on_gpu(self.spec)
        if self._device.type == "cuda":
            free_bytes, _ = torch.cuda.mem_get_info(self._device)
            batch = min(batch, int(0.5 * free_bytes) // _window_bytes(self.spec))
        return max(1, batch)

    def _run(self, windows: np.ndarray, compute: Callable[[Tensor], Tensor]) -> np.ndarray:
        def once(part: np.ndarray) -> np.ndarray:
            x = torch.from_numpy(np.ascontiguousarray(part, dtype=np.float32)).to(self._device)
            with torch.inference_mode(), torch.autocast(self._device.type, torch.bfloat16, enabled=self._bf16):
                found = compute(x)
            array: np.ndarray = found.float().cpu().numpy()
            return array

        return self._batches.run(windows, once)


def choose_device(asked: Device) -> torch.device:
    """The device to compute on. Raises DependencyMissing when the one asked for is not there; auto falls back aloud."""
    found = find_gpu(asked)
    if found is not None:
        return found
    if asked == "cuda":
        raise DependencyMissing(
            f"torch {torch.__version__} finds no CUDA device.", "See `sardino check` for why, or use --device cpu."
        )
    if asked == "mps":
        raise DependencyMissing(f"torch {torch.__version__} finds no Apple GPU.", "Use --device cpu.")
    if asked == "auto" and gpu_is_likely():
        _log.warning(
            "An NVIDIA driver is there, but torch %s cannot use it; running on the CPU. `sardino check` says more.",
            torch.__version__,
        )
    return torch.device("cpu")


def find_gpu(asked: Device) -> torch.device | None:
    """The GPU that torch has for what was asked; None where it has none, and for `cpu`. auto means NVIDIA's."""
    if asked in ("auto", "cuda") and torch.cuda.is_available():
        return torch.device("cuda")
    if asked == "mps" and torch.backends.mps.is_available():
        return torch.device("mps")
    return None


def _bf16_pays(device: torch.device) -> bool:
    """On NVIDIA GPUs with bf16 units (Ampere and later). A CPU is several times slower in bf16."""
    return device.type == "cuda" and torch.cuda.get_device_capability(device) >= (8, 0)


def _device_name(device: torch.device) -> str:
    return f"cuda ({torch.cuda.get_device_name(device)})" if device.type == "cuda" else device.type


def empty_cache() -> None:
    """Give back what torch keeps of a GPU's memory for later."""
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def _window_bytes(spec: ModelSpec) -> int:
    """A generous estimate of what one window takes at the peak: a block's activations, and the head's at full size."""
    tokens = spec.tokens_per_side**2 + spec.backbone.register_tokens + 1
    block = 20 * tokens * spec.backbone.width
    head = spec.window**2 * (80 + 4 * len(spec.classes))
    return 4 * (block + head)

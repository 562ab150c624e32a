"""The numpy boundary: windows in, probabilities, attention or tokens out, whoever computes them.

`load_predictor` chooses between torch (GPUs, training machines) and ONNX Runtime (no torch needed; starts in half a
second and is the faster one on a CPU). Nothing heavy is imported here.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Protocol

import numpy as np

from sardino_core.contract.errors import DependencyMissing
from sardino_core.contract.jobs import Device, Precision
from sardino_core.contract.model_spec import ModelSpec
from sardino_core.models.devices import gpu_is_likely, has_torch
from sardino_core.models.export_file import problem_with_export
from sardino_core.models.model_file import read_spec, resolve_model

_log = logging.getLogger(__name__)
_INSTALL_TORCH = "Install the extra `sardino[torch]`."


class Predictor(Protocol):
    """A loaded model. Windows are (B, C, S, S) float32 in standardised dB; n = S / patch tokens per side, row-major."""

    @property
    def spec(self) -> ModelSpec:
        """What the model file says."""

    @property
    def description(self) -> str:
        """Who computes, where and how precisely: `ONNX Runtime 1.32, CPU, fp32`."""

    def segment(self, windows: np.ndarray) -> np.ndarray:
        """Probabilities (B, K, S, S) float32, softmax(logits / temperature), in the order of `spec.classes`."""

    def attention(self, windows: np.ndarray, layer: int) -> np.ndarray:
        """Class token's attention to the patches, (B, heads, n, n) float32; uniform attention = 1, mean 1."""

    def tokens(self, windows: np.ndarray) -> np.ndarray:
        """Patch tokens after the final norm, (B, n, n, D) float32."""

    def queries_keys(self, windows: np.ndarray) -> np.ndarray:
        """Of every token in every layer, (B, layers, 2, heads, T, D / heads) float32; T = 1 + registers + n * n."""

    def suggest_batch(self) -> int:
        """Windows per call that keep the device busy within its memory."""


def load_predictor(model: str | Path, device: Device = "auto", precision: Precision = "auto") -> Predictor:
    """Load `model` (a path, or `starter`) for `device`.

    auto: torch where an NVIDIA GPU is likely, else ONNX Runtime where the export is there and fresh, else torch.
    Raises ModelInvalid or DependencyMissing with the way out.
    """
    path = resolve_model(model)
    spec = read_spec(path)
    if device in ("cuda", "mps") or precision == "bf16" or (device == "auto" and gpu_is_likely() and has_torch()):
        if not has_torch():
            raise DependencyMissing(f"device {device} with precision {precision} needs torch.", _INSTALL_TORCH)
        from sardino_core.models.predictor_torch import TorchPredictor, choose_device

        chosen = choose_device(device)
        if chosen.type != "cpu" or precision == "bf16":
            return TorchPredictor(path, spec, chosen, precision)
    if device == "auto" and gpu_is_likely() and not has_torch():
        _log.warning("An NVIDIA GPU is there, but torch is not installed; running on the CPU. %s", _INSTALL_TORCH)
    return _load_on_cpu(path, spec)


def _load_on_cpu(path: Path, spec: ModelSpec) -> Predictor:
    problem = problem_with_export(path)
    if problem is None:
        from sardino_core.models.predictor_onnx import OnnxPredictor

        return OnnxPredictor(path, spec)
    if has_torch():
        from sardino_core.models.predictor_torch import TorchPredictor, choose_device

        return TorchPredictor(path, spec, choose_device("cpu"), "fp32")
    raise DependencyMissing(
        f"{path.name} cannot run without torch: {problem}.",
        f"Put the {path.stem}.onnx that was made with it beside it, or install the extra `sardino[torch]`.",
    )

"""The numpy boundary: windows in, probabilities, attention or tokens out, whoever computes them.

`load_predictor` chooses between torch (GPUs, in bf16) and ONNX Runtime (no torch needed; starts in half a second, is
the faster one on a CPU, and has providers for GPUs, too). Nothing heavy is imported here.
"""

from __future__ import annotations

import logging
from functools import lru_cache
from pathlib import Path
from typing import Protocol

import numpy as np

from sardino_core.contract.errors import DependencyMissing
from sardino_core.contract.jobs import Device, Precision
from sardino_core.contract.model_spec import ModelSpec
from sardino_core.models.devices import gpu_is_likely, has_torch, torch_version
from sardino_core.models.export_cache import ExportMissing
from sardino_core.models.model_file import file_identity, read_spec, resolve_model
from sardino_core.models.providers import device_missing, gpu_providers

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

    A GPU is torch's where torch finds it (it has bf16), else that of an ONNX Runtime with a provider for it. The CPU is
    ONNX Runtime's, which is much the faster one there. auto: the first GPU that works, else the CPU, aloud where a GPU
    seems to be there. Raises ModelInvalid or DependencyMissing with the way out.
    """
    path = resolve_model(model)
    spec = read_spec(path)
    if precision == "bf16":
        return _on_torch_alone(path, spec, device, precision)
    found = None if device == "cpu" else _on_gpu(path, spec, device, precision)
    return found or _on_cpu(path, spec)


def _on_torch_alone(path: Path, spec: ModelSpec, device: Device, precision: Precision) -> Predictor:
    if not has_torch():
        raise DependencyMissing(f"device {device} with precision {precision} needs torch.", _INSTALL_TORCH)
    from sardino_core.models.predictor_torch import TorchPredictor, choose_device

    return TorchPredictor(path, spec, choose_device(device), precision)


def _on_gpu(path: Path, spec: ModelSpec, device: Device, precision: Precision) -> Predictor | None:
    """None where `auto` finds no GPU. Raises DependencyMissing for one that was asked for and is not there."""
    if has_torch() and (device != "auto" or gpu_is_likely()):
        from sardino_core.models.predictor_torch import TorchPredictor, find_gpu

        gpu = find_gpu(device)
        if gpu is not None:
            return TorchPredictor(path, spec, gpu, precision)
    from sardino_core.models.predictor_onnx import OnnxPredictor, ProviderUnusable, available_providers

    available = available_providers()
    usable = gpu_providers(device, available)
    for provider in usable:
        try:
            return OnnxPredictor(path, spec, provider)
        except ProviderUnusable as error:
            if device != "auto":
                raise
            _log.warning("%s Going on without it.", error.message)
    if device != "auto":
        raise device_missing(device, available, torch_version())
    if gpu_is_likely() and not usable:
        _log.warning("An NVIDIA driver is there. %s", device_missing("cuda", available, torch_version()))
    return None


def _on_cpu(path: Path, spec: ModelSpec) -> Predictor:
    try:
        return _kept(path, file_identity(path))
    except ExportMissing as error:
        if not has_torch():
            raise
        _log.warning("%s It runs with torch, which is slower here.", error.message)
    from sardino_core.models.predictor_torch import TorchPredictor, choose_device

    return TorchPredictor(path, spec, choose_device("cpu"), "fp32")


@lru_cache(maxsize=1)
def _kept(path: Path, identity: tuple[int, int, int]) -> Predictor:
    """The last model on the CPU stays loaded, so that a warm worker's next job need not wait; on a GPU none does."""
    from sardino_core.models.predictor_onnx import OnnxPredictor

    return OnnxPredictor(path, read_spec(path))

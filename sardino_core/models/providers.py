"""Which of ONNX Runtime's execution providers serve a device: names in, names out. Imports nothing heavy.

DirectML (Windows, every maker's GPU) has no device word of its own: `auto` takes it where the installed ONNX Runtime is
the one with DirectML, which nobody has by chance.
"""

from __future__ import annotations

from collections.abc import Sequence

from sardino_core.contract.errors import DependencyMissing
from sardino_core.contract.jobs import Device

CPU = "CPUExecutionProvider"
CUDA, DIRECTML, COREML = "CUDAExecutionProvider", "DmlExecutionProvider", "CoreMLExecutionProvider"
OPTIONS: dict[str, dict[str, str]] = {  # full float32 on all of them, as the result's description says
    CUDA: {"use_tf32": "0"},
    DIRECTML: {},
    COREML: {"ModelFormat": "MLProgram", "MLComputeUnits": "CPUAndGPU"},
}
_SERVE: dict[Device, tuple[str, ...]] = {"auto": (CUDA, DIRECTML, COREML), "cpu": (), "cuda": (CUDA,), "mps": (COREML,)}
_NAMES = {DIRECTML: "DirectML"}
_REMOTE = "AzureExecutionProvider"  # in every build: a service, no device
_REMEDIES: dict[Device, str] = {
    "cuda": 'Install "onnxruntime-gpu[cuda,cudnn]" in the place of onnxruntime, or the extra `sardino[torch]`; '
    "`sardino check` says what is there; or use --device cpu.",
    "mps": "Apple's GPUs need macOS, with its onnxruntime or the extra `sardino[torch]`; or use --device cpu.",
}


def gpu_providers(device: Device, available: Sequence[str]) -> list[str]:
    """The providers among `available` that `device` may run on, best first; none for `cpu`."""
    return [name for name in _SERVE[device] if name in available]


def short_name(provider: str) -> str:
    """For a person: `CPU`, `CUDA`, `DirectML`, `CoreML`."""
    return _NAMES.get(provider, provider.removesuffix("ExecutionProvider"))


def names(available: Sequence[str]) -> str:
    """For a person, without what is no device of this machine: `CUDA, CPU`."""
    return ", ".join(short_name(name) for name in available if name != _REMOTE)


def device_missing(device: Device, available: Sequence[str], torch_version: str | None) -> DependencyMissing:
    """The error for a GPU that neither torch (None: not installed) nor ONNX Runtime has."""
    torch = "torch is not installed" if torch_version is None else f"torch {torch_version} finds none"
    return DependencyMissing(
        f"There is no device {device}: {torch}, and ONNX Runtime has {names(available)} alone.", _REMEDIES[device]
    )

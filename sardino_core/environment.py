"""What this machine and this Python environment can do, and the remedy for what they cannot."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import platform
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from sardino_core.contract.errors import DependencyMissing
from sardino_core.contract.findings import Finding
from sardino_core.models.devices import gpu_is_likely
from sardino_core.models.providers import gpu_providers, names

_EXPLORING = ("sklearn", "skops")
_TRAINING = ("timm", "torchvision", "onnx", "onnxscript", "yaml", "tensorboard")
_GPU = 'for the NVIDIA GPU without torch: pip install "onnxruntime-gpu[cuda,cudnn]" in the place of onnxruntime'
_EXPLORE = "for classes from few examples: pip install 'sardino[explore]'; in QGIS, the explore environment"
_FULL = "for training and GPUs: pip install 'sardino[torch]'; in QGIS, the full environment"


def findings() -> list[Finding]:
    """Look at Python, packages, devices, memory and the starter model. Never raises for something that is missing."""
    return [
        _python(),
        *(
            _package(name, f"pip install {name}; in QGIS, repair the environment")
            for name in ("numpy", "rasterio", "safetensors", "onnxruntime")
        ),
        _gdal(),
        _providers(),
        _exploring(),
        _torch(),
        _training(),
        _memory(),
        _disk(),
        _starter(),
    ]


def require_packages(command: str, extra: str, packages: Sequence[str]) -> None:
    """Raises DependencyMissing, naming the extra that holds the missing package; imports nothing."""
    missing = _missing(packages)
    if missing:
        raise DependencyMissing(
            f"`sardino {command}` needs {' and '.join(missing)}, not in this Python environment.",
            f"Install the extra `sardino[{extra}]`.",
        )


def _python() -> Finding:
    ok = sys.version_info >= (3, 11)
    return Finding("Python", ok, platform.python_version(), "" if ok else "install Python 3.11 or newer")


def _package(name: str, fix: str) -> Finding:
    try:
        return Finding(name, True, importlib.metadata.version(name))
    except importlib.metadata.PackageNotFoundError:
        return Finding(name, False, "not installed", fix)


def _gdal() -> Finding:
    try:
        import rasterio

        return Finding("GDAL", True, rasterio.__gdal_version__)
    except ImportError as error:
        return Finding("GDAL", False, f"rasterio does not import ({error})", "pip install --force-reinstall rasterio")


def _providers() -> Finding:
    try:
        import onnxruntime

        available = onnxruntime.get_available_providers()
        idle = gpu_is_likely() and not gpu_providers("auto", available)
        return Finding("ONNX Runtime devices", True, names(available), _GPU if idle else "")
    except ImportError as error:
        return Finding("ONNX Runtime devices", False, f"does not import ({error})", "pip install onnxruntime")


def _torch() -> Finding:
    try:
        import torch
    except ImportError as error:
        return Finding("torch", True, f"not available ({error}); maps are made by ONNX Runtime",
                       _FULL)  # fmt: skip
    if torch.cuda.is_available():
        free, total = torch.cuda.mem_get_info()
        device = f"{torch.cuda.get_device_name()}, {free / 2**30:.1f} of {total / 2**30:.1f} GB free"
        return Finding("torch", True, f"{torch.__version__}, CUDA: {device}")
    if torch.backends.mps.is_available():
        return Finding("torch", True, f"{torch.__version__}, Apple GPU (mps)")
    fix = "install the NVIDIA driver" if not shutil.which("nvidia-smi") else "install a torch build with CUDA"
    return Finding("torch", True, f"{torch.__version__}, CPU only", f"{fix} if this machine has an NVIDIA GPU")


def _exploring() -> Finding:
    missing = _missing(_EXPLORING)
    if missing:
        return Finding("exploring", True, f"not available ({', '.join(missing)} not installed)", _EXPLORE)
    return Finding("exploring", True, f"scikit-learn {importlib.metadata.version('scikit-learn')}, skops")


def _training() -> Finding:
    missing = _missing(_TRAINING)
    if missing:
        return Finding("training", True, f"not available ({', '.join(missing)} not installed)", _FULL)
    return Finding("training", True, f"timm {importlib.metadata.version('timm')}, {', '.join(_TRAINING[1:])}")


def _missing(modules: Sequence[str]) -> list[str]:
    return [name for name in modules if importlib.util.find_spec(name) is None]


def _memory() -> Finding:
    cores = os.cpu_count() or 1
    try:
        total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    except (ValueError, OSError, AttributeError):  # Windows has no sysconf
        return Finding("processor", True, f"{cores} cores, {platform.machine()}")
    enough = total >= 4
    return Finding("processor", enough, f"{cores} cores, {total:.0f} GB memory", "" if enough else "4 GB are needed")


def _disk() -> Finding:
    free = shutil.disk_usage(Path.cwd()).free / 2**30
    return Finding("disk", free > 1, f"{free:.0f} GB free here", "" if free > 1 else "free some space for outputs")


def _starter() -> Finding:
    try:
        from sardino_core.models.model_file import read_spec, resolve_model

        return Finding("starter model", True, read_spec(resolve_model("starter")).name)
    except Exception as error:
        return Finding("starter model", False, getattr(error, "message", str(error)), "reinstall sardino")

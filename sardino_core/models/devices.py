"""What this machine seems to offer, without importing torch to find out."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import sys
from pathlib import Path


def has_torch() -> bool:
    """Whether the extra with torch is installed; looks, and imports nothing."""
    return all(importlib.util.find_spec(name) is not None for name in ("torch", "timm"))


def torch_version() -> str | None:
    """As installed; None where it is not."""
    return importlib.metadata.version("torch") if has_torch() else None


def gpu_is_likely() -> bool:
    """Whether an NVIDIA driver is there (Linux, WSL, Windows): reason enough to pay for torch's import."""
    if os.environ.get("CUDA_VISIBLE_DEVICES") in ("", "-1"):
        return False
    if sys.platform == "win32":
        return (Path(os.environ.get("SYSTEMROOT", "C:/Windows")) / "System32" / "nvcuda.dll").exists()
    return any(Path(place).exists() for place in ("/proc/driver/nvidia/version", "/dev/nvidiactl", "/dev/dxg"))

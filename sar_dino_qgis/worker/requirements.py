"""What the worker's environment is made of; a test keeps these lists equal to those of pyproject.toml.

Lower bounds, no pins: torch and torchvision of today go together when the installer may choose both.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass

LIGHT = (
    "numpy>=1.26",
    "rasterio>=1.4.3",
    "affine>=3",
    "safetensors>=0.4.3",
    "onnxruntime>=1.20",
)
TRAINING = (
    "torch>=2.4",
    "torchvision",
    "timm>=1.0.15",
    "onnx>=1.17",
    "onnxscript>=0.3",
    "pyyaml>=6",
    "tensorboard>=2.16",
)

EXPLORE = ("scikit-learn>=1.5",)


@dataclass(frozen=True)
class Kind:
    """One of the environments that can be made. Sizes are about right; the index decides."""

    name: str
    purpose: str
    requirements: tuple[str, ...]
    download_mb: int
    disk_mb: int
    needed: tuple[str, ...]  # what `sardino check` must find working


_CORE = ("Python", "numpy", "rasterio", "safetensors", "onnxruntime", "GDAL", "ONNX Runtime devices")
_CUDA = sys.platform.startswith("linux")  # there the index's torch brings CUDA along
KINDS = {
    "light": Kind("light", "maps, attention and embeddings on the processor", LIGHT, 90, 300, _CORE),
    "full": Kind(
        "full",
        "training, new clusters and GPUs as well",
        LIGHT + TRAINING + EXPLORE,
        2900 if _CUDA else 450,
        6000 if _CUDA else 1600,
        (*_CORE, "torch", "training"),
    ),
}

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
    "onnxruntime>=1.21",
)
EXPLORE = (
    "scikit-learn>=1.5",
    "skops>=0.11",
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
    "light": Kind("light", "maps, attention and embeddings", LIGHT, 85, 300, _CORE),
    "explore": Kind(
        "explore",
        "maps, classes of your own from a few examples, clusters",
        LIGHT + EXPLORE,
        130,
        530,
        (*_CORE, "exploring"),
    ),
    "full": Kind(
        "full",
        "maps, classes of your own, training of networks, NVIDIA GPUs",
        LIGHT + EXPLORE + TRAINING,
        2950 if _CUDA else 500,
        6300 if _CUDA else 1900,
        (*_CORE, "exploring", "torch", "training"),
    ),
}

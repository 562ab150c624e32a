"""Small synthetic rasters and configurations that the training tests share."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from affine import Affine
from rasterio.crs import CRS

from sardino_core.contract.model_spec import BackboneSpec, BandSpec, ClassSpec, InputSpec
from sardino_core.training.settings.finetune_config import (
    AugmentConfig,
    FinetuneConfig,
    ModelConfig,
    OptimiserConfig,
    SourceConfig,
    ValidationConfig,
)
from sardino_core.training.settings.pretrain_config import (
    BackboneConfig,
    HeadConfig,
    ImageConfig,
    PretrainConfig,
    PretrainOptimiserConfig,
    ViewConfig,
)
from sardino_core.training.settings.run_config import RunConfig

UTM = CRS.from_epsg(32633)
CLASSES = (ClassSpec(80, "water", "#0064c8"), ClassSpec(10, "trees", "#006400"), ClassSpec(30, "low", "#ffff4c"))
INPUTS = InputSpec(bands=(BandSpec("VV", -12.59, 5.26), BandSpec("VH", -20.26, 5.91)))
BACKBONE = BackboneSpec("vit_tiny", patch=8, width=24, depth=2, heads=2, register_tokens=1)


def write(
    path: Path,
    values: np.ndarray,
    transform: Affine | None = None,
    crs: CRS = UTM,
    nodata: float | None = None,
    names: tuple[str, ...] = (),
) -> Path:
    """Write (B, h, w) or (h, w) as a GeoTIFF, 10 m pixels in UTM unless told otherwise."""
    values = values if values.ndim == 3 else values[None]
    transform = transform or Affine(10, 0, 500_000, 0, -10, 5_000_000)
    path.parent.mkdir(parents=True, exist_ok=True)
    with rasterio.open(
        path,
        "w",
        driver="GTiff",
        width=values.shape[2],
        height=values.shape[1],
        count=len(values),
        dtype=values.dtype,
        crs=crs,
        transform=transform,
        nodata=nodata,
    ) as dataset:
        dataset.write(values)
        for index, name in enumerate(names, start=1):
            dataset.set_band_description(index, name)
    return path


def lake(folder: Path, height: int = 96, width: int = 96, seed: int = 0, east_m: float = 0.0) -> tuple[Path, Path]:
    """A scene in dB whose western half is water (80) and eastern half trees (10), and its labels."""
    place = Affine(10, 0, 500_000 + east_m, 0, -10, 5_000_000)
    rng = np.random.default_rng(seed)
    labels = np.full((height, width), 10, np.uint8)
    labels[:, : width // 2] = 80
    mean = np.where(labels == 80, -20.0, -9.0)
    db = np.stack([mean, mean - 6.5]) + rng.normal(0, 1.5, (2, height, width))
    scene = write(folder / "scene.tif", db.astype(np.float32), place, names=("VV", "VH"))
    return scene, write(folder / "labels.tif", labels, place, nodata=0)


def config(
    scene: Path | str, labels: Path | str, steps: int = 2, source: dict[str, Any] | None = None, **changes: Any
) -> FinetuneConfig:
    """A configuration that trains in a second: windows of 32 pixels."""
    settings: dict[str, Any] = {
        "name": "test",
        "model": ModelConfig(INPUTS, BACKBONE, window=32),
        "classes": CLASSES,
        "sources": (SourceConfig(images=(str(scene),), labels=(str(labels),), **{"hold_out": 0.25, **(source or {})}),),
        "augment": AugmentConfig(zoom=(1.0, 1.0)),
        "optimiser": OptimiserConfig(steps=steps, batch_size=4, warm_up=2, lr=2e-3),
        "validation": ValidationConfig(every=1000, block_px=48, margin_px=4),
        "run": RunConfig(checkpoint_every=1000, picture_every=0, tensorboard=False),
    }
    return FinetuneConfig(**(settings | changes))


def places(folder: Path, count: int = 2, side: int = 160) -> Path:
    """Unlabelled scenes `place_N.tif`: each a different mixture of water and trees in blocks."""
    for number in range(count):
        rng = np.random.default_rng(number)
        cells = rng.random((side // 16, side // 16)) < 0.5
        mean = np.where(np.kron(cells, np.ones((16, 16))) > 0, -20.0, -9.0)
        db = np.stack([mean, mean - 6.5]) + rng.normal(0, 1.5, (2, side, side))
        place = Affine(10, 0, 500_000 + 10_000 * number, 0, -10, 5_000_000)
        write(folder / f"place_{number}.tif", db.astype(np.float32), place, names=("VV", "VH"))
    return folder


def pretrain_config(images: Path | str, backbone: BackboneSpec = BACKBONE, **changes: Any) -> PretrainConfig:
    """A configuration that pre-trains in a second or two: 4 windows of 32 pixels, local crops of 16."""
    settings: dict[str, Any] = {
        "name": "test",
        "model": BackboneConfig(INPUTS, backbone, window=32),
        "sources": (ImageConfig(images=(str(images),)),),
        "views": ViewConfig(local_crops=2, local_size=16),
        "head": HeadConfig(prototypes=32, hidden=32, bottleneck=16),
        "optimiser": PretrainOptimiserConfig(steps=4, batch_size=4, lr=1e-3, warm_up=2, freeze_last_layer=1),
        "run": RunConfig(log_every=2, checkpoint_every=2, picture_every=0, tensorboard=False),
    }
    return PretrainConfig(**(settings | changes))

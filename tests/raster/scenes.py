"""Small rasters with the statistics of Sentinel-1 for the tests of the reading side."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from affine import Affine
from numpy.typing import NDArray
from rasterio.crs import CRS

from sardino_core.contract.jobs import SceneOptions
from sardino_core.contract.model_spec import BandSpec
from sardino_core.raster.reading.scene import Scene, open_scene

VV, VH = BandSpec("VV", -12.0, 5.0), BandSpec("VH", -19.0, 5.0)
UTM = CRS.from_epsg(32633)
ORIGIN = Affine(10, 0, 500_000, 0, -10, 5_400_000)


def speckled_db(height: int = 64, width: int = 64, means: Sequence[float] = (-10.0, -17.0), seed: int = 0) -> Any:
    """(B, h, w) float32 dB: mean levels with independent speckle of 4 looks per band."""
    generator = np.random.default_rng(seed)
    speckle = generator.gamma(4.0, 0.25, (len(means), height, width))
    return (np.asarray(means)[:, None, None] + 10 * np.log10(speckle)).astype(np.float32)


def power(db: NDArray[np.float32]) -> NDArray[np.float32]:
    return (10 ** (db / 10)).astype(np.float32)


def write(
    path: Path,
    values: NDArray[Any],
    names: Sequence[str | None] = (),
    *,
    transform: Affine = ORIGIN,
    crs: CRS | None = UTM,
    nodata: float | None = None,
    tags: dict[str, str] | None = None,
    **profile: Any,
) -> str:
    """Write (B, h, w) as a GeoTIFF and return its path."""
    count, height, width = values.shape
    path.parent.mkdir(parents=True, exist_ok=True)
    with rasterio.open(
        path, "w", driver="GTiff", count=count, height=height, width=width, dtype=values.dtype,
        transform=transform, crs=crs, nodata=nodata, **profile,
    ) as out:  # fmt: skip
        out.write(values)
        for band, name in enumerate(names, start=1):
            if name:
                out.set_band_description(band, name)
        out.update_tags(**(tags or {}))
    return str(path)


def scene_of(
    *inputs: str, bands: tuple[BandSpec, ...] = (VV, VH), numbers: dict[str, int] | None = None, **options: Any
) -> Scene:
    return open_scene(SceneOptions(tuple(inputs), bands=numbers or {}, **options), bands, model_name="starter")


def everything(scene: Scene) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """The whole scene, closed afterwards."""
    with scene:
        return scene.read(scene.grid.full)

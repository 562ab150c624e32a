"""A small M3LEO area of interest on disk, in the layout and with the values that its makers' code writes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from affine import Affine
from rasterio.crs import CRS

from sardino_core.training.windows.chips import CODES
from tests.training.rasters import write

HASH = "toy_partitions_aschips_0123456789abc"
SEASONS = ("winter", "spring", "summer", "fall")
BANDS = tuple(f"{season}_{band}" for season in SEASONS for band in ("vvasc", "vvdes", "vhasc", "vhdes"))
SPLITS = ("train", "train", "val", "test")
WATER_DB, TREES_DB = -20.0, -9.0


def scaled(backscatter_db: np.ndarray) -> np.ndarray:
    """geetiles' scaling of -30 to 0 dB to a byte, which wraps outside (geetiles/defs/s1grd.py)."""
    return (255 * (backscatter_db + 30) / 30).astype(np.int64).astype(np.uint8)


def chip_folder(root: Path, side: int = 64, numbers: bool = False, names: bool = True, seed: int = 0) -> Path:
    """Four chips, half water and half trees; the first lacks descending winters.

    VH over water lies at -31 dB and wraps. `numbers`: labels from 0 to 10 instead of WorldCover's codes.
    """
    folder = root / "toy" / HASH
    rng = np.random.default_rng(seed)
    rows = ["identifier,split,original_index"]
    for index, split in enumerate(SPLITS):
        name = f"{index:013x}"
        rows.append(f"{name},{split},{index}")
        codes = np.full((side, side), 10, np.uint8)
        codes[: side // 2] = 80
        wet = codes == 80
        bands = []
        for season in range(4):
            level = np.where(wet, WATER_DB, TREES_DB) - season  # each season a decibel below the one before
            bands += [level, level - 0.5, np.where(wet, -31.0, level - 6.5), np.where(wet, -31.0, level - 7.0)]
        db = np.stack(bands) + rng.normal(0, 0.15, (16, side, side))
        if index == 0:
            db[[1, 3]] = 0.0
        place = Affine(9e-5, 0, 10 + 0.1 * index, 0, -9e-5, 45)
        wgs84 = CRS.from_epsg(4326)
        write(folder / "s1grd-2020" / f"{name}.tif", scaled(db), place, wgs84, names=BANDS if names else ())
        values = np.searchsorted(CODES, codes).astype(np.uint8) if numbers else codes
        write(folder / "esaworldcover-2020" / f"{name}.tif", values, place, wgs84)
    (folder.parent / f"{HASH}_splits_60bands_angle09_60-20-20.csv").write_text("\n".join(rows) + "\n")
    return folder

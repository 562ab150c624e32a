"""What the starter learns from: simulated places, real tiles of many producers brought into one form, and windows that
are no landscape. See the model card (sardino_core/starter/README.md) for where each comes from.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from affine import Affine

from sardino_core.contract.errors import InputMissing
from sardino_core.contract.listener import Listener
from sardino_core.raster.grid import RasterGrid
from sardino_core.raster.reading.labels import LabelRaster
from sardino_core.simulate import simulate_missing, varied

STRANGE_SIZE = 256


@dataclass(frozen=True)
class Simulation:
    """How many places of which side in pixels train and validate; their first seeds are apart."""

    train: int
    train_px: int
    validation: int
    validation_px: int


FULL, SMALL = Simulation(96, 384, 12, 384), Simulation(4, 192, 2, 128)
TRAIN_SEED, VALIDATION_SEED = 101, 901

# CORINE classes of BigEarthNet to what a pixel of the patch may be. Bits: water 1, trees 2, built-up 4, low vegetation
# 8, bare 16. CORINE maps nothing below 25 ha, so mixed classes allow what they usually hold.
CORINE_BITS = {
    "Arable land": 8,
    "Pastures": 8,
    "Permanent crops": 10,
    "Complex cultivation patterns": 14,
    "Land principally occupied by agriculture, with significant areas of natural vegetation": 10,
    "Agro-forestry areas": 10,
    "Broad-leaved forest": 2,
    "Coniferous forest": 2,
    "Mixed forest": 2,
    "Transitional woodland, shrub": 10,
    "Moors, heathland and sclerophyllous vegetation": 8,
    "Natural grassland and sparsely vegetated areas": 24,
    "Beaches, dunes, sands": 16,
    "Urban fabric": 14,
    "Industrial or commercial units": 14,
    "Inland waters": 1,
    "Inland wetlands": 9,
    "Coastal wetlands": 9,
    "Marine waters": 1,
}


def prepare(data: Path | None, work: Path, simulation: Simulation, listener: Listener) -> None:
    """Everything into the folder `work`. Raises InputMissing for real tiles that are not in `data`."""
    simulate_places(work / "simulated", simulation, listener)
    prepare_strange(work / "strange")
    if data:
        prepare_bigearthnet(data / "bigearthnet_v2", work / "bigearthnet")
        prepare_opera(data / "opera_rtc_10SGD", work / "opera")
        prepare_worldcereal(data / "worldcereal_belgium", work / "worldcereal")


def simulate_places(folder: Path, simulation: Simulation, listener: Listener) -> None:
    """Places to train on and to validate, every orbit direction and season among them."""
    train = ("train", simulation.train_px, TRAIN_SEED, simulation.train)
    validation = ("val", simulation.validation_px, VALIDATION_SEED, simulation.validation)
    for kind, size, first, count in (train, validation):
        listener.log("info", f"simulating the places {kind}_*, where they are missing")
        jobs = [varied(folder / f"{kind}_{first + index}", size, first + index, index) for index in range(count)]
        simulate_missing(jobs, listener)


def prepare_strange(folder: Path) -> None:
    """Rasters in dB that no radar has seen, with labels of 1: the range of a landscape without its structure."""
    folder.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(7)
    shape = (2, STRANGE_SIZE, STRANGE_SIZE)
    level = np.array([-12.0, -20.0])[:, None, None]
    row, col = np.mgrid[:STRANGE_SIZE, :STRANGE_SIZE]
    for number in range(4):
        low, high = random.uniform(-32, -20), random.uniform(-4, 8)
        period, angle = random.uniform(3, 25), random.uniform(0, np.pi)
        wave = np.sin(2 * np.pi * (row * np.sin(angle) + col * np.cos(angle)) / period)
        coarse = random.uniform(low, high, (2, STRANGE_SIZE // 8, STRANGE_SIZE // 8))
        kinds = {
            "uniform": random.uniform(low, high, shape),
            "normal": level + random.normal(0, random.uniform(5, 10), shape),
            "reversed": level[::-1] + random.normal(0, 2, shape),  # VH far above VV
            "waves": level + random.uniform(4, 12) * wave + random.normal(0, 1, shape),
            "blocks": coarse.repeat(8, axis=1).repeat(8, axis=2) + random.normal(0, 0.5, shape),
            "salt": np.where(random.random(shape) < 0.1, random.uniform(-35, 15, shape), level),
        }
        for index, (kind, db) in enumerate(kinds.items()):
            transform = Affine(10, 0, 500_000 + 5000 * index, 0, -10, 1_000_000 + 5000 * number)
            profile = {"width": STRANGE_SIZE, "height": STRANGE_SIZE, "crs": "EPSG:32633", "transform": transform}
            _write(folder / f"{kind}_{number}_image.tif", db.astype(np.float32), profile, ("VV", "VH"))
            _write(folder / f"{kind}_{number}_labels.tif", np.ones((1, *shape[1:]), np.uint8), profile, ("strange",))


def prepare_bigearthnet(source: Path, target: Path) -> None:
    """Patches as VV, VH rasters, and the list of their CORINE classes as a constant label raster of bits."""
    target.mkdir(parents=True, exist_ok=True)
    for patch in json.loads(_existing(source / "labels.json").read_text(encoding="utf-8")):
        bits = 0
        for name in patch["labels"]:
            bits |= CORINE_BITS[name]
        name, folder = patch["patch_id"], source / "S1"
        if (folder / f"{name}_s1.tif").exists():
            with rasterio.open(folder / f"{name}_s1.tif") as dataset:
                vh, vv = dataset.read()  # this producer stores VH first
                profile = dataset.profile
        else:
            with rasterio.open(folder / f"{name}_VV.tif") as first, rasterio.open(folder / f"{name}_VH.tif") as second:
                vv, vh, profile = first.read(1), second.read(1), first.profile
        _write(target / f"{name}_image.tif", np.stack([vv, vh]), profile, ("VV", "VH"))
        _write(target / f"{name}_labels.tif", np.full((1, *vv.shape), bits, np.uint8), profile, ("classes",))


def prepare_opera(source: Path, target: Path) -> None:
    """Crops as VV, VH rasters in power, and their water mask as labels, 1 water and 2 land: each crop is all of one."""
    target.mkdir(parents=True, exist_ok=True)
    for path in sorted(_existing(source).glob("*/*_VV.tif")):
        with rasterio.open(path) as first, rasterio.open(path.with_name(path.name.replace("_VV", "_VH"))) as second:
            image, profile = np.stack([first.read(1), second.read(1)]), first.profile
            grid = RasterGrid(first.width, first.height, first.transform, first.crs)
        with LabelRaster([source / "water_mask_10SGD_large.tif"], grid) as mask:
            values, known = mask.read(grid.full)
        labels = np.where(known, np.where(values == 1, 1, 2), 0).astype(np.uint8)
        name = f"{path.parent.name}_{path.name.split('_')[3]}"
        _write(target / f"{name}_image.tif", image, profile, ("VV", "VH"))
        _write(target / f"{name}_labels.tif", labels[None], profile, ("classes",))


def prepare_worldcereal(source: Path, target: Path) -> None:
    """Months of one place as VV, VH rasters (digital numbers), each with the cropland map, 1 cropland, 0 unknown."""
    target.mkdir(parents=True, exist_ok=True)
    months = "S1_{}_monthly_2020-11_2021-10_uint16.tif"
    with (
        rasterio.open(_existing(source / months.format("VV"))) as first,
        rasterio.open(source / months.format("VH")) as second,
        rasterio.open(source / "label_worldcereal_cropland_2021.tif") as crops,
    ):
        labels = (crops.read(1) == 0).astype(np.uint8)
        for band, description in enumerate(first.descriptions, start=1):
            name = str(description).rpartition(" ")[2]  # 2020-11
            image = np.stack([first.read(band), second.read(band)])
            _write(target / f"{name}_image.tif", image, first.profile, ("VV", "VH"), first.nodata)
            _write(target / f"{name}_labels.tif", labels[None], first.profile, ("classes",))


def _write(path: Path, values: Any, profile: Any, names: tuple[str, ...], nodata: float | None = None) -> None:
    profile = {key: profile[key] for key in ("width", "height", "crs", "transform")}
    nodata = 0 if values.dtype == "uint8" else nodata
    with rasterio.open(
        path, "w", driver="GTiff", count=len(values), dtype=values.dtype, nodata=nodata, compress="deflate", **profile
    ) as dataset:
        dataset.write(values)
        for index, name in enumerate(names, start=1):
            dataset.set_band_description(index, name)


def _existing(path: Path) -> Path:
    if not path.exists():
        raise InputMissing(f"{path} does not exist.", "Give the folder of real tiles with --data.")
    return path

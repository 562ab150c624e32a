"""Small studies that the tests share."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from affine import Affine

from sardino_core.study.basis import Basis, Ground
from sardino_core.study.config import ArmConfig, ForestConfig, PlacesConfig, StudyConfig, UNetConfig
from sardino_core.study.places import Place
from sardino_core.study.study import find_places
from sardino_core.training.settings.finetune_config import OptimiserConfig
from sardino_core.training.settings.run_config import RunConfig
from tests.training import rasters

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "study.py"
ARMS = (
    ArmConfig("dino-full", (2e-3, 5e-3), init="pretrained"),
    ArmConfig("scratch-full", (2e-3, 5e-3)),
    ArmConfig("forest", (1.0, 5.0), kind="forest"),
)


def lakes(folder: Path, count: int, every_m: float = 10_000) -> tuple[str, str]:
    """Places of 960 m in a row, each half water and half trees; the globs of their scenes and labels."""
    for number in range(count):
        scene, labels = rasters.lake(folder / f"lake{number}", seed=number)
        for path, names in ((scene, ("VV", "VH")), (labels, ())):
            values = _values(path)
            place = Affine(10, 0, 500_000 + every_m * number, 0, -10, 5_000_000)
            rasters.write(path, values, place, nodata=None if names else 0, names=names)
    return str(folder / "lake*" / "scene.tif"), str(folder / "lake*" / "labels.tif")


def study(images: str = "", labels: str = "", **changes: Any) -> StudyConfig:
    """A study of seconds; `images` and `labels` may be globs, else places are simulated."""
    source = {"images": (images,), "labels": (labels,)} if images else {"images": (), "labels": ()}
    worldcover = {10: (10,), 20: (30,), 30: (30,), 40: (30,), 80: (80,)}
    finetune = rasters.config("", "", steps=4, label_unit="place")
    finetune = replace(
        finetune,
        sources=(replace(finetune.sources[0], **source, mapping=worldcover, ignore=(0, 50, 60, 90), hold_out=0.0),),
        optimiser=OptimiserConfig(steps=4, batch_size=4, warm_up=1),
    )
    quiet = RunConfig(log_every=2, checkpoint_every=2, picture_every=0, tensorboard=False)
    settings: dict[str, Any] = {
        "name": "test",
        "pretrain": replace(rasters.pretrain_config(""), sources=(), run=quiet),
        "finetune": replace(finetune, run=quiet),
        "arms": ARMS,
        "compare": (("dino-full", "scratch-full"), ("dino-full", "forest")),
        "places": PlacesConfig(train=4, validation=1, test=2, size=64),
        "fractions": (0.25, 1.0),
        "seeds": (0, 1),
        "unet": UNetConfig(8, 2),
        "forest": ForestConfig(5, 500),
        "resamples": 100,
    }
    return StudyConfig(**(settings | changes))


def basis(config: StudyConfig, out: Path, weights: str = "") -> Basis:
    """A study in a folder, nothing of it done."""
    places: tuple[Place, ...] = find_places(config, out)
    return Basis(config, out, Ground(places, weights), "")


def script(*arguments: object) -> subprocess.Popen[str]:
    """scripts/study.py as a user calls it."""
    command = [sys.executable, str(SCRIPT), *map(str, arguments)]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen(command, env={**os.environ, "OMP_NUM_THREADS": "1"}, **pipes)


def ended(process: subprocess.Popen[str], within_s: float = 300) -> tuple[int, str, str]:
    """Status, stdout and stderr."""
    out, error = process.communicate(timeout=within_s)
    return process.returncode, out, error


def _values(path: Path) -> np.ndarray:
    import rasterio

    with rasterio.open(path) as dataset:
        values: np.ndarray = dataset.read()
    return values

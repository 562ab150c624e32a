"""What sets of tiles look like, simulated or real: backscatter, speckle, and the mean tokens of windows. For `gap`."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from sardino_core.contract.errors import InputMissing, NoValidData
from sardino_core.contract.jobs import SceneOptions, Units
from sardino_core.contract.model_spec import BandSpec, ModelSpec
from sardino_core.models.model_file import load_weights, resolve_model
from sardino_core.models.network import build
from sardino_core.raster.grid import PixelWindow
from sardino_core.raster.reading.scene import Scene, open_scene
from sardino_core.raster.resampling import cell_size, resample_backscatter, resampling_matrix
from sardino_core.raster.scaling import standardise
from sardino_core.simulate.speckle_statistics import SpeckleStatistics, measure
from sardino_core.training.dino.token_probe import tokens_of

WINDOWS = 16  # of a place at most, or large tiles would outvote small ones
LEAST_VALID = 0.9  # share of a window's pixels
_PIXELS = 20_000  # of a place, for histograms and quantiles
_BATCH = 16  # windows
_PAIR = (BandSpec("VV", 0.0, 1.0), BandSpec("VH", 0.0, 1.0))  # as they are, in dB

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Tile:
    """A raster and the place that it shows; neighbouring tiles share one."""

    place: str
    inputs: tuple[str, ...]
    units: Units = "auto"
    bands: dict[str, int] = field(default_factory=dict)

    def open(self, bands: tuple[BandSpec, ...]) -> Scene:
        """Through the reader that every model is fed by."""
        return open_scene(SceneOptions(self.inputs, self.bands, self.units), bands)


@dataclass(frozen=True)
class Speckle:
    """Of one tile."""

    place: str
    vv: SpeckleStatistics
    vh: SpeckleStatistics


@dataclass(frozen=True)
class Look:
    """What one set of tiles looks like, by place."""

    db: dict[str, Floats]  # (2, n) VV and VH of pixels
    speckle: list[Speckle]  # of the tiles that have squares enough
    tokens: dict[str, Floats]  # (W, D) mean tokens of windows
    tiles: int


def simulated_tiles(places: Sequence[Path]) -> list[Tile]:
    """One of each place. Raises InputMissing."""
    missing = [place for place in places if not (place / "scene.tif").exists()]
    if missing or not places:
        raise InputMissing(f"{missing[0] / 'scene.tif' if missing else 'A simulated place'} does not exist.")
    return [Tile(place.name, (str(place / "scene.tif"),)) for place in places]


def real_tiles(real: Path) -> list[Tile]:
    """The clean tiles in dB with 10 m pixels. Raises InputMissing when there is none.

    Left out are TerraMesh's frozen bog (609U), which no simulated place shows, and Sen1Floods11's Paraguay, which is
    empty.
    """
    numbers = {"VV": 1, "VH": 2}  # TerraMesh describes both bands as `bands`
    tiles = [
        Tile(f"TerraMesh {path.name.partition('_')[0]}", (str(path),), "db", numbers)
        for path in sorted((real / "terramind" / "S1RTC").glob("*.tif"))
        if not path.name.startswith("609U")
    ]
    for country in ("Ghana", "India", "Spain"):
        paths = sorted((real / "sen1floods11" / "S1").glob(f"{country}_*.tif"))
        tiles += [Tile(country, (str(path),), "db") for path in paths]
    pairs = [("Kenya", real / "kenya_wlt" / "sentinel1_vv.tif", real / "kenya_wlt" / "sentinel1_vh.tif")]
    dates = sorted((real / "ssl4eo_s12" / "s1").glob("*/*/VV.tif"))[:1]
    pairs += [("SSL4EO-S12", path, path.with_name("VH.tif")) for path in dates]
    tiles += [Tile(place, (str(vv), str(vh)), "db") for place, vv, vh in pairs if vv.exists() and vh.exists()]
    if not tiles:
        raise InputMissing(f"{real} holds no real tile.", "Give the folder of real tiles.")
    return tiles


def look(model: str, spec: ModelSpec, tiles: Sequence[Tile]) -> Look:
    """Read every tile. Raises NoValidData when no window of any tile is valid."""
    pixels: dict[str, list[Floats]] = {}
    windows: dict[str, list[NDArray[np.float32]]] = {}
    speckle = []
    for tile in tiles:
        with tile.open(_PAIR) as scene:
            db, valid = scene.read(scene.grid.full)
        pixels.setdefault(tile.place, []).append(db[:, valid].astype(np.float64))
        power = np.where(valid, 10.0 ** (db.astype(np.float64) / 10), np.nan)
        with suppress(ValueError):  # too few squares without a gap
            speckle.append(Speckle(tile.place, measure(power[0]), measure(power[1])))
        with tile.open(spec.inputs.bands) as scene:
            windows.setdefault(tile.place, []).extend(_windows(scene, spec))
    db_of = {place: _some(np.concatenate(parts, axis=1).T, _PIXELS).T for place, parts in pixels.items()}
    tokens = _mean_tokens(model, spec, {place: found for place, found in windows.items() if found})
    return Look(db_of, speckle, tokens, len(tiles))


def _windows(scene: Scene, spec: ModelSpec) -> list[NDArray[np.float32]]:
    """Standardised windows (C, S, S) on an even grid over the tile; in small tiles they overlap."""
    patch, inputs, found = spec.backbone.patch, spec.inputs, []
    side = spec.window // patch * cell_size(scene.grid.spacing_m, inputs.spacing_m, patch)
    count = int(np.sqrt(WINDOWS))
    if min(scene.grid.height, scene.grid.width) < side:
        return []
    rows, cols = (
        np.unique(np.linspace(0, extent - side, count).astype(int)) for extent in (scene.grid.height, scene.grid.width)
    )
    for row in rows:
        for col in cols:
            db, valid = scene.read(PixelWindow(int(row), int(col), side, side))
            if valid.mean() < LEAST_VALID:
                continue
            if side != spec.window:
                db, valid = resample_backscatter(db, valid, resampling_matrix(side, spec.window))
            found.append(standardise(db, valid, inputs.bands, inputs.clip_db))
    return found


def _mean_tokens(model: str, spec: ModelSpec, windows: dict[str, list[NDArray[np.float32]]]) -> dict[str, Floats]:
    """(W, D) of each place, W at most WINDOWS."""
    if not windows:
        raise NoValidData(f"No tile has a valid window of {spec.window} pixels.")
    features = tokens_of(build(spec, load_weights(resolve_model(model))))
    found = {}
    for place, parts in windows.items():
        stack = torch.from_numpy(_some(np.stack(parts), WINDOWS))
        with torch.inference_mode():
            means = [features(part).mean(dim=1) for part in torch.split(stack, _BATCH)]
        found[place] = torch.cat(means).double().numpy()
    return found


def _some(values: NDArray[Any], count: int) -> NDArray[Any]:
    """At most `count` rows, drawn the same way every time."""
    if len(values) <= count:
        return values
    return values[np.sort(np.random.default_rng(0).choice(len(values), count, replace=False))]

"""What a model's accuracy loses when the input changes and the ground does not.

A user's raster differs from the training tiles in ways that no label knows of: another calibration, sigma0 or gamma0,
another orbit direction, another spacing, a speckle filter. A map that depends on those is a map of the processing. Here
the same simulated places, with the same labels, are given to the model once more for each change. Of the other orbit
direction the speckle is another, too, so a row with other speckle alone says how much of the difference is chance.

The Lee filter is that of J.-S. Lee, "Digital image enhancement and noise filtering by use of local statistics", IEEE
TPAMI 2(2), 1980, for multiplicative noise. Simulated places alone are no evidence about real ones: see `gap`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
import torch
from numpy.typing import NDArray
from torch import nn
from whole_maps import WholeMap, whole_maps

from sardino_core.contract.errors import InputMissing, SettingInvalid
from sardino_core.contract.jobs import SceneOptions, SimulateJob
from sardino_core.contract.listener import Listener
from sardino_core.contract.model_spec import BandSpec, ModelSpec
from sardino_core.models.model_file import load_weights, read_spec, resolve_model
from sardino_core.models.network import build
from sardino_core.models.outputs import require_head
from sardino_core.raster.grid import RasterGrid
from sardino_core.raster.reading.scene import open_scene
from sardino_core.raster.writing.staging import staged
from sardino_core.simulate import NOTICE, simulate_missing
from sardino_core.study.bootstrap import accuracy, drawn, estimate, miou
from sardino_core.training.landcover.baselines import box_mean
from sardino_core.training.landcover.scores import Confusion
from sardino_core.training.settings.finetune_config import FinetuneConfig, ModelConfig, load_config
from sardino_core.training.windows.sources import SceneStore

SOURCE = "simulated places held out"  # of configs/finetune-starter.yaml, whose mapping of labels is used
WATER = 80
COARSE = 3  # 10 m pixels along a side of one of 30 m
BOX_PX = 5
LOOKS = 4.4  # ENL of Sentinel-1 IW GRDH (ESA, Sentinel-1 Product Definition, S1-RS-MDA-52-7440), for the Lee filter
RESAMPLES = 2000
_PAIR = (BandSpec("VV", 0.0, 1.0), BandSpec("VH", 0.0, 1.0))  # as they are, in dB
_ORIGIN = "SARDINO_CHANGED_FROM"  # tag: what a raster was made from, so that none is used again for another place

Floats = NDArray[np.float64]
Bands = NDArray[np.float32]  # (2, h, w) VV, VH in dB
Mask = NDArray[np.bool_]  # (h, w)


@dataclass(frozen=True)
class Change:
    """What is done to the pixels; `coarser` pixels along a side become one."""

    name: str
    folder: str
    apply: Callable[[Bands, Mask], tuple[Bands, Mask]]
    coarser: int = 1


@dataclass(frozen=True)
class Scored:
    """One raster against the labels of its place."""

    counts: NDArray[np.int64]  # (K, K) reference by prediction
    unsure: int  # pixels
    pixels: int


def robustness(model: str, places: Sequence[Path], work: Path, listener: Listener) -> list[str]:
    """Lines of markdown: `places` are folders with scene.tif and labels.tif, changed rasters go below `work`.

    Raises InputMissing for what is no simulated place, and what evaluation raises.
    """
    path = resolve_model(model)
    spec = read_spec(path)
    require_head(spec)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    network = build(spec, load_weights(path)).eval().to(device)
    rows: dict[str, list[Scored]] = {}
    for number, place in enumerate(places):
        for name, scene in variants(place, work, listener):
            listener.raise_if_cancelled()
            listener.progress(number / len(places), f"{place.name}: {name}")
            rows.setdefault(name, []).append(score(network, spec, place, scene))
    if not rows:
        raise InputMissing("No simulated place was given.")
    return [*_heading(places), *_table(rows, spec)]


def variants(place: Path, work: Path, listener: Listener) -> Iterator[tuple[str, Path]]:
    """The rows' names and rasters, the place's own first; what is there already is not made again."""
    scene = place / "scene.tif"
    if not scene.exists():
        raise InputMissing(f"{scene} does not exist.", "Give folders of simulated places.")
    yield "as it is", scene
    yield "other speckle", _simulated(scene, work / "speckle", listener, other_orbit=False)
    yield "other orbit direction", _simulated(scene, work / "orbit", listener, other_orbit=True)
    for change in CHANGES:
        yield change.name, changed(scene, work / change.folder / place.name, change)


def changed(scene: Path, folder: Path, change: Change) -> Path:
    """Write the changed scene.tif into `folder`, whole or not at all, unless it is there already."""
    target = folder / "scene.tif"
    origin = hashlib.sha256(scene.read_bytes()).hexdigest()
    if target.exists():
        with rasterio.open(target) as dataset:
            if dataset.tags().get(_ORIGIN) == origin:
                return target
    with open_scene(SceneOptions((str(scene),)), _PAIR) as opened:
        db, valid = opened.read(opened.grid.full)
        grid = opened.grid.coarsen(change.coarser)
    db, valid = change.apply(db, valid)
    folder.mkdir(parents=True, exist_ok=True)
    with staged() as staging:
        _write(staging.path(target), np.where(valid, db, np.nan).astype(np.float32), grid, change.name, origin)
    return target


def score(network: nn.Module, spec: ModelSpec, place: Path, scene: Path) -> Scored:
    """The map of `scene`, on the grid of the place's labels, against all of them.

    A coarser raster is compared at every label under it, not at those alone that lie at its pixels' centres: the pixels
    that are counted are the same in every row.
    """
    with SceneStore(_settings(spec, place, place / "scene.tif")) as store:
        confusion, own = Confusion.empty(store.sets), store.scenes[0]
        target = store.read(own, own.grid.full)[2]
    found = _map(network, spec, _settings(spec, place, scene))
    factor = -(-len(target) // len(found.given))
    classes, sure = (
        part.repeat(factor, axis=0).repeat(factor, axis=1)[: target.shape[0], : target.shape[1]]
        for part in (found.given, found.sure)
    )
    target = np.where(classes >= 0, target, 0)
    confusion.add(target, classes)
    known = target > 0
    return Scored(confusion.matrix, int((~sure[known]).sum()), int(known.sum()))


def gain(vv_db: float, vh_db: float) -> Callable[[Bands, Mask], tuple[Bands, Mask]]:
    """An offset of each band."""
    offset = np.array([vv_db, vh_db], np.float32)[:, None, None]
    return lambda db, valid: (db + offset, valid)


def coarsen(db: Bands, valid: Mask) -> tuple[Bands, Mask]:
    """The mean power of the valid pixels of COARSE x COARSE; partial blocks at the lower and right edge count, too."""
    power, weight = _power(db, valid), valid[None].astype(np.float64)
    margin = [(0, -extent % COARSE) for extent in valid.shape]
    sums = []
    for values in (power, weight):
        wide = np.pad(values, ((0, 0), *margin))
        blocks = wide.reshape(len(wide), wide.shape[1] // COARSE, COARSE, wide.shape[2] // COARSE, COARSE)
        sums.append(blocks.sum(axis=(2, 4)))
    total, count = sums
    return _db(total / np.maximum(count, 1)), count[0] > 0


def mean_filter(db: Bands, valid: Mask) -> tuple[Bands, Mask]:
    """The mean power of the valid pixels of each BOX_PX x BOX_PX neighbourhood."""
    return _db(box_mean(_power(db, valid), valid, BOX_PX)), valid


def lee_filter(db: Bands, valid: Mask) -> tuple[Bands, Mask]:
    """Lee 1980: mean + k (z - mean) with k = var_x / (mean^2 s + var_x), var_x = (var_z - mean^2 s) / (1 + s).

    z is the power of a pixel, mean and var_z those of its neighbourhood, x the power without speckle, and s = 1 / LOOKS
    the variance of the speckle, whose mean is 1.
    """
    power, s = _power(db, valid), 1 / LOOKS
    mean = box_mean(power, valid, BOX_PX)
    variance = np.maximum(box_mean(power**2, valid, BOX_PX) - mean**2, 0)
    ground = np.maximum(variance - mean**2 * s, 0) / (1 + s)
    k = ground / np.maximum(mean**2 * s + ground, 1e-30)
    return _db(mean + k * (power - mean)), valid


CHANGES = (
    Change("VV and VH +1 dB", "gain_up", gain(1, 1)),
    Change("VV and VH -1 dB", "gain_down", gain(-1, -1)),
    Change("VV alone +1 dB", "gain_vv", gain(1, 0)),
    Change("30 m: mean power of 3 x 3", "coarse", coarsen, COARSE),
    Change("despeckled: mean power of 5 x 5", "mean", mean_filter),
    Change("despeckled: Lee filter, 5 x 5", "lee", lee_filter),
)


def _power(db: Bands, valid: Mask) -> Floats:
    """0 where not valid, as `box_mean` expects it."""
    return np.power(10.0, db.astype(np.float64) / 10) * valid


def _db(power: Floats) -> Bands:
    return (10 * np.log10(np.maximum(power, 1e-10))).astype(np.float32)


def _simulated(scene: Path, work: Path, listener: Listener, other_orbit: bool) -> Path:
    """The same ground in the same season once more: with other speckle, or from the other side.

    What the folder holds is its name, so a place that is there is the right one.
    """
    with rasterio.open(scene) as dataset:
        tags, size = dataset.tags(), dataset.width
    try:
        seed, orbit, season = int(tags["SARDINO_SEED"]), tags["SARDINO_ORBIT"], tags["SARDINO_SEASONS"]
    except KeyError as error:
        raise InputMissing(f"{scene} is no simulated scene: it lacks the tag {error.args[0]}.") from error
    take = int(tags.get("SARDINO_TAKE", "0"))
    if other_orbit:
        orbit = "ascending" if orbit == "descending" else "descending"
    else:
        take += 1
    folder = work / f"{seed}_{orbit}_{season}_{take}_{size}px"
    simulate_missing([SimulateJob(str(folder), size, seed, orbit, season, take=take)], listener)  # type: ignore[arg-type]
    return folder / "scene.tif"


def _write(path: Path, db: Bands, grid: RasterGrid, name: str, origin: str) -> None:
    """With what the reader needs to know the bands and their units again."""
    profile: dict[str, Any] = {"driver": "GTiff", "count": len(db), "dtype": "float32", "nodata": float("nan")}
    profile |= {"width": grid.width, "height": grid.height, "crs": grid.crs, "transform": grid.transform}
    with rasterio.open(path, "w", compress="deflate", **profile) as sink:
        sink.write(db)
        sink.descriptions = tuple(band.name for band in _PAIR)
        sink.units = ("dB",) * len(db)
        sink.update_tags(
            TIFFTAG_IMAGEDESCRIPTION=f"{NOTICE} Changed: {name}.",
            SARDINO_SIMULATED="YES",
            SARDINO_UNITS="dB",
            **{_ORIGIN: origin},
        )


def _settings(spec: ModelSpec, place: Path, scene: Path) -> FinetuneConfig:
    """The configuration that the starter is judged by, with this one raster and all of its labels."""
    config = load_config("finetune-starter")
    source = next((item for item in config.sources if item.name == SOURCE), None)
    if source is None:
        raise SettingInvalid(f"The configuration {config.name} has no source {SOURCE!r}.")
    return replace(
        config,
        classes=spec.classes,
        sources=(replace(source, images=(str(scene),), labels=(str(place / "labels.tif"),), hold_out=1.0),),
        model=ModelConfig(spec.inputs, spec.backbone, spec.window, "linear" if spec.head == "linear" else "decoder"),
    )


def _map(network: nn.Module, spec: ModelSpec, settings: FinetuneConfig) -> WholeMap:
    """Of the only scene."""
    with SceneStore(settings) as store:
        (found,) = whole_maps(network, spec.calibration, store, settings)
    return found


def _heading(places: Sequence[Path]) -> list[str]:
    return [
        f"The same {len(places)} simulated places with the same labels, changed as the first column says. Differences "
        "are to the first row, in percentage points, with the 95 % interval from drawing the places again: where it "
        "holds 0, the change may be chance. With places as few as these the interval is too narrow. Other speckle is "
        "what chance alone does; of the other orbit direction slopes are lit from the other side as well. This says "
        "nothing of real places.",
        "",
        "| input | accuracy | mIoU | difference in accuracy | difference in mIoU | F1 of water | unsure |",
        "|---|---|---|---|---|---|---|",
    ]


def _table(rows: dict[str, list[Scored]], spec: ModelSpec) -> list[str]:
    """The first row is what the others are compared with."""
    first = _counts(next(iter(rows.values())))
    weights = drawn(first.shape[1], RESAMPLES)
    lines = []
    for index, (name, scored) in enumerate(rows.items()):
        counts = _counts(scored)
        whole = counts.sum(axis=(0, 1))
        cells = [f"{float(of(whole)):.3f}" for of in (accuracy, miou)]
        for of in (accuracy, miou):
            found = estimate(counts, of, weights, first)
            low, value, high = (100 * part for part in (found.low, found.value, found.high))
            cells.append(f"{value:+.1f} ({low:+.1f} to {high:+.1f})" if index else "")
        unsure = sum(item.unsure for item in scored) / max(1, sum(item.pixels for item in scored))
        lines.append(f"| {' | '.join([name, *cells, _water(whole, spec), f'{unsure:.1%}'])} |")
    return lines


def _counts(scored: Sequence[Scored]) -> NDArray[np.int64]:
    """(1, places, K, K), as the bootstrap takes it: one seed."""
    return np.stack([item.counts for item in scored])[None]


def _water(counts: NDArray[np.int64], spec: ModelSpec) -> str:
    """F1; empty where the model has no such class or the labels have none of it."""
    values = [item.value for item in spec.classes]
    if WATER not in values or not counts[values.index(WATER)].any():
        return ""
    index = values.index(WATER)
    return f"{2 * counts[index, index] / (counts[index].sum() + counts[:, index].sum()):.3f}"

"""Test and retest: what repeated acquisitions of the same ground change in bands, attention and tokens; docs/retest.md.

    python scripts/experiments/retest.py --work build/retest --output docs [--data FOLDER] [--models starter ...]

Simulated places are seen in two seasons, from two orbits, and twice under independent speckle, so that each share is
known to be what it is called. With a folder of real tiles, OPERA's places on six dates of one track and openEO's place
on three dates of two tracks follow; there, what is left holds the day and the speckle together.
"""

from __future__ import annotations

import sys
from argparse import ArgumentParser
from collections.abc import Iterable
from itertools import product
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import numpy as np
import rasterio
from numpy.typing import NDArray

from sardino_core.analysis.variance_components import REST, variance_components
from sardino_core.contract.jobs import AttentionJob, EmbedJob, RunOptions, SceneOptions, SimulateJob
from sardino_core.contract.listener import Listener
from sardino_core.contract.model_reader import read_spec, resolve_model
from sardino_core.inference import attention, embed
from sardino_core.raster.reading.scene import open_scene
from sardino_core.simulate import simulate_missing
from sardino_core.terminal import PlainVoice

SEEDS, SIZE = range(501, 509), 256
SEASONS, ORBITS, TAKES = ("summer", "fall"), ("descending", "ascending"), (0, 1)
OPERA_DATES = 6
TRACKS = ((1, 5, 9), (2, 6, 10))  # bands of openEO's stack: dates twelve days apart, so of one track each
_FLOOR = 1e-3  # of attention, whose logarithm is taken: uniform is 1
Features = dict[str, NDArray[np.float64]]  # name -> (patches, D)
NAMES = {
    ("place",): "place",
    ("season",): "season",
    ("place", "season"): "season",
    ("orbit",): "orbit",
    ("place", "orbit"): "orbit",
    ("date",): "date, in common",
    ("place", "date"): "date and speckle",
    ("season", "orbit"): "season with orbit",
    ("place", "season", "orbit"): "season with orbit",
    (REST,): "speckle",
}

ORDER = ("place", "season", "orbit", "season with orbit", "date, in common", "speckle", "date and speckle")


def main() -> int:
    """See everything, split the variance, write the page."""
    parser = ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--work", type=Path, default=Path("build/retest"))
    parser.add_argument("--output", type=Path, default=Path("docs"), help="folder for retest.md")
    parser.add_argument("--data", type=Path, help="folder of real tiles")
    parser.add_argument("--models", nargs="+", default=["starter"])
    given = parser.parse_args()
    given.work.mkdir(parents=True, exist_ok=True)
    sections = [section for model in given.models for section in sections_of(model, given.work, given.data)]
    given.output.mkdir(parents=True, exist_ok=True)
    (given.output / "retest.md").write_text(page(sections), encoding="utf-8")
    print(given.output / "retest.md")
    return 0


def sections_of(model: str, work: Path, data: Path | None) -> list[str]:
    """A table for each kind of data."""
    found = [table(f"{model}: {len(SEEDS)} simulated places", simulated(model, work), ("place", "season", "orbit"))]
    if data is not None:
        seen = opera(model, work, data / "opera_rtc_10SGD")
        found.append(
            table(f"{model}: OPERA, 8 places on {OPERA_DATES} dates of one track, 30 m", seen, ("place", "date"))
        )
        seen = openeo(model, work, data / "openeo_gfmap")
        found.append(
            table(
                f"{model}: openEO, one place on 3 dates of each of 2 tracks",
                seen,
                ("place", "orbit"),
                "date and speckle",
            )
        )
    return found


def simulated(model: str, work: Path) -> Features:
    """Name -> (patches, seasons, orbits, takes, D)."""
    places = []
    for seed in SEEDS:
        passes = []
        for season, orbit, take in product(SEASONS, ORBITS, TAKES):
            folder = work / "places" / f"{seed}_{season}_{orbit}_{take}"
            simulate_missing([SimulateJob(str(folder), SIZE, seed, orbit, season, take=take)], PlainVoice())
            passes.append(features(model, (str(folder / "scene.tif"),), work))
        places.append(stacked(passes, (len(SEASONS), len(ORBITS), len(TAKES))))
    return joined(places)


def opera(model: str, work: Path, folder: Path) -> Features:
    """Name -> (patches, dates, 1, D)."""
    bursts: dict[str, list[Path]] = {}
    for path in sorted(folder.glob("*/*_VV.tif")):
        bursts.setdefault(path.name.split("_")[3], []).append(path)
    places = []
    for paths in (paths for paths in bursts.values() if len(paths) == OPERA_DATES):
        pairs = [(str(path), str(path).replace("_VV.tif", "_VH.tif")) for path in paths]
        places.append(stacked([features(model, pair, work) for pair in pairs], (OPERA_DATES, 1)))
    return joined(places)


def openeo(model: str, work: Path, folder: Path) -> Features:
    """Name -> (patches, tracks, dates, D)."""
    files = tuple(str(folder / f"S1_{name}_2023-04_10dates_uint16.tif") for name in ("VV", "VH"))
    passes = [features(model, files, work, (band, 10 + band), "dn83") for track in TRACKS for band in track]
    return stacked(passes, (len(TRACKS), len(TRACKS[0])))


def features(
    model: str, inputs: tuple[str, ...], work: Path, bands: tuple[int, int] | None = None, units: str = "auto"
) -> Features:
    """Of one acquisition, patch by patch; NaN where a patch has no data."""
    numbers = {} if bands is None else dict(zip(("VV", "VH"), bands, strict=True))
    scene, run = SceneOptions(inputs, bands=numbers, units=units), RunOptions(model, overlap=0.5)  # type: ignore[arg-type]
    embed(EmbedJob(scene, run, str(work / "tokens.tif"), dtype="float32"), Listener())
    attention(AttentionJob(scene, run, str(work / "attention.tif"), resolution="patch"), Listener())
    return {
        "bands": patch_means(scene, model),
        "attention, last layer": np.log2(np.maximum(pixels(work / "attention.tif"), _FLOOR)),
        "tokens": pixels(work / "tokens.tif"),
    }


def patch_means(scene: SceneOptions, model: str) -> NDArray[np.float64]:
    """(patches, bands): the mean backscatter of each patch in dB, over those that lie wholly in the scene; else NaN."""
    spec = read_spec(resolve_model(model))
    patch = spec.backbone.patch
    with open_scene(scene, spec.inputs.bands, model_name=spec.name) as opened:
        db, valid = opened.read(opened.grid.full)
    power = np.where(valid, 10 ** (db.astype(np.float64) / 10), np.nan)
    height, width = (-(-size // patch) for size in valid.shape)
    padded = np.full((len(power), height * patch, width * patch), np.nan)
    padded[:, : valid.shape[0], : valid.shape[1]] = power
    cells = padded.reshape(len(power), height, patch, width, patch).mean(axis=(2, 4))
    return 10 * np.log10(cells).reshape(len(power), -1).T


def pixels(path: Path) -> NDArray[np.float64]:
    """(pixels, bands) of a raster, nodata as NaN."""
    with rasterio.open(path) as dataset:
        values = dataset.read(masked=True).astype(np.float64).filled(np.nan)
    return values.reshape(len(values), -1).T


def stacked(passes: Iterable[Features], shape: tuple[int, ...]) -> Features:
    """Acquisitions of one place in the order of `shape`: name -> (patches, *shape, D), of patches that all show."""
    passes = list(passes)
    tables = {name: np.stack([item[name] for item in passes], axis=1) for name in passes[0]}
    whole = np.all([np.isfinite(values).all(axis=(1, 2)) for values in tables.values()], axis=0)
    return {name: values[whole].reshape(whole.sum(), *shape, values.shape[-1]) for name, values in tables.items()}


def joined(places: Iterable[Features]) -> Features:
    """The patches of all places."""
    places = list(places)
    return {name: np.concatenate([place[name] for place in places]) for name in places[0]}


def table(title: str, seen: Features, factors: tuple[str, ...], rest: str = "speckle") -> str:
    """Shares of the variance, as Markdown."""
    shares = {name: shares_of(values, factors, rest) for name, values in seen.items()}
    columns = sorted(next(iter(shares.values())), key=ORDER.index)
    patches = len(next(iter(seen.values())))
    head = f"| | {' | '.join(columns)} |\n|---|{' --- |' * len(columns)}\n"
    rows = [f"| {name} | {' | '.join(f'{found[c]:.0%}' for c in columns)} |" for name, found in shares.items()]
    return f"## {title}\n\n{patches} patches.\n\n{head}" + "\n".join(rows)


def shares_of(values: NDArray[np.float64], factors: tuple[str, ...], rest: str) -> dict[str, float]:
    """Each factor's share; what it does at single places goes with what it does everywhere. A little below 0 is 0."""
    found: dict[str, float] = {}
    for key, value in variance_components(values, factors).items():
        name = rest if key == (REST,) else NAMES[key]
        found[name] = found.get(name, 0.0) + value
    positive = {name: max(0.0, value) for name, value in found.items()}
    total = sum(positive.values())
    return {name: value / total for name, value in positive.items()}


def page(sections: list[str]) -> str:
    """docs/retest.md."""
    return f"""# Test and retest

Made by `python scripts/experiments/retest.py --data FOLDER`; the command replaces this page.
The same ground is seen again: how
much of the variance between patches is the place, and how much comes from season, orbit, date and speckle? Balanced
random-effects analysis of variance, patch by patch (a patch is a level of *place*); of several dimensions the variances
are summed, and what a factor does at single places counts with what it does everywhere. Bands are mean VV and VH of a
patch in dB, attention is the base-2 logarithm of the last layer's heads.

Read with care:

- A variance component that comes out below 0 is set to 0, and the others are brought to a sum of 100 %: shares of 0 %
  may be noise, and the others are then a little off.
- There are no intervals: places are few, and what other places would give is not known.
- OPERA's places, on all of these dates, are in the starter's pre-training, and two of the dates are among its labelled
  data ("water", "land") as well: this says nothing of places that the model has not seen. openEO's is in neither.
- Rasters of OPERA (100 x 100 pixels) and openEO (64 x 66) are smaller than the starter's window of 128: what tokens and
  attention see beyond the border is the raster mirrored, so that a change of a pixel counts up to four times.

{(chr(10) * 2).join(sections)}
"""


if __name__ == "__main__":
    raise SystemExit(main())

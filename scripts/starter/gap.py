"""How far the simulated places are from real tiles: in backscatter, in speckle, and as a model sees them.

The starter learns mostly from simulation, so what it reaches on simulated places says little about real ones unless
the two look alike. Three looks, from the pixel up: the distribution of VV and VH; the speckle (equivalent number of
looks and autocorrelation); and the mean tokens of windows, whose distance is read beside that of real places among
themselves. Real tiles are a handful, so this can show that the two differ, hardly that they agree. No labels are used.

The distance is that of two normal distributions (D. C. Dowson and B. V. Landau, "The Fréchet distance between
multivariate normal distributions", Journal of Multivariate Analysis 12(3), 1982), of tokens as M. Heusel et al. 2017
(arXiv 1706.08500) use it of a network's features, here after a principal component analysis: a few hundred windows
cannot give the covariance of all the tokens' dimensions.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from sardino_core.contract.errors import DependencyMissing, InputMissing, NoValidData
from sardino_core.contract.jobs import SceneOptions, Units
from sardino_core.contract.model_spec import BandSpec, ModelSpec
from sardino_core.models.model_file import load_weights, read_spec, resolve_model
from sardino_core.models.network import build
from sardino_core.raster.grid import PixelWindow
from sardino_core.raster.reading.scene import Scene, open_scene
from sardino_core.raster.resampling import cell_size, resample_backscatter, resampling_matrix
from sardino_core.raster.scaling import standardise
from sardino_core.simulate.speckle_statistics import SpeckleStatistics, measure
from sardino_core.training.dino.token_probe import tokens_of

DIMENSIONS = 16  # that the tokens are brought to
WINDOWS = 16  # of a place at most, or large tiles would outvote small ones
DRAWS = 20  # of some places against others
LEAST_VALID = 0.9  # share of a window's pixels
_PIXELS = 20_000  # of a place, for histograms and quantiles
_BATCH = 16  # windows
_FILTERED = 15  # equivalent looks that no 10 m GRD scene has: its speckle was filtered, or dates averaged
_PAIR = (BandSpec("VV", 0.0, 1.0), BandSpec("VH", 0.0, 1.0))  # as they are, in dB
_BINS_DB = np.arange(-40.0, 10.5, 0.5)

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


@dataclass(frozen=True)
class Distances:
    """Distances in the tokens' space; `real`, `simulated` and `across` are of `places` against as many, drawn again."""

    whole: float  # all simulated windows against all real ones
    places: int
    real: Floats  # (DRAWS,) each, empty where there are too few places
    simulated: Floats
    across: Floats
    kept: float  # share of the variance that the dimensions kept


def gap(model: str, simulated: Sequence[Path], real: Path) -> tuple[list[str], bytes]:
    """Lines of markdown and a PNG: `simulated` are folders of places with a scene.tif, `real` the folder of real tiles.

    Raises InputMissing for a folder without tiles, NoValidData when no window is valid.
    """
    spec = read_spec(resolve_model(model))
    made = look(model, spec, simulated_tiles(simulated))
    observed = look(model, spec, real_tiles(real))
    found = distances(made.tokens, observed.tokens)
    lines = [*_backscatter_lines(made, observed), "", *_speckle_lines(made, observed), "", *_token_lines(found, spec)]
    return lines, _draw(made, observed)


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


def distances(simulated: Mapping[str, Floats], real: Mapping[str, Floats]) -> Distances:
    """Of mean tokens (W, D) by place, in one space of principal components for all of them."""
    made, observed = np.concatenate(list(simulated.values())), np.concatenate(list(real.values()))
    axes, kept = principal_axes(made, observed)
    near = [value @ axes for value in simulated.values()]
    far = [value @ axes for value in real.values()]
    places = min(len(near), len(far)) // 2
    rng = np.random.default_rng(0)
    drawn: list[tuple[float, float, float]] = []
    for _ in range(DRAWS if places else 0):
        first, second = ([side[index] for index in rng.permutation(len(side))] for side in (near, far))
        pairs = ((second[:places], second[places:]), (first[:places], first[places:]), (first, second))
        one, two, three = (
            frechet(np.concatenate(left[:places]), np.concatenate(right[:places])) for left, right in pairs
        )
        drawn.append((one, two, three))
    columns = np.array(drawn).reshape(-1, 3).T
    return Distances(frechet(made @ axes, observed @ axes), places, *columns, kept)


def principal_axes(first: Floats, second: Floats) -> tuple[Floats, float]:
    """(D, d) directions of the most variance of both sets, each weighing the same, and the share of it they keep."""
    centre = (first.mean(axis=0) + second.mean(axis=0)) / 2
    spread = sum((part - centre).T @ (part - centre) / len(part) for part in (first, second)) / 2
    values, vectors = np.linalg.eigh(spread)
    axes = vectors[:, ::-1][:, :DIMENSIONS]
    return axes, float(values[::-1][:DIMENSIONS].sum() / max(float(values.sum()), 1e-12))


def frechet(first: Floats, second: Floats) -> float:
    """d of Dowson & Landau 1982 between normal distributions with the moments of two samples (n, d) and (m, d).

    d^2 = |m1 - m2|^2 + trace(S1 + S2 - 2 (S1 S2)^(1/2)); the trace of the root is the sum of the singular values of
    S1^(1/2) S2^(1/2), which is symmetric in both and needs no root of a matrix that is not.
    """
    root1, root2 = (_root(np.atleast_2d(np.cov(part, rowvar=False, bias=True))) for part in (first, second))
    shared = float(np.linalg.svd(root1 @ root2, compute_uv=False).sum())
    apart = float(((first.mean(axis=0) - second.mean(axis=0)) ** 2).sum())
    squared = apart + float((root1**2).sum()) + float((root2**2).sum()) - 2 * shared
    return float(np.sqrt(max(0.0, squared)))


def _root(covariance: Floats) -> Floats:
    """Symmetric square root; rounding may leave eigenvalues a little below 0."""
    values, vectors = np.linalg.eigh(covariance)
    result: Floats = (vectors * np.sqrt(np.clip(values, 0, None))) @ vectors.T
    return result


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


def _backscatter_lines(made: Look, observed: Look) -> list[str]:
    lines = [
        f"Backscatter of {made.tiles} simulated tiles ({len(made.db)} places) and {observed.tiles} real ones "
        f"({len(observed.db)} places: {', '.join(observed.db)}): median (5 %, 95 %) over pixels, as many of every "
        "place, and below it the lowest and the highest median of a single place. A difference between the two sets "
        "that is smaller than that between places is no sign of a gap.",
        "",
        "| | VV in dB | VH in dB | VV less VH in dB |",
        "|---|---|---|---|",
    ]
    for name, part in (("simulated", made), ("real", observed)):
        places = [np.concatenate([db, db[:1] - db[1:]]) for db in part.db.values()]  # (3, n) each
        low, middle, high = np.quantile(np.concatenate(places, axis=1), [0.05, 0.5, 0.95], axis=1)
        cells = [f"{m:.1f} ({a:.1f}, {b:.1f})" for a, m, b in zip(low, middle, high, strict=True)]
        medians = np.array([np.median(place, axis=1) for place in places])  # (places, 3)
        ranges = [f"{a:.1f} to {b:.1f}" for a, b in zip(medians.min(axis=0), medians.max(axis=0), strict=True)]
        lines += [f"| {name} | {' | '.join(cells)} |", f"| medians of {name} places | {' | '.join(ranges)} |"]
    return lines


def _speckle_lines(made: Look, observed: Look) -> list[str]:
    filtered = sorted({tile.place for tile in (*made.speckle, *observed.speckle) if tile.vv.enl > _FILTERED})
    note = (
        f" Above {_FILTERED} looks are no single GRD scene, but filtered or averaged: {', '.join(filtered)}."
        if filtered
        else ""
    )
    lines = [
        "Speckle of homogeneous squares (sardino_core/simulate/speckle_statistics.py), median over tiles (lowest to "
        "highest): equivalent number of looks, and autocorrelation one and two pixels away. Looks that are too many or "
        f"pixels that are correlated too little would teach a texture that no sensor has.{note}",
        "",
        "| | tiles | VV: ENL | VV: lag 1 | VV: lag 2 | VH: ENL | VH: lag 1 | VH: lag 2 |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name, part in (("simulated", made), ("real", observed)):
        bands = [band for tile in part.speckle for band in (tile.vv, tile.vh)]
        values = np.array([[band.enl, band.lag1, band.lag2] for band in bands]).reshape(-1, 6)
        cells = [_spread(column, digits) for column, digits in zip(values.T, (1, 2, 2) * 2, strict=True)]
        lines.append(f"| {name} | {len(values)} | {' | '.join(cells)} |")
    return lines


def _spread(values: Floats, digits: int) -> str:
    if not len(values):
        return ""
    return f"{np.median(values):.{digits}f} ({values.min():.{digits}f} to {values.max():.{digits}f})"


def _token_lines(found: Distances, spec: ModelSpec) -> list[str]:
    several = f"{found.places} places against {found.places}"
    lines = [
        f"Fréchet distance (Dowson & Landau 1982) between the mean tokens of windows of {spec.window} pixels, in "
        f"{min(DIMENSIONS, spec.backbone.width)} principal components, which keep {found.kept:.1%} of the variance; "
        f"mean (lowest to highest) of {DRAWS} draws of places. Where the third row is no higher than the first, this "
        "distance does not tell simulated places from real ones; where it is higher, another mix of covers may be the "
        "reason as well as the simulation. Fewer places make any distance larger: compare rows of as many.",
        "",
        "| | places | distance |",
        "|---|---|---|",
    ]
    rows = {
        "real against real": found.real,
        "simulated against simulated": found.simulated,
        "simulated against real": found.across,
    }
    for name, drawn in rows.items():
        if len(drawn):
            lines.append(f"| {name} | {several} | {drawn.mean():.2f} ({drawn.min():.2f} to {drawn.max():.2f}) |")
    return [*lines, f"| simulated against real | all | {found.whole:.2f} |"]


def _draw(made: Look, observed: Look) -> bytes:
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise DependencyMissing("The figure needs matplotlib.", "Install the extra `sardino[explore]`.") from error
    figure = Figure(figsize=(9.6, 3.6), layout="constrained")
    axes = figure.subplots(1, 2, sharey=True)
    for band, (panel, name) in enumerate(zip(axes, ("VV", "VH"), strict=True)):
        for label, part, colour in (("simulated", made, "#d95f02"), ("real", observed, "#1b7837")):
            for db in part.db.values():  # thin: each place
                _step(panel, db[band], colour, lw=0.4, alpha=0.35)
            _step(panel, np.concatenate([db[band] for db in part.db.values()]), colour, lw=2, label=label)
        panel.set(title=name, xlabel="dB", xlim=(-35, 5))
        panel.grid(alpha=0.3)
    axes[0].set_ylabel("share of pixels per dB (thin: single places)")
    axes[1].legend(loc="upper right")
    target = io.BytesIO()
    figure.savefig(target, dpi=130, format="png", metadata={"Software": None})  # the same bytes for the same input
    return target.getvalue()


def _step(panel: Any, db: Floats, colour: str, **style: Any) -> None:
    counts, edges = np.histogram(db, _BINS_DB)
    panel.stairs(counts / max(1, len(db)) / np.diff(edges), edges, color=colour, **style)

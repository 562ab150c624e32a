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
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from gap_tiles import Floats, Look, look, real_tiles, simulated_tiles

from sardino_core.contract.errors import DependencyMissing
from sardino_core.contract.model_spec import ModelSpec
from sardino_core.models.model_file import read_spec, resolve_model
from sardino_core.study.bootstrap import Interval, drawn, interval

DIMENSIONS = 16  # that the tokens are brought to
DRAWS = 20  # of some places against others
RESAMPLES = 2000  # of places, for the shift in backscatter
_FILTERED = 15  # equivalent looks that no 10 m GRD scene has: its speckle was filtered, or dates averaged
_BINS_DB = np.arange(-40.0, 10.5, 0.5)


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


def distances(simulated: Mapping[str, Floats], real: Mapping[str, Floats]) -> Distances:
    """Of mean tokens (W, D) by place, in one space of principal components for all of them."""
    made, observed = np.concatenate(list(simulated.values())), np.concatenate(list(real.values()))
    axes, kept = principal_axes(made, observed)
    near = [value @ axes for value in simulated.values()]
    far = [value @ axes for value in real.values()]
    places = min(len(near), len(far)) // 2
    rng = np.random.default_rng(0)
    draws: list[tuple[float, float, float]] = []
    for _ in range(DRAWS if places else 0):
        first, second = ([side[index] for index in rng.permutation(len(side))] for side in (near, far))
        pairs = ((second[:places], second[places:]), (first[:places], first[places:]), (first, second))
        one, two, three = (
            frechet(np.concatenate(left[:places]), np.concatenate(right[:places])) for left, right in pairs
        )
        draws.append((one, two, three))
    columns = np.array(draws).reshape(-1, 3).T
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


def shift(made: Look, observed: Look) -> list[Interval]:
    """Of VV, VH and VV less VH in dB: mean of the places' medians, simulated less real; the places are drawn again."""
    sides = [np.array([np.median(_with_ratio(db), axis=1) for db in part.db.values()]) for part in (made, observed)]
    first, second = (
        (drawn(len(side), RESAMPLES, seed) / len(side)) @ side for seed, side in enumerate(sides)
    )  # (R, 3) each
    once = sides[0].mean(axis=0) - sides[1].mean(axis=0)
    return [interval(float(value), again) for value, again in zip(once, (first - second).T, strict=True)]


def _with_ratio(db: Floats) -> Floats:
    """(2, n) VV and VH to (3, n), VV less VH below."""
    return np.concatenate([db, db[:1] - db[1:]])


def _backscatter_lines(made: Look, observed: Look) -> list[str]:
    lines = [
        f"Backscatter of {made.tiles} simulated tiles ({len(made.db)} places) and {observed.tiles} real ones "
        f"({len(observed.db)} places: {', '.join(observed.db)}): median (5 %, 95 %) over pixels, as many of every "
        "place, and below it the lowest and the highest median of a single place. Last, the shift: the mean of the "
        "places' medians, simulated less real, with the 95 % interval from drawing the places of both sides again. "
        "With places as few as these it is too narrow, and another mix of covers can shift as well as the simulation. "
        "Most of the real tiles have trained the model; the simulated ones have not.",
        "",
        "| | VV in dB | VH in dB | VV less VH in dB |",
        "|---|---|---|---|",
    ]
    for name, part in (("simulated", made), ("real", observed)):
        places = [_with_ratio(db) for db in part.db.values()]  # (3, n) each
        low, middle, high = np.quantile(np.concatenate(places, axis=1), [0.05, 0.5, 0.95], axis=1)
        cells = [f"{m:.1f} ({a:.1f}, {b:.1f})" for a, m, b in zip(low, middle, high, strict=True)]
        medians = np.array([np.median(place, axis=1) for place in places])  # (places, 3)
        ranges = [f"{a:.1f} to {b:.1f}" for a, b in zip(medians.min(axis=0), medians.max(axis=0), strict=True)]
        lines += [f"| {name} | {' | '.join(cells)} |", f"| medians of {name} places | {' | '.join(ranges)} |"]
    found = shift(made, observed)
    cells = [f"{item.value:+.1f} ({item.low:+.1f} to {item.high:+.1f})" for item in found]
    return [*lines, f"| simulated less real | {' | '.join(cells)} |", "", *_shift_line(found)]


def _shift_line(found: Sequence[Interval]) -> list[str]:
    told = [
        f"{band} ({'darker' if item.value < 0 else 'brighter'} in simulation)"
        for band, item in zip(("VV", "VH"), found, strict=False)
        if item.low > 0 or item.high < 0
    ]
    first = (
        f"The interval of the shift leaves out 0 in {' and in '.join(told)}."
        if told
        else "The intervals of the shift hold 0 in VV and in VH, which does not show that there is none."
    )
    return [
        f"{first} If real places are too bright for a model that learned mostly from simulation, darker input must "
        "help there: [what was tried](starter_tried.md) shows that it helps at some (Tanzania) and harms at others "
        "(Chile)."
    ]


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
    for name, values in rows.items():
        if len(values):
            lines.append(f"| {name} | {several} | {values.mean():.2f} ({values.min():.2f} to {values.max():.2f}) |")
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

"""How much windows should overlap: seams against cost, over simulated places and given tiles; docs/overlap.md.

    python scripts/bench/overlap.py --output docs [--tiles TILE...]

Each place is mapped with every overlap, by the blending of `segment` (a raised cosine) and by a flat mean, and judged
by its distance to the probabilities of a much larger overlap, at the borders of windows and elsewhere; by the share of
the pixels that change class when the windows are moved by half a stride; and by mIoU against the labels. No timing: the
cost is the number of windows.
"""

from __future__ import annotations

import io
import math
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest.mock import patch

import numpy as np
import rasterio
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from measure import table, tell

from sardino_core.contract.jobs import SEGMENT_OVERLAP, RunOptions, SceneOptions, SimulateJob
from sardino_core.contract.listener import Listener
from sardino_core.contract.model_spec import ModelSpec
from sardino_core.models.model_file import read_spec, resolve_model
from sardino_core.pipeline import open_session
from sardino_core.products import class_probabilities
from sardino_core.raster.blending import taper
from sardino_core.raster.grid import RasterGrid
from sardino_core.raster.tiles import Axis, plan_axis
from sardino_core.simulate import simulate_scene
from sardino_core.study.bootstrap import miou

OVERLAPS = (0.0, 0.125, 0.25, 0.375, 0.5)
REFERENCE = 0.75
LARGE = 10_000  # pixels a side of a raster whose windows are counted
FIRST_SEED = 701  # of places that no model of ours was trained on
TAPERS: dict[str, Callable[[int], NDArray[np.float64]]] = {"raised cosine": taper, "flat mean": np.ones}
Extent = tuple[float, float, float, float]
# The labels' WorldCover classes, as the starter tells them apart.
_MERGED = {20: 30, 40: 30, 90: 30, 95: 10, 100: 30}


@dataclass
class Found:
    """What one overlap and one taper gave, a number per place; labels are not everywhere."""

    near: list[float] = field(default_factory=list)
    far: list[float] = field(default_factory=list)
    moved: list[float] = field(default_factory=list)
    counts: list[NDArray[np.int64]] = field(default_factory=list)  # (K, K), reference by map


Table = dict[tuple[str, float], Found]  # by taper and overlap


@dataclass(frozen=True)
class Map:
    """Probabilities of a whole raster, and the windows that they came from."""

    values: NDArray[np.float32]  # (K, h, w)
    valid: NDArray[np.bool_]  # (h, w)
    rows: Axis
    cols: Axis
    classes: NDArray[np.uint8]  # (K,) values

    @property
    def chosen(self) -> NDArray[np.uint8]:
        """The most probable class (h, w)."""
        return self.classes[self.values.argmax(axis=0)]

    def near_borders(self) -> NDArray[np.bool_]:
        """(h, w): at most a token from the edge of a window, the raster's own edges left out."""
        (height, width), reach = self.valid.shape, self.rows.unit
        return _near(self.rows, height, reach)[:, None] | _near(self.cols, width, reach)[None]


def main() -> int:
    """Simulate, map, compare, write."""
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, default=Path("docs"))
    parser.add_argument("--model", default="starter")
    parser.add_argument("--places", type=int, default=4)
    parser.add_argument("--size", type=int, default=640, help="pixels a side of a place")
    parser.add_argument("--tiles", nargs="*", type=Path, default=[], help="real rasters with VV and VH, of any labels")
    arguments = parser.parse_args()
    simulated: Table = {}
    real: Table = {}
    with TemporaryDirectory(prefix="sardino-overlap-") as folder:
        for number in range(arguments.places):
            tell(f"place {number + 1} of {arguments.places}")
            job = SimulateJob(str(Path(folder) / str(number)), arguments.size, FIRST_SEED + number)
            files = simulate_scene(job)
            judge(files["scene"], files["labels"], arguments.model, simulated)
    for tile in arguments.tiles:
        tell(tile.name)
        judge(tile, None, arguments.model, real)
    arguments.output.mkdir(parents=True, exist_ok=True)
    (arguments.output / "overlap.png").write_bytes(draw(simulated))
    path = arguments.output / "overlap.md"
    path.write_text(page(arguments, simulated, real), encoding="utf-8")
    tell(f"written: {path}")
    return 0


def judge(scene: Path, labels: Path | None, model: str, found: Table) -> None:
    """Add what every overlap makes of one raster."""
    spec = read_spec(resolve_model(model))
    with open_session(SceneOptions((str(scene),)), RunOptions(model), Listener()) as session:
        grid, cell = session.scene.grid, session.plan.cell_px
    reference = mapped(scene, model, REFERENCE)["raised cosine"]
    given = None if labels is None else labels_of(labels)
    for overlap in OVERLAPS:
        shift = half_stride(spec, overlap)
        tokens = min(grid.height, grid.width) // cell
        whole, part = (fitting(tokens - taken, spec, overlap) * cell for taken in (0, shift))
        maps = mapped(scene, model, overlap, _extent(grid, 0, whole))
        views = [mapped(scene, model, overlap, _extent(grid, start * cell, part)) for start in (0, shift)]
        for name, here in maps.items():
            into = found.setdefault((name, overlap), Found())
            away = np.abs(here.values - reference.values[:, :whole, :whole]).sum(axis=0) / 2  # total variation, 0 to 1
            borders = here.near_borders()
            into.near.append(float(away[borders & here.valid].mean()))
            into.far.append(float(away[~borders & here.valid].mean()))
            into.moved.append(changed(*(view[name] for view in views), shift * cell))
            if given is not None:
                into.counts.append(confusion(given[:whole, :whole], here.values.argmax(axis=0), here.classes))


def half_stride(spec: ModelSpec, overlap: float) -> int:
    """In tokens, by which windows are moved."""
    return round(spec.tokens_per_side * (1 - overlap) / 2)


def fitting(tokens: int, spec: ModelSpec, overlap: float) -> int:
    """The longest side, in tokens, that windows cover with this overlap and no more: on others they lie closer."""
    stride = math.floor(spec.tokens_per_side * (1 - overlap))
    return spec.tokens_per_side + (tokens - spec.tokens_per_side) // stride * stride


def mapped(scene: Path, model: str, overlap: float, extent: Extent | None = None) -> dict[str, Map]:
    """By taper, the probabilities that `segment` would blend, of a raster or a part of it."""
    options = SceneOptions((str(scene),), extent=extent)
    with open_session(options, RunOptions(model, overlap=overlap), Listener()) as session:
        product = class_probabilities(session.predictor, session.plan.cell_px)
        classes = np.array([item.value for item in session.spec.classes], np.uint8)
        kept: list[NDArray[np.float32]] = []

        def predict(windows: NDArray[np.float32]) -> NDArray[np.float32]:
            kept.append(product.predict(windows))
            return kept[-1]

        maps = {}
        for name, shape in TAPERS.items():
            again = iter(tuple(kept))
            asked = replace(product, predict=(lambda _, again=again: next(again)) if kept else predict)
            with patch("sardino_core.raster.blending.taper", shape), closing(session.rows(asked)) as rows:
                values, valid = zip(*((part.values, part.valid) for part in rows), strict=True)
            axes = session.plan.axes(product.scale)
            maps[name] = Map(np.concatenate(values, axis=1), np.concatenate(valid), *axes, classes)
    return maps


def changed(first: Map, second: Map, shift: int) -> float:
    """Share of the ground that both views show, half a window from their edges, whose class differs.

    The second begins `shift` pixels further down and to the right.
    """
    margin, side = first.rows.window // 2, first.valid.shape[0]
    a, b = slice(shift + margin, side - margin), slice(margin, side - shift - margin)
    valid = first.valid[a, a] & second.valid[b, b]
    return float((first.chosen[a, a] != second.chosen[b, b])[valid].mean())


def _extent(grid: RasterGrid, start: int, side: int) -> Extent:
    (x, y), (far_x, far_y) = (grid.transform @ (at, at) for at in (start, start + side))
    return min(x, far_x), min(y, far_y), max(x, far_x), max(y, far_y)


def windows_of(length_px: int, spec: ModelSpec, overlap: float) -> int:
    """How many a square raster takes."""
    return plan_axis(-(-length_px // spec.backbone.patch), spec.tokens_per_side, overlap).count ** 2


def page(arguments: Namespace, simulated: Table, real: Table) -> str:
    """The page, all of it."""
    spec, tiles = read_spec(resolve_model(arguments.model)), len(arguments.tiles)
    network = f"{spec.backbone.architecture}/{spec.backbone.patch}"
    lines = [
        "# How much windows should overlap",
        "",
        "Made by `python scripts/bench/overlap.py`; the command replaces this page. Scenes are simulated: evidence for",
        "the machinery, none about any place. There is no timing: the cost of an overlap is its number of windows.",
        "",
        f"- model: `{arguments.model}`, {network}, windows of {spec.window} pixels",
        f"- data: {arguments.places} places of {arguments.size} x {arguments.size} pixels, for no model's training"
        + (f"; {tiles} real tiles without labels" if tiles else ""),
        f"- windows: of a raster of {LARGE} x {LARGE} pixels, as a multiple of those without overlap",
        f"- distance: total variation (0 to 1) to the probabilities of overlap {REFERENCE:g} with the raised cosine,",
        "  within a token of the edge of a window, and everywhere else",
        "- changed: share of the pixels whose class changes when the windows are moved by half a stride",
        "- mIoU: of the map without abstaining against the labels, over the pixels of all places",
        "",
        "![Change and distance over the cost](overlap.png)",
        "",
        _section(simulated, spec),
    ]
    if real:
        lines += ["", f"## On {tiles} real tiles", "", _section(real, spec)]
    return "\n".join([*lines, "", "## What follows", "", verdict(simulated, spec), ""])


def verdict(found: Table, spec: ModelSpec) -> str:
    """What the default gains over its neighbours, in numbers."""
    cosine = {overlap: found["raised cosine", overlap] for overlap in OVERLAPS}
    flat = found["flat mean", SEGMENT_OVERLAP]
    here, wider = cosine[SEGMENT_OVERLAP], cosine[max(OVERLAPS)]
    costs = {overlap: windows_of(LARGE, spec, overlap) for overlap in OVERLAPS}
    return (
        f"At the default, {SEGMENT_OVERLAP:g}, moving the windows changes {_mean(here.moved):.2%} of the pixels, "
        f"against {_mean(cosine[0.0].moved):.2%} without overlap and {_mean(wider.moved):.2%} at {max(OVERLAPS):g}; "
        f"mIoU is {_miou(here):.3f}, {_miou(cosine[0.0]):.3f} and {_miou(wider):.3f}. It takes "
        f"{costs[SEGMENT_OVERLAP] / costs[0.0]:.2f} times the windows of no overlap, {max(OVERLAPS):g} takes "
        f"{costs[max(OVERLAPS)] / costs[0.0]:.2f} times. A flat mean at the default changes {_mean(flat.moved):.2%}, "
        f"and is {_mean(flat.near):.4f} from the reference at borders; the raised cosine {_mean(here.near):.4f}."
    )


def labels_of(path: Path) -> NDArray[np.uint8]:
    """Labels of a simulated place (h, w), merged as the starter's classes are."""
    with rasterio.open(path) as dataset:
        given: NDArray[np.uint8] = dataset.read(1)
    for value, merged in _MERGED.items():
        given[given == value] = merged
    return given


def confusion(given: NDArray[np.uint8], chosen: NDArray[np.integer], values: NDArray[np.uint8]) -> NDArray[np.int64]:
    """(K, K), reference by map, where the label is one of `values`; `chosen` are indices into them."""
    count = len(values)
    index = np.zeros(256, np.int64)
    index[values] = np.arange(count)
    known = np.isin(given, values)
    return np.bincount(index[given[known]] * count + chosen[known], minlength=count**2).reshape(count, count)


def draw(found: Table) -> bytes:
    """Change and distance over the number of windows; as PNG."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 3.6), layout="constrained")
    panels = figure.subplots(1, 2)
    costs = [1 / (1 - overlap) ** 2 for overlap in OVERLAPS]
    for name in TAPERS:
        rows = [found[name, overlap] for overlap in OVERLAPS]
        panels[0].plot(costs, [100 * _mean(row.moved) for row in rows], "-o", ms=4, label=name)
        panels[1].plot(costs, [_mean(row.near) for row in rows], "-o", ms=4, label=f"{name}, at borders")
        panels[1].plot(costs, [_mean(row.far) for row in rows], ":o", ms=3, label=f"{name}, elsewhere")
    panels[0].set(title="pixels that change class with moved windows", ylabel="%")
    panels[1].set(title=f"distance to overlap {REFERENCE:g}", ylabel="total variation")
    for panel in panels:
        panel.set_xlabel("windows, as a multiple (overlap)")
        panel.set_xticks(costs, [f"{cost:.2f}\n({overlap:g})" for cost, overlap in zip(costs, OVERLAPS, strict=True)])
        panel.set_ylim(bottom=0)
        panel.grid(alpha=0.3)
        panel.legend(fontsize=8)
    target = io.BytesIO()
    figure.savefig(target, dpi=130, format="png")
    return target.getvalue()


def _section(found: Table, spec: ModelSpec) -> str:
    alone = windows_of(LARGE, spec, 0.0)
    labelled = all(row.counts for row in found.values())
    rows = []
    for (name, overlap), row in sorted(found.items(), key=lambda item: (list(TAPERS).index(item[0][0]), item[0][1])):
        cells = [name, f"{overlap:g}", f"{windows_of(LARGE, spec, overlap) / alone:.2f}"]
        cells += [
            f"{_mean(row.near):.4f}",
            f"{_mean(row.far):.4f}",
            f"{_mean(row.moved):.2%}" if row.moved else "too small",
        ]
        rows.append((*cells, f"{_miou(row):.4f}") if labelled else tuple(cells))
    head = ("blending", "overlap", "windows", "distance at borders", "elsewhere", "changed")
    return table((*head, "mIoU") if labelled else head, rows)


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values)) if values else math.nan


def _miou(found: Found) -> float:
    return float(miou(np.sum(found.counts, axis=0)))


def _near(axis: Axis, length: int, reach: int) -> NDArray[np.bool_]:
    edges = [axis.start(index) for index in range(axis.count)]
    edges = [edge for start in edges for edge in (start, start + axis.window) if 0 < edge < length]
    at = np.arange(length)
    return np.any([(at >= edge - reach) & (at < edge + reach) for edge in edges] or [at < 0], axis=0)


if __name__ == "__main__":
    sys.exit(main())

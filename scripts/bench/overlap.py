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
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from measure import table, tell
from window_maps import (
    OVERLAPS,
    TAPERS,
    changed,
    confusion,
    fitting,
    half_stride,
    labels_of,
    mapped,
    shared_ground,
    square,
)

from sardino_core.contract.jobs import SEGMENT_OVERLAP, RunOptions, SceneOptions, SimulateJob
from sardino_core.contract.listener import Listener
from sardino_core.contract.model_spec import ModelSpec
from sardino_core.models.model_file import read_spec, resolve_model
from sardino_core.pipeline import open_session
from sardino_core.raster.tiles import plan_axis
from sardino_core.simulate import simulate_scene
from sardino_core.study.bootstrap import miou

REFERENCE = 0.75
LARGE = 10_000  # pixels a side of a raster whose windows are counted
FIRST_SEED = 701  # of places that no model of ours was trained on


@dataclass
class Found:
    """What one overlap and one taper gave, a number per place; labels are not everywhere."""

    near: list[float] = field(default_factory=list)
    far: list[float] = field(default_factory=list)
    moved: list[float] = field(default_factory=list)
    counts: list[NDArray[np.int64]] = field(default_factory=list)  # (K, K), reference by map


Table = dict[tuple[str, float], Found]  # by taper and overlap


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
    tokens = min(grid.height, grid.width) // cell
    seen = min(fitting(tokens, spec, overlap) for overlap in OVERLAPS) * cell  # the same ground for every overlap
    ground = shared_ground(tokens, spec)
    if not ground:
        raise SystemExit(
            f"error: {scene.name} has {tokens * cell} pixels a side: too few to move windows of {spec.window}."
        )
    reference = mapped(scene, model, REFERENCE)["raised cosine"].values[:, :seen, :seen]
    given = None if labels is None else labels_of(labels)[:seen, :seen]
    for overlap in OVERLAPS:
        shift = half_stride(spec, overlap)
        whole, part = (fitting(tokens - taken, spec, overlap) * cell for taken in (0, shift))
        maps = mapped(scene, model, overlap, square(grid, 0, whole))
        views = [mapped(scene, model, overlap, square(grid, start * cell, part)) for start in (0, shift)]
        for name, here in maps.items():
            into = found.setdefault((name, overlap), Found())
            away = np.abs(here.values[:, :seen, :seen] - reference).sum(axis=0) / 2  # total variation, 0 to 1
            borders, valid = here.near_borders()[:seen, :seen], here.valid[:seen, :seen]
            into.near.append(float(away[borders & valid].mean()))
            into.far.append(float(away[~borders & valid].mean()))
            into.moved.append(changed(views[0][name], views[1][name], shift * cell, ground, cell))
            if given is not None:
                into.counts.append(confusion(given, here.values.argmax(axis=0)[:seen, :seen], here.classes))


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
        f"- data: {arguments.places} places, {arguments.size} x {arguments.size} pixels each, "
        + "that no model was trained on"
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
        f"and is {_mean(flat.near):.4f} from the reference at borders; the raised cosine {_mean(here.near):.4f}. "
        f"Borders are {_stand_out(here):.1f} times as far from it as the rest, without overlap "
        f"{_stand_out(cosine[0.0]):.1f} times, at {max(OVERLAPS):g} {_stand_out(wider):.1f} times."
    )


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


def _stand_out(found: Found) -> float:
    return _mean(found.near) / _mean(found.far)


def _miou(found: Found) -> float:
    return float(miou(np.sum(found.counts, axis=0)))


if __name__ == "__main__":
    sys.exit(main())

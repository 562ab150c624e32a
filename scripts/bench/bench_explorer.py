"""How long the explorer takes to answer, click to answer, through a warm worker as the plugin uses it.

usage: bench_explorer.py [--model M] [--size N] [--clicks N] [--output FILE]

A simulated scene; the first click of each kind, then the median and the longest of the later ones. "another place": the
network runs over one window; "same place": only layer and head change, as by the spin boxes.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import numpy as np
import rasterio

from sar_dino_qgis.worker.process import WorkerPool
from sardino_core.contract.jobs import ExploreJob, RunOptions, SceneOptions, SimulateJob
from sardino_core.contract.listener import Listener
from sardino_core.contract.model_reader import read_spec, resolve_model
from sardino_core.simulate import simulate_scene


def main() -> None:
    """Measure, and print a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="starter")
    parser.add_argument("--size", type=int, default=2000, help="pixels a side of what is visible")
    parser.add_argument("--clicks", type=int, default=20)
    parser.add_argument("--output", type=Path, help="also write the section there")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="sardino-bench-") as folder:
        simulate_scene(SimulateJob(folder, arguments.size, 7))
        text = section(Path(folder) / "scene.tif", arguments.model, arguments.clicks)
    print(text)
    if arguments.output:
        arguments.output.write_text(text + "\n", encoding="utf-8")


def section(scene: Path, model: str, clicks: int) -> str:
    """The measurements of one scene."""
    with rasterio.open(scene) as dataset:
        bounds, size = dataset.bounds, dataset.shape
    backbone = read_spec(resolve_model(model)).backbone
    random = np.random.default_rng(0)
    places = [
        (float(x), float(y))
        for x, y in zip(
            random.uniform(bounds.left, bounds.right, clicks + 1),
            random.uniform(bounds.bottom, bounds.top, clicks + 1),
            strict=True,
        )
    ]
    options, run = SceneOptions((str(scene),)), RunOptions(model)
    visible = SceneOptions((str(scene),), extent=tuple(bounds))
    output, pool = str(scene.with_name("answer.tif")), WorkerPool(lambda: sys.executable)

    def seconds(job: ExploreJob) -> float:
        started = time.perf_counter()
        pool.run(job, Listener())
        return time.perf_counter() - started

    def attention(place: tuple[float, float], number: int = 0) -> float:
        layer, head = number % backbone.depth, str(1 + number % backbone.heads)
        return seconds(ExploreJob(options, run, output, place, "attention", layer, head))

    def similarity(place: tuple[float, float]) -> float:
        return seconds(ExploreJob(visible, run, output, place, "similarity"))

    kinds: list[tuple[str, Callable[[int], float]]] = [
        ("attention, another place", lambda number: attention(places[number])),
        ("attention, same place", lambda number: attention(places[-1], number)),
        ("similarity, another place", lambda number: similarity(places[number])),
    ]
    try:
        rows = [(name, [ask(number) for number in range(clicks + 1)]) for name, ask in kinds]
    finally:
        pool.close()
    lines = [
        f"| {name} | {first:.2f} s | {1000 * statistics.median(later):.0f} ms | {1000 * max(later):.0f} ms |"
        for name, (first, *later) in rows
    ]
    head = f"| {size[1]} x {size[0]} pixels, `{model}` | first | median of {clicks} | longest |"
    return "\n".join(["## Explorer", "", head, "| --- | --- | --- | --- |", *lines])


if __name__ == "__main__":
    main()

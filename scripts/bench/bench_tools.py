"""The section of `make bench` on tools beside `segment`: composites of many dates, clusters, classes of one's own."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import numpy as np
from measure import Run, table, tell, whole_process, write_tall
from numpy.typing import NDArray

DATES = (3, 12)


def tools(work: Path, block: NDArray[np.float32], model: str, size: int) -> str:
    """Time and peak memory on scenes of `size` x `size` pixels."""
    wide = np.tile(block, (1, 1, -(-size // block.shape[2])))[:, :, :size]
    scene = write_tall(work / "20240105.tif", wide, size)
    dates = [scene, *(shutil.copy(scene, work / f"2024{month:02d}05.tif") for month in range(2, max(DATES) + 1))]
    runs: list[tuple[str, Run]] = []
    for count in DATES:
        tell(f"composite of {count} dates")
        runs.append((f"`composite` of {count} dates", _sardino("composite", *dates[:count], output=work / "mean.tif")))
    for path in dates[1:]:
        Path(path).unlink()
    tell("clusters")
    runs.append(
        ("`cluster`, the number of clusters chosen", _sardino("cluster", scene, model=model, output=work / "c.tif"))
    )
    areas = _areas(work / "areas.geojson", size)
    for features in ("bands,filtered", "bands,filtered,attention,tokens"):
        tell(f"classify by {features}")
        words = ("classify", scene, "--training", areas, "--features", features)
        runs.append((f"`classify` by {features}", _sardino(*words, model=model, output=work / "own.tif")))
    rows = [(name, f"{run.seconds:.0f} s", f"{run.peak_mb:.0f} MB") for name, run in runs]
    return (
        f"## Tools\n\n{size} x {size} pixels, whole processes, one run each. Wanted at 4096 x 4096: a composite of\n"
        "twelve dates in under 2 minutes with no more memory than of three, clusters in under 5 minutes.\n\n"
        f"{table(('', 'time', 'peak memory'), rows)}"
    )


def _sardino(command: str, *words: str | Path, output: Path, model: str | None = None) -> Run:
    chosen = [] if model is None else ["--model", model]
    line = [sys.executable, "-m", "sardino_core", command, *map(str, words), *chosen, "--output", str(output)]
    return whole_process(line)


def _areas(path: Path, size: int) -> Path:
    """Ten squares of 200 m of each of two classes, in the CRS of write_tall's rasters."""
    random, features = np.random.default_rng(0), []
    for number in range(20):
        col, row = random.integers(0, size - 20, 2)
        x, y = 500_000 + 10 * float(col), 5_000_000 - 10 * float(row)
        ring = [[x, y], [x + 200, y], [x + 200, y - 200], [x, y - 200], [x, y]]
        geometry = {"type": "Polygon", "coordinates": [ring]}
        features.append({"type": "Feature", "properties": {"class": 1 + number % 2}, "geometry": geometry})
    crs = {"type": "name", "properties": {"name": "EPSG:32633"}}
    path.write_text(json.dumps({"type": "FeatureCollection", "crs": crs, "features": features}), encoding="utf-8")
    return path

"""Ways to one map side by side: each gives the map, and moving windows is measured as what it is."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import numpy as np
import pytest
import rasterio

from sardino_core.simulate import simulate_arrays

SIZE = 224


@pytest.fixture(scope="module")
def block():
    return simulate_arrays(SIZE, seed=1)[0]


def test_the_plain_loop_agrees_with_segment(block, tmp_path):
    from bench_segment import map_of, run_way
    from measure import write_tall

    raster = write_tall(tmp_path / "scene.tif", block, SIZE)
    maps = {}
    for way in ("segment", "loop"):
        seconds, peak_mb = run_way(sys.executable, way, "starter", raster, tmp_path)
        assert seconds > 0 and peak_mb > 50
        with rasterio.open(map_of(tmp_path, way)) as dataset:
            maps[way] = dataset.read(1)
            assert dataset.nodata == 0 and dataset.shape == (SIZE, SIZE)
        with rasterio.open(f"{map_of(tmp_path, way)}.confidence.tif") as dataset:
            assert 0 < np.nanmin(dataset.read(1)) <= np.nanmax(dataset.read(1)) <= 1
    assert (maps["segment"] == maps["loop"]).mean() > 0.97


def test_views_show_the_same_ground(block):
    from bench_segment import changed, moved_views

    first, second = moved_views(np.arange(400, dtype=np.float32).reshape(1, 20, 20), side=16, shift=3)
    assert first.shape == second.shape == (1, 16, 16)
    assert changed(first[0], second[0], shift=3, margin=4) == 0
    second[0, 5, 5] = -1
    assert changed(first[0], second[0], shift=3, margin=4) == pytest.approx(1 / 5**2)


def test_the_table_has_every_way_and_says_what_is_not_installed(block, tmp_path):
    from bench_segment import NAMES, OURS, PEER_WAYS, throughput

    found = throughput(tmp_path, block, "starter", 1, Path("nowhere") / "python", seam_px=SIZE - 48)
    rows = {line.split(" | ")[0].removeprefix("| "): line.split(" | ")[1:] for line in found.splitlines()}
    for way, name in NAMES.items():
        if way in PEER_WAYS:
            assert set(rows[name]) == {"not installed", "not installed |"}
        else:
            assert float(rows[name][0]) > 0
    assert rows[NAMES[OURS]][1] == "1.00 (1.00 to 1.00)"
    assert re.search(r"Share of the bare forward pass: median \*\*[\d.]+\*\*", found)

"""Ways to one map side by side: each gives the map, and moving windows is measured as what it is."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
import rasterio

from sardino_core.simulate import simulate_arrays

SIZE = 256


def test_views_show_the_same_ground():
    from bench_segment import changed, moved_views

    ground = np.arange(400, dtype=np.float32).reshape(1, 20, 20)
    first, second = (view.copy() for view in moved_views(ground, side=16, shift=3))
    assert first.shape == second.shape == (1, 16, 16)
    assert changed(first[0], second[0], shift=3, margin=4) == 0
    second[0, 5, 5] = -1
    assert changed(first[0], second[0], shift=3, margin=4) == pytest.approx(1 / 5**2)


@pytest.mark.slow
def test_the_table_has_every_way_says_what_is_not_installed_and_their_maps_agree(tmp_path):
    from bench_segment import NAMES, OURS, PEER_WAYS, map_of, throughput

    block = simulate_arrays(SIZE, seed=1)[0]
    found = throughput(tmp_path, block, "starter", 1, Path("nowhere") / "python", seam_px=SIZE - 48)
    rows = {line.split(" | ")[0].removeprefix("| "): line.split(" | ")[1:] for line in found.splitlines()}
    for way, name in NAMES.items():
        if way in PEER_WAYS:
            assert set(rows[name]) == {"not installed", "not installed |"}
        else:
            assert float(rows[name][0]) > 0
    assert rows[NAMES[OURS]][1] == "1.00 (1.00 to 1.00)"
    assert re.search(r"Share of the bare forward pass: median \*\*[\d.]+\*\*", found)
    maps = {}
    for way in (OURS, "loop"):
        with rasterio.open(map_of(tmp_path, way)) as dataset:
            maps[way] = dataset.read(1)
            assert dataset.nodata == 0
        with rasterio.open(f"{map_of(tmp_path, way)}.confidence.tif") as dataset:
            assert 0 < np.nanmin(dataset.read(1)) <= np.nanmax(dataset.read(1)) <= 1
    assert (maps[OURS] == maps["loop"]).mean() > 0.95

import numpy as np
import pytest
from affine import Affine
from rasterio.crs import CRS

from sardino_core.costs import costs
from sardino_core.raster.grid import RasterGrid
from sardino_core.raster.tiles import plan_tiles
from tests.models.specs import make_spec

SPEC = make_spec()


def estimate(width, height, **measured):
    grid = RasterGrid(width, height, Affine(10, 0, 0, 0, -10, 0), CRS.from_epsg(32633))
    plan = plan_tiles(grid, SPEC.tokens_per_side, SPEC.backbone.patch, 0.25)
    measured = {"seconds_per_window": 0.01, "filled": 1.0, "resident_mb": 200.0, **measured}
    return plan, costs(plan, SPEC, **measured)


def test_time_and_disk_grow_with_the_area_and_memory_does_not_with_the_height():
    (_, low), (_, high) = estimate(1000, 1000), estimate(1000, 100_000)
    assert high.memory_mb == low.memory_mb > 200
    assert estimate(100_000, 1000)[1].memory_mb > low.memory_mb
    assert high.disk_mb["map"] == 100 * low.disk_mb["map"] == 100
    assert 80 < high.seconds / low.seconds < 110


def test_windows_without_data_take_no_time():
    assert estimate(1000, 1000, filled=0.0)[1].seconds < 1 < estimate(1000, 1000, filled=0.5)[1].seconds


def test_windows_and_files_are_those_of_the_plan():
    plan, found = estimate(300, 500)
    assert found.windows == plan.count
    cells = np.prod([-(-300 // SPEC.backbone.patch), -(-500 // SPEC.backbone.patch)])
    assert found.disk_mb["embeddings"] == cells * SPEC.backbone.width * 4 / 1e6
    assert found.disk_mb["probabilities"] == pytest.approx(len(SPEC.classes) * found.disk_mb["confidence"])

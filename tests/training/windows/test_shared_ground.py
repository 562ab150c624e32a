"""Rasters of the same ground are found, and what one of them holds out trains in none."""

from __future__ import annotations

import numpy as np
import pytest
from affine import Affine
from rasterio.crs import CRS
from rasterio.warp import calculate_default_transform, transform

from sardino_core.raster.grid import RasterGrid
from sardino_core.training.windows.shared_ground import hold_out_together
from sardino_core.training.windows.sources import SceneStore
from sardino_core.training.windows.split import BlockSplit
from tests.training.rasters import UTM, config, lake

SIDE, BLOCK, MARGIN = 128, 32, 4


def grid(row: int = 0, col: int = 0, side: int = SIDE, shift_m: float = 0.0) -> RasterGrid:
    return RasterGrid(side, side, Affine(10, 0, 500_000 + 10 * col + shift_m, 0, -10, 5_000_000 - 10 * row), UTM)


def in_degrees() -> RasterGrid:
    bounds = grid().bounds
    corners = bounds.xmin, bounds.ymin, bounds.xmax, bounds.ymax
    transform, width, height = calculate_default_transform(UTM, CRS.from_epsg(4326), SIDE, SIDE, *corners)
    return RasterGrid(width, height, transform, CRS.from_epsg(4326))


def split(name: str, own: RasterGrid, share: float) -> BlockSplit:
    return BlockSplit.of(own.height, own.width, name, share, BLOCK, MARGIN, seed=0)


def leaked(first: RasterGrid, one: BlockSplit, second: RasterGrid, two: BlockSplit) -> int:
    """Pixels of the second raster that train on ground by which the first one validates."""
    rows, cols = np.nonzero(one.validates(first.full))
    x, y = first.transform @ np.stack([cols + 0.5, rows + 0.5])
    if first.crs != second.crs:
        x, y = map(np.array, transform(first.crs, second.crs, x, y))
    at_col, at_row = (np.floor(values).astype(int) for values in ~second.transform @ np.stack([x, y]))
    inside = (at_row >= 0) & (at_row < second.height) & (at_col >= 0) & (at_col < second.width)
    return int(two.trains(second.full)[at_row[inside], at_col[inside]].sum())


OVERLAPPING = {
    "the same pixels": grid(),
    "a little further": grid(-5, 9),
    "less than half": grid(90, 70),
    "other pixels": grid(3, 3, shift_m=4.0),
    "smaller": grid(40, 40, side=50),
    "degrees": in_degrees(),
}


@pytest.mark.parametrize("shares", [(0.25, 0.25), (0.25, 0.5), (0.5, 0.0)])
@pytest.mark.parametrize("second", OVERLAPPING.values(), ids=OVERLAPPING)
def test_no_ground_validates_in_one_raster_and_trains_in_another(second, shares):
    grids = [grid(), second]
    splits = [split(name, own, share) for name, own, share in zip("ab", grids, shares, strict=True)]
    one, two = (item.split for item in hold_out_together(grids, splits, shares))
    assert one.validates(grids[0].full).any()
    assert two.trains(grids[1].full).any()
    assert leaked(grids[0], one, grids[1], two) == 0
    assert leaked(grids[1], two, grids[0], one) == 0


def test_dates_of_a_place_hold_out_the_same_blocks_so_that_many_of_them_leave_enough_to_train():
    grids = [grid(date, -date) for date in range(8)]
    found = hold_out_together(grids, [split(str(date), grids[date], 0.25) for date in range(8)], [0.25] * 8)
    assert all(item.split.trains(own.full).mean() > 0.5 for own, item in zip(grids, found, strict=True))
    assert [item.first for item in found] == list(range(8))
    assert [item.first for item in hold_out_together(grids[:1] * 3, [split("a", grid(), 0.25)] * 3, [0.25] * 3)] == [
        0,
        0,
        0,
    ]


def test_what_the_user_held_out_wholly_is_left_to_the_user_and_apart_rasters_stay_as_they_are():
    grids = [grid(), grid(), grid(0, 500)]
    splits = [split("a", grids[0], 0.0), split("b", grids[1], 1.0), split("c", grids[2], 0.25)]
    found = [item.split for item in hold_out_together(grids, splits, [0.0, 1.0, 0.25])]
    assert all(
        np.array_equal(item.trains(grids[0].full), own.trains(grids[0].full))
        for item, own in zip(found, splits, strict=True)
    )


def test_the_store_agrees_the_split_of_several_dates(tmp_path):
    _, labels = lake(tmp_path / "a")
    lake(tmp_path / "b", seed=1)
    lake(tmp_path / "c", seed=2)
    with SceneStore(config(tmp_path / "*" / "scene.tif", labels)) as store:
        one, *others = store.scenes
        assert len(others) == 2
        assert all(np.array_equal(item.split.held_out, one.split.held_out) for item in others)
        assert {item.place for item in store.scenes} == {one.images[0]}

"""Blending: weights are a partition of unity, constants come out, nothing depends on how the work was portioned."""

import numpy as np
from affine import Affine
from hypothesis import given
from hypothesis import strategies as st

from sardino_core.raster.blending import TileValues, axis_weights, blend
from sardino_core.raster.grid import RasterGrid
from sardino_core.raster.tiles import plan_axis, plan_tiles

overlaps = st.floats(0, 0.75)


def plans(draw):
    height, width = draw(st.integers(1, 120)), draw(st.integers(1, 120))
    grid = RasterGrid(width, height, Affine.identity(), None)
    return plan_tiles(grid, draw(st.integers(1, 12)), draw(st.integers(1, 5)), draw(overlaps))


def stack(rows_list):
    assert [rows.row for rows in rows_list] == list(np.cumsum([0] + [r.values.shape[1] for r in rows_list])[:-1])
    return np.concatenate([r.values for r in rows_list], 1), np.concatenate([r.valid for r in rows_list], 0)


def everything(plan, values_of):
    size = plan.window_px
    for tile in plan.tiles():
        yield TileValues(tile, values_of(plan.window(tile)), np.ones((size, size), bool))


@given(st.integers(1, 2000), st.integers(1, 200), overlaps)
def test_weights_are_positive_and_sum_to_one(length, window, overlap):
    axis = plan_axis(length, window, overlap)
    total = np.zeros(axis.padded)
    for index in range(axis.count):
        weights = axis_weights(axis, index)
        assert (weights > 0).all()
        total[axis.start(index) : axis.start(index) + window] += weights
    np.testing.assert_allclose(total, 1, atol=1e-6)


@given(st.data())
def test_a_constant_comes_out_as_it_went_in(data):
    plan = plans(data.draw)
    size = plan.window_px
    values, valid = stack(
        list(blend(everything(plan, lambda w: np.full((2, size, size), 3.5, np.float32)), plan, 2, plan.cell_px))
    )
    assert values.shape == (2, plan.height_px, plan.width_px)
    assert valid.all()
    np.testing.assert_allclose(values, 3.5, rtol=1e-5)


@given(st.data())
def test_a_function_of_the_pixel_alone_is_reproduced(data):
    plan = plans(data.draw)

    def ramp(window):
        rows = np.arange(window.row, window.row + window.height)[:, None]
        cols = np.arange(window.col, window.col + window.width)
        return (rows * 0.5 + cols).astype(np.float32)[None]

    values, _ = stack(list(blend(everything(plan, ramp), plan, 1, plan.cell_px)))
    expected = np.arange(plan.height_px)[:, None] * 0.5 + np.arange(plan.width_px)
    np.testing.assert_allclose(values[0], expected, rtol=1e-5, atol=1e-5)


@given(st.data())
def test_strips_give_the_same_as_one_array_over_the_whole_raster(data):
    """The streamed result equals the plain definition: accumulate everything, in the same order, then cut."""
    plan = plans(data.draw)
    random = np.random.default_rng(data.draw(st.integers(0, 99)))
    size = plan.window_px
    tiles = [
        TileValues(tile, random.normal(size=(2, size, size)).astype(np.float32), random.random((size, size)) < 0.5)
        for tile in plan.tiles()
    ]
    rows, cols = plan.axes(plan.cell_px)
    sums, seen = np.zeros((2, rows.padded, cols.padded), np.float32), np.zeros((rows.padded, cols.padded), bool)
    for item in tiles:
        window = plan.window(item.tile)
        sums[:, window.rows, window.cols] += item.values * np.outer(
            axis_weights(rows, item.tile.row_index), axis_weights(cols, item.tile.col_index)
        )
        seen[window.rows, window.cols] |= item.valid
    values, valid = stack(list(blend(tiles, plan, 2, plan.cell_px)))
    np.testing.assert_array_equal(values, sums[:, : plan.height_px, : plan.width_px])
    np.testing.assert_array_equal(valid, seen[: plan.height_px, : plan.width_px])


def test_windows_without_data_leave_their_pixels_invalid():
    grid = RasterGrid(40, 40, Affine.identity(), None)
    plan = plan_tiles(grid, 2, 8, 0.25)
    empty = np.zeros((16, 16), bool)
    values, valid = stack(list(blend([TileValues(tile, None, empty) for tile in plan.tiles()], plan, 1, 8)))
    assert not valid.any()
    assert not values.any()

"""Tiling: geometry alone. Every pixel is covered, windows overlap as asked, starts lie on cells."""

from itertools import pairwise

import pytest
from affine import Affine
from hypothesis import given
from hypothesis import strategies as st

from sardino_core.raster.grid import RasterGrid
from sardino_core.raster.tiles import plan_axis, plan_tiles

lengths = st.integers(1, 3000)
windows = st.integers(1, 300)
overlaps = st.floats(0, 0.75)


@given(lengths, windows, overlaps)
def test_windows_cover_the_axis_and_overlap_as_asked(length, window, overlap):
    axis = plan_axis(length, window, overlap)
    starts = [axis.start(index) for index in range(axis.count)]
    assert starts[0] == 0
    assert starts[-1] + window == axis.padded == max(length, window)
    steps = [after - before for before, after in pairwise(starts)]
    assert all(0 < step <= max(1, window * (1 - overlap) + 1e-6) for step in steps)
    assert not steps or max(steps) - min(steps) <= 1


@given(lengths, windows, overlaps)
def test_no_window_is_superfluous(length, window, overlap):
    axis = plan_axis(length, window, overlap)
    stride = max(1, int(window * (1 - overlap) + 1e-9))
    assert axis.count == 1 or window + (axis.count - 2) * stride < length


@given(lengths, windows, overlaps, st.data())
def test_touching_windows_are_exactly_those_that_overlap(length, window, overlap, data):
    axis = plan_axis(length, window, overlap)
    index = data.draw(st.integers(0, axis.count - 1))
    expected = [i for i in range(axis.count) if abs(axis.start(i) - axis.start(index)) < window]
    assert list(axis.touching(index)) == expected


@given(st.integers(1, 300), st.integers(1, 300), st.integers(2, 20), st.integers(1, 16), overlaps)
def test_tiles_of_a_raster_lie_on_cells_and_reach_its_end(height, width, cells, cell_px, overlap):
    grid = RasterGrid(width, height, Affine.translation(0, 0), None)
    plan = plan_tiles(grid, cells, cell_px, overlap)
    tiles = list(plan.tiles())
    assert len(tiles) == plan.count
    found = [plan.window(tile) for tile in tiles]
    assert all(window.row % cell_px == 0 and window.col % cell_px == 0 for window in found)
    assert min(window.row for window in found) == 0
    assert height <= max(window.row + window.height for window in found) < height + plan.window_px + cell_px
    assert max(window.col + window.width for window in found) == plan.axes(cell_px)[1].padded


@pytest.mark.parametrize("scale", [1, 8])
def test_patch_and_pixel_axes_describe_the_same_windows(scale):
    grid = RasterGrid(1001, 517, Affine.scale(10), None)
    plan = plan_tiles(grid, 16, 8, 0.25)
    rows, cols = plan.axes(scale)
    assert [rows.start(i) for i in range(rows.count)] == [plan.rows.start(i) * scale for i in range(rows.count)]
    assert (cols.length, rows.length) == ((1001, 517) if scale == 8 else (126, 65))


@given(st.integers(1, 400), st.integers(1, 60), st.integers(1, 200))
def test_scattered_windows_are_all_windows_and_every_beginning_is_spread(height, width, first):
    plan = plan_tiles(RasterGrid(width * 4, height * 4, Affine.identity(), None), 1, 4, 0)
    order = list(plan.scattered())
    assert len(order) == plan.count and set(order) == set(plan.tiles())
    first = min(first, plan.count)
    flat = sorted(tile.row_index * plan.cols.count + tile.col_index for tile in order[:first])
    gaps = [after - before for before, after in pairwise([*flat, flat[0] + plan.count])]
    assert max(gaps) <= 4 * plan.count / first + 8

from __future__ import annotations

import numpy as np
import pytest

from sardino_core.raster.grid import PixelWindow
from sardino_core.training.windows.split import BlockSplit


@pytest.mark.parametrize("share", [0.0, 0.25, 0.5, 1.0])
@pytest.mark.parametrize(("height", "width", "block"), [(100, 140, 32), (7, 7, 512), (300, 40, 64)])
def test_no_pixel_is_on_both_sides_and_only_margins_on_none(share, height, width, block):
    split = BlockSplit.of(height, width, "a.tif", share, block, margin_px=4, seed=0)
    full = PixelWindow(0, 0, height, width)
    trains, validates = split.trains(full), split.validates(full)
    assert not (trains & validates).any()
    assert (trains.all(), validates.all()) == (share == 0, share == 1)
    block_of = split.held_out[np.ix_(np.arange(height) // split.block_px, np.arange(width) // split.block_px)]
    assert not trains[block_of].any()
    assert not validates[~block_of].any()


def test_the_margin_is_kept_between_the_sides():
    split = BlockSplit.of(64, 64, "a.tif", 0.25, 32, margin_px=8, seed=1)
    full = PixelWindow(0, 0, 64, 64)
    training, validating = np.argwhere(split.trains(full)), np.argwhere(split.validates(full))
    gap = np.abs(training[:, None] - validating[None]).max(axis=-1).min() - 1
    assert gap >= 8


def test_a_window_sees_its_part_of_the_whole():
    split = BlockSplit.of(90, 120, "a.tif", 0.3, 16, margin_px=3, seed=2)
    window = PixelWindow(11, 37, 40, 50)
    assert np.array_equal(split.trains(window), split.trains(PixelWindow(0, 0, 90, 120))[window.rows, window.cols])


def test_small_rasters_are_quartered_and_the_draw_depends_on_seed_and_name():
    splits = [BlockSplit.of(224, 224, name, 0.25, 512, 8, seed) for name in "abcd" for seed in (0, 1)]
    assert all(split.held_out.shape == (2, 2) and split.held_out.sum() == 1 for split in splits)
    assert len({split.held_out.tobytes() for split in splits}) > 1
    again = BlockSplit.of(224, 224, "a", 0.25, 512, 8, 0)
    assert np.array_equal(again.held_out, splits[0].held_out)

from __future__ import annotations

import numpy as np
import pytest

from sardino_core.analysis.probe.samples import Windows, block_side, draw_samples, thin
from sardino_core.contract.errors import NoValidData
from tests.training.rasters import CLASSES

SIDE = 4  # patches


def windows(classes: np.ndarray, places: list[int], block_px: int = 64) -> Windows:
    """Windows of 4 x 4 patches of 8 pixels, side by side from left to right in each place's raster."""
    count = len(classes)
    nth = [places[:index].count(place) for index, place in enumerate(places)]
    centres = np.arange(SIDE) * 8 + 4
    return Windows(
        np.zeros((count, 2, 32, 32), np.float32),
        np.ones((count, 32, 32), np.bool_),
        classes,
        np.array(places),
        np.tile(centres, (count, 1)),
        np.stack([centres + 32 * index for index in nth]),
        np.full(count, block_px),
        np.full(count, 8),
    )


def test_patches_without_a_class_are_left_out_and_the_others_keep_their_place():
    classes = np.full((2, SIDE, SIDE), -1)
    classes[0, 1, 2], classes[1, 3, 0], classes[1, 0, 0] = 2, 0, 2
    found = draw_samples(windows(classes, [0, 1]), CLASSES, 100, 0)
    assert [item.name for item in found.classes] == ["water", "low"], "a class that does not occur is no class here"
    assert found.label.tolist() == [1, 1, 0]
    assert found.window.tolist() == [0, 1, 1]
    assert found.patch.tolist() == [6, 0, 12]
    assert found.place.tolist() == [0, 1, 1]
    assert found.counts.tolist() == [[0, 1], [1, 1]]


def test_blocks_of_a_single_place_do_not_touch():
    classes = np.random.default_rng(0).integers(0, 3, (4, SIDE, SIDE))
    found = draw_samples(windows(classes, [0] * 4), CLASSES, 1000, 0)
    assert len(np.unique(found.block)) == 2  # 128 pixels in blocks of 64
    column = found.window * SIDE + found.patch % SIDE
    apart = [abs(a - b) for a, i in zip(column, found.block, strict=True)
             for b, j in zip(column, found.block, strict=True) if i != j]  # fmt: skip
    assert min(apart) == 3, "two patches between them"
    assert set(column) == {0, 1, 2, 3, 4, 5, 6} | set(range(9, 16)), "the raster's own border counts not"
    several = draw_samples(windows(classes, [0, 0, 1, 1]), CLASSES, 1000, 0)
    assert len(several.label) == classes.size, "places are apart anyway"


def test_one_class_is_named_and_refused():
    with pytest.raises(NoValidData, match=r"show trees; a probe needs two classes"):
        draw_samples(windows(np.ones((2, SIDE, SIDE), np.int64), [0, 1]), CLASSES, 100, 0)


def test_thinning_keeps_the_mixture_the_rare_and_the_limit():
    rng = np.random.default_rng(0)
    place = rng.integers(0, 3, 10_000)
    label = np.where(rng.random(10_000) < 0.002, 2, (rng.random(10_000) < 0.3).astype(int))
    chosen = thin(label, place, 1000, 0)
    assert 990 <= len(chosen) <= 1000
    assert len(np.unique(chosen)) == len(chosen)
    rare = (label == 2).sum()
    assert (label[chosen] == 2).sum() == rare, "fewer than twenty in each place: all stay"
    share = (label == 1).mean()
    assert (label[chosen] == 1).mean() == pytest.approx(share, abs=0.03)
    np.testing.assert_array_equal(chosen, thin(label, place, 1000, 0))
    assert (chosen != thin(label, place, 1000, 1)).any() or len(chosen) != len(thin(label, place, 1000, 1))


def test_a_limit_below_the_strata_is_kept_as_well():
    label, place = np.arange(400) % 20, np.arange(400) // 40
    assert len(thin(label, place, 210, 0)) <= 210
    assert len(thin(label, place, 400, 0)) == 400


@pytest.mark.parametrize(
    ("height", "width", "window", "side"), [(256, 256, 128, 128), (224, 224, 128, 112), (100, 90, 128, 50),
                                            (4096, 2000, 128, 1024), (384, 384, 128, 128)],
)  # fmt: skip
def test_blocks_are_two_to_four_to_a_side(height, width, window, side):
    assert block_side(height, width, window) == side

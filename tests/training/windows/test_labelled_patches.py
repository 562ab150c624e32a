"""Every patch at most once, with the class that its pixels have."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from affine import Affine
from hypothesis import given
from hypothesis import strategies as st

from sardino_core.contract.errors import NoValidData
from sardino_core.contract.listener import Listener
from sardino_core.training.windows.labelled_patches import UNLABELLED, labelled_windows, layout, majority
from sardino_core.training.windows.sources import SceneStore
from tests.training.rasters import config, lake, write


@given(st.integers(1, 900), st.integers(1, 20), st.integers(1, 16))
def test_the_layout_covers_every_whole_cell_once(length, side, cell):
    seen: list[int] = []
    for start, own in layout(length, side, cell):
        assert start % cell == 0
        assert start >= 0
        assert 0 <= own.start < own.stop <= side
        seen += [start // cell + index for index in range(own.start, own.stop)]
    assert seen == list(range(max(side, length // cell)))
    assert len(layout(length, side, cell)) == -(-max(side, length // cell) // side), "as few windows as can be"


def test_a_patch_has_the_class_that_most_of_its_labelled_pixels_have():
    rng = np.random.default_rng(0)
    classes = np.kron(rng.integers(0, 3, (6, 6)), np.ones((4, 4), np.int64))
    noise = rng.random(classes.shape)
    classes[noise < 0.25] = rng.integers(0, 3, (noise < 0.25).sum())
    classes[noise > 0.7] = UNLABELLED
    found = majority(classes, 6, agree=0.75, labelled=0.6, count=3)
    for row in range(6):
        for col in range(6):
            pixels = classes[4 * row : 4 * row + 4, 4 * col : 4 * col + 4].ravel().tolist()
            known = [value for value in pixels if value != UNLABELLED]
            most = max(range(3), key=known.count)
            clear = len(known) >= 0.6 * 16 and known.count(most) >= 0.75 * len(known)
            assert found[row, col] == (most if clear else UNLABELLED)
    assert (found == UNLABELLED).any()
    assert (found != UNLABELLED).any()


def test_windows_hold_the_scenes_pixels_and_each_patch_once(tmp_path):
    scene, labels = lake(tmp_path, 80, 96)
    settings = config(scene, labels, source={"hold_out": 1.0})
    with SceneStore(settings) as store:
        found = labelled_windows(store, settings, 0.75, 0.5, 100, Listener())
        db, _, _ = store.read(store.scenes[0], store.scenes[0].grid.full)
    count = np.zeros((10, 12), int)
    names = [item.value for item in settings.classes]
    for window in found:
        row, col = window.row // 8, window.col // 8
        np.testing.assert_array_equal(
            window.backscatter_db, db[:, window.row : window.row + 32, window.col : window.col + 32]
        )
        for index, value in np.ndenumerate(window.classes):
            if value != UNLABELLED:
                count[row + index[0], col + index[1]] += 1
                west = (col + index[1]) * 8 < 48
                assert names[value] == (80 if west else 10)
    assert (count == 1).all()


def test_the_limit_is_shared_among_the_rasters_and_the_choice_depends_on_the_seed(tmp_path):
    for name in "ab":
        lake(tmp_path / name, 160, 160)
    settings = config(tmp_path / "*/scene.tif", tmp_path / "*/labels.tif", source={"hold_out": 1.0})

    def places(seed: int) -> list[tuple[str, int, int]]:
        with SceneStore(settings) as store:
            chosen = labelled_windows(store, replace(settings, seed=seed), 0.75, 0.5, 6, Listener())
        return [(window.scene.name, window.row, window.col) for window in chosen]

    first = places(0)
    assert [name for name, _, _ in first] == ["a/scene.tif"] * 3 + ["b/scene.tif"] * 3
    assert len(set(first)) == 6
    assert first == places(0) != places(1)


def test_a_coarse_label_of_several_classes_says_nothing_here(tmp_path):
    scene, labels = lake(tmp_path)
    mapping = {80: (80,), 10: (10, 30)}
    settings = config(scene, labels, source={"hold_out": 1.0, "mapping": mapping})
    with SceneStore(settings) as store:
        found = labelled_windows(store, settings, 0.75, 0.5, 100, Listener())
    assert {int(value) for window in found for value in np.unique(window.classes)} <= {0, UNLABELLED}


def test_nothing_labelled_is_told(tmp_path):
    scene, _ = lake(tmp_path)
    labels = write(tmp_path / "none.tif", np.zeros((96, 96), np.uint8), nodata=0)
    settings = config(scene, labels, source={"hold_out": 1.0})
    with SceneStore(settings) as store, pytest.raises(NoValidData, match=r"No patch has 50% .* 75%"):
        labelled_windows(store, settings, 0.75, 0.5, 100, Listener())


def test_rasters_outside_the_models_spacing_are_brought_to_it(tmp_path):
    rng = np.random.default_rng(0)
    fine = Affine(5, 0, 500_000, 0, -5, 5_000_000)  # 5 m, where the model wants 8: 13 pixels to a patch of 8
    labels = np.full((160, 160), 80, np.uint8)
    scene = write(tmp_path / "s.tif", rng.normal(-12, 1, (2, 160, 160)).astype(np.float32), fine, names=("VV", "VH"))
    settings = config(scene, write(tmp_path / "l.tif", labels, fine, nodata=0), source={"hold_out": 1.0})
    with SceneStore(settings) as store:
        found = labelled_windows(store, settings, 0.75, 0.5, 100, Listener())
    assert all(window.backscatter_db.shape == (2, 32, 32) and window.cell_px == 13 for window in found)
    assert sum((window.classes == 0).sum() for window in found) == (160 // 13) ** 2

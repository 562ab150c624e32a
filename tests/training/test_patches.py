"""Finding scenes, drawing windows, and laying out validation."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from sardino_core.contract.errors import AreaOutside, InputMissing, NoValidData, SettingInvalid
from sardino_core.training.patches import Patch, PatchSampler, resample_patch, validation_windows
from sardino_core.training.sources import SceneStore, group_polarisations
from tests.training.rasters import config, lake, write


def test_windows_come_with_labels_that_fit_the_image(tmp_path):
    settings = config(*lake(tmp_path))
    with SceneStore(settings) as store:
        sampler = PatchSampler(store, settings)
        rng = np.random.default_rng(0)
        patches = [sampler.draw(rng) for _ in range(20)]
        water = store.sets.number([80])
    for patch in patches:
        assert patch.backscatter_db.shape == (2, 32, 32)
        known = patch.target > 0
        darker = patch.backscatter_db[0] < -14.5
        assert (darker == (patch.target == water))[known].mean() > 0.97
    assert sampler.drawn.total() == 20


def test_held_out_labels_never_train(tmp_path):
    settings = config(*lake(tmp_path), least_labelled=0.0)
    with SceneStore(settings) as store:
        (scene,) = store.scenes
        trained = np.zeros((96, 96), bool)
        sampler = PatchSampler(store, settings)
        rows_cols = []
        read = store.read

        def spy(scene, window):
            rows_cols.append(window)
            return read(scene, window)

        store.read = spy
        rng = np.random.default_rng(0)
        for _ in range(60):
            patch = sampler.draw(rng)
            trained[rows_cols[-1].rows, rows_cols[-1].cols] |= patch.target > 0
        held_out = scene.split.validates(scene.grid.full)
    assert held_out.any()
    assert not (trained & held_out).any()
    assert trained.mean() > 0.5


def test_windows_without_data_or_labels_are_skipped_and_counted(tmp_path):
    scene, labels = lake(tmp_path, 64, 256)
    db = np.full((2, 64, 256), np.nan, np.float32)
    db[:, :, :64] = -10 + np.random.default_rng(0).normal(0, 2, (2, 64, 64))
    db[1] -= 6
    write(scene, db, names=("VV", "VH"))
    values = np.zeros((64, 256), np.uint8)
    values[:40, :64] = 10
    write(labels, values, nodata=0)
    settings = config(scene, labels, source={"hold_out": 0.0})
    with SceneStore(settings) as store:
        sampler = PatchSampler(store, settings)
        rng = np.random.default_rng(0)
        for _ in range(10):
            patch = sampler.draw(rng)
            assert patch.valid.mean() >= settings.least_valid
    assert sampler.skipped["images: too little valid data"] > 0
    assert sampler.drawn["images"] == 10


def test_a_source_without_any_usable_window_is_an_error_that_says_so(tmp_path):
    scene, labels = lake(tmp_path)
    write(labels, np.zeros((96, 96), np.uint8), nodata=0)
    settings = config(scene, labels)
    with SceneStore(settings) as store, pytest.raises(NoValidData, match="too few labels"):
        PatchSampler(store, settings).draw(np.random.default_rng(0))


@pytest.mark.parametrize("size", [(20, 27), (100, 20), (1, 1)])
def test_rasters_smaller_than_a_window_are_mirrored_without_labels_in_the_mirror(tmp_path, size):
    settings = config(*lake(tmp_path, *size), source={"hold_out": 0.0}, least_labelled=0.0)
    with SceneStore(settings) as store:
        patch = PatchSampler(store, settings).draw(np.random.default_rng(0))
    height, width = min(size[0], 32), min(size[1], 32)
    assert patch.valid.all()
    assert (patch.target[:height, :width] > 0).all()
    assert not patch.target[height:].any()
    assert not patch.target[:, width:].any()
    if height < 32 <= 2 * height:
        assert np.array_equal(patch.backscatter_db[:, height], patch.backscatter_db[:, height - 1])


@pytest.mark.parametrize(("height", "width"), [(96, 96), (70, 150), (10, 33)])
def test_every_validation_label_belongs_to_exactly_one_window(tmp_path, height, width):
    settings = config(*lake(tmp_path, height, width), source={"hold_out": 1.0})
    with SceneStore(settings) as store:
        windows = list(validation_windows(store, settings))
    assert sum(int((window.target > 0).sum()) for window in windows) == height * width


def test_scaling_a_window_keeps_mean_power_and_labels_in_place():
    rng = np.random.default_rng(0)
    db = rng.normal(-12, 3, (2, 64, 64)).astype(np.float32)
    target = np.kron(np.array([[1, 2], [3, 4]]), np.ones((32, 32), np.int64))
    small = resample_patch(Patch(db, np.ones((64, 64), bool), target), 32)
    assert np.allclose((10 ** (small.backscatter_db / 10)).mean(), (10 ** (db / 10)).mean(), rtol=1e-4)
    assert np.array_equal(small.target, target[::2, ::2])


def test_files_of_two_polarisations_make_one_scene():
    names = ["a/x_VV.tif", "a/y_VV.tif", "a/x_VH.tif", "b/x_VH.tif", "a/iw-vv.rtc.tiff", "a/iw-vh.rtc.tiff", "a/z.tif"]
    groups = group_polarisations([Path(name) for name in names])
    assert [[str(path) for path in group] for group in groups] == [
        ["a/x_VV.tif", "a/x_VH.tif"],
        ["a/y_VV.tif"],
        ["b/x_VH.tif"],
        ["a/iw-vv.rtc.tiff", "a/iw-vh.rtc.tiff"],
        ["a/z.tif"],
    ]


def test_globs_pair_by_order_when_there_are_as_many_labels_and_by_place_otherwise(tmp_path):
    for name in ("p1", "p2"):
        lake(tmp_path / name, seed=ord(name[1]))
    with SceneStore(config(tmp_path / "*" / "scene.tif", tmp_path / "*" / "labels.tif")) as store:
        assert [scene.labels[0].parent.name for scene in store.scenes] == ["p1", "p2"]
    with SceneStore(config(tmp_path / "*" / "scene.tif", tmp_path / "p1" / "labels.tif")) as store:
        assert [scene.labels[0].parent.name for scene in store.scenes] == ["p1", "p1"]


def test_missing_files_missing_paths_and_labels_elsewhere_are_named(tmp_path):
    scene, labels = lake(tmp_path)
    with pytest.raises(InputMissing, match="none"):
        SceneStore(config(tmp_path / "none*.tif", labels))
    with pytest.raises(SettingInvalid, match="'real'"):
        SceneStore(config("{real}/x.tif", labels))
    far = write(tmp_path / "far.tif", np.ones((96, 96), np.uint8), crs=None, nodata=0)
    with pytest.raises(AreaOutside, match=r"overlaps scene\.tif"):
        SceneStore(config(scene, far))

"""Finding scenes, drawing windows, and laying out validation."""

from __future__ import annotations

import re
from collections import Counter
from contextlib import contextmanager, nullcontext
from pathlib import Path

import numpy as np
import pytest

from sardino_core.contract.errors import (
    AreaOutside,
    BandsMissing,
    InputMissing,
    NotARaster,
    NoValidData,
    SettingInvalid,
)
from sardino_core.contract.listener import Listener
from sardino_core.training.settings.run_config import RunConfig
from sardino_core.training.windows.label_blocks import take_census
from sardino_core.training.windows.patches import Patch, PatchSampler, resample_patch, validation_windows
from sardino_core.training.windows.sources import SceneStore, group_polarisations
from tests.training.rasters import config, lake, write


@contextmanager
def sampling(settings):
    """The store, the census and a sampler of a configuration."""
    with SceneStore(settings) as store:
        census = take_census(store, settings, Listener())
        yield store, census, PatchSampler(census, settings)


def test_windows_come_with_labels_that_fit_the_image(tmp_path):
    settings = config(*lake(tmp_path))
    with sampling(settings) as (store, _, sampler):
        rng = np.random.default_rng(0)
        patches = [sampler.draw(store, rng, Counter())[0] for _ in range(20)]
        water = store.sets.number([80])
    for patch in patches:
        assert patch.backscatter_db.shape == (2, 32, 32)
        known = patch.target > 0
        darker = patch.backscatter_db[0] < -14.5
        assert (darker == (patch.target == water))[known].mean() > 0.97


@pytest.mark.parametrize("fraction", [1.0, 0.3])
def test_held_out_labels_never_train_nor_do_those_that_were_not_chosen(tmp_path, fraction):
    settings = config(*lake(tmp_path), least_labelled=0.0, label_fraction=fraction)
    with sampling(settings) as (store, census, sampler):
        (item,), (scene,) = census.training, store.scenes
        trained = np.zeros((96, 96), bool)
        rng = np.random.default_rng(0)
        for _ in range(200):
            patch, origin = sampler.draw(store, rng, Counter())
            row, col = map(int, re.fullmatch(r".* at row (\d+), column (\d+)", origin).groups())
            trained[row : row + 32, col : col + 32] |= patch.target > 0
        allowed = scene.split.trains(scene.grid.full) & item.used(scene.grid.full)
    assert not (trained & ~allowed).any()
    assert trained.sum() > 0.95 * allowed.sum()


def test_few_labels_in_a_large_raster_are_found_at_once(tmp_path):
    scene, labels = lake(tmp_path, 640, 640)
    values = np.zeros((640, 640), np.uint8)
    values[500:520, 70:90] = 10
    write(labels, values, nodata=0)
    skipped = Counter()
    with sampling(config(scene, labels, source={"hold_out": 0.0})) as (store, _, sampler):
        rng = np.random.default_rng(0)
        patches = [sampler.draw(store, rng, skipped)[0] for _ in range(50)]
    assert all((patch.target > 0).mean() >= 0.05 for patch in patches)
    assert skipped.total() < 50


def test_windows_without_data_or_labels_are_skipped_and_counted(tmp_path):
    scene, labels = lake(tmp_path, 64, 256)
    db = np.full((2, 64, 256), np.nan, np.float32)
    db[:, :, 60:76] = -10 + np.random.default_rng(0).normal(0, 2, (2, 64, 16))
    db[1] -= 6
    write(scene, db, names=("VV", "VH"))
    settings = config(scene, labels, source={"hold_out": 0.0}, least_valid=0.4)
    skipped = Counter()
    with sampling(settings) as (store, _, sampler):
        rng = np.random.default_rng(0)
        for _ in range(10):
            patch, _ = sampler.draw(store, rng, skipped)
            assert patch.valid.mean() >= settings.least_valid
    assert skipped["images: too little valid data"] > 0


def test_a_scene_that_breaks_during_the_run_is_named_and_skipped_until_there_are_too_many(tmp_path):
    for number in range(3):
        lake(tmp_path / f"p{number}", seed=number)
    pattern = tmp_path / "p*" / "scene.tif", tmp_path / "p*" / "labels.tif"
    settings = config(*pattern, run=RunConfig(memory_mb=0), unreadable=0.4)
    skipped = Counter()
    with sampling(settings) as (store, _, sampler):
        for number, limit in ((1, None), (2, "2 of 3 rasters cannot be read")):
            broken = tmp_path / f"p{number}" / "scene.tif"
            broken.write_bytes(broken.read_bytes()[:5000])
            again = store.twin()
            rng = np.random.default_rng(0)
            with again, pytest.raises(NotARaster, match=limit) if limit else nullcontext():
                for _ in range(20):
                    sampler.draw(again, rng, skipped)
    assert skipped["p1/scene.tif cannot be read"] > 0


def test_a_scene_that_breaks_before_it_validates_is_skipped_and_counted_there_too(tmp_path):
    for number in range(3):
        lake(tmp_path / f"p{number}", seed=number)
    pattern = tmp_path / "p*" / "scene.tif", tmp_path / "p*" / "labels.tif"
    settings = config(*pattern, run=RunConfig(memory_mb=0), unreadable=0.4)
    with sampling(settings) as (store, _, _):
        broken = tmp_path / "p1" / "scene.tif"
        broken.write_bytes(broken.read_bytes()[:5000])
        with store.twin() as again:
            seen = {window.scene.name for window in validation_windows(again, settings)}
        assert seen == {"p0/scene.tif", "p2/scene.tif"}
        assert list(store.damaged) == ["p1/scene.tif"]


def test_a_scene_without_data_is_told_and_skipped_unless_there_is_no_other(tmp_path):
    _, labels = lake(tmp_path / "good")
    write(tmp_path / "empty" / "scene.tif", np.full((2, 96, 96), np.nan, np.float32), names=("VV", "VH"))
    with SceneStore(config(tmp_path / "*" / "scene.tif", labels)) as store:
        assert [scene.name for scene in store.scenes] == ["good/scene.tif"]
        assert "skipped: scene.tif holds no valid pixel" in next(iter(store.warnings))
    with pytest.raises(NoValidData, match="no valid pixel"):
        SceneStore(config(tmp_path / "empty" / "scene.tif", labels))


def test_a_source_without_any_usable_window_is_an_error_that_says_so(tmp_path):
    scene, labels = lake(tmp_path)
    values = np.zeros((96, 96), np.uint8)
    values[40, 40] = 10
    write(labels, values, nodata=0)
    settings = config(scene, labels, source={"hold_out": 0.0})
    with sampling(settings) as (store, _, sampler), pytest.raises(NoValidData, match="too few labels"):
        sampler.draw(store, np.random.default_rng(0), Counter())


@pytest.mark.parametrize("size", [(20, 27), (100, 20), (1, 1)])
def test_rasters_smaller_than_a_window_are_mirrored_without_labels_in_the_mirror(tmp_path, size):
    settings = config(*lake(tmp_path, *size), source={"hold_out": 0.0}, least_labelled=0.0)
    with sampling(settings) as (store, _, sampler):
        patch, _ = sampler.draw(store, np.random.default_rng(0), Counter())
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
        shared = [list(validation_windows(store, settings, rank, 2)) for rank in (0, 1)]
    assert sum(int((window.target > 0).sum()) for window in windows) == height * width
    assert sum(int((window.target > 0).sum()) for part in shared for window in part) == height * width
    assert abs(len(shared[0]) - len(shared[1])) <= 1


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


def test_a_scene_with_other_bands_is_named(tmp_path):
    _, labels = lake(tmp_path)
    db = np.random.default_rng(0).normal(-10, 2, (2, 96, 96)).astype(np.float32)
    write(tmp_path / "scene_horizontal.tif", db, names=("HH", "HV"))
    with pytest.raises(BandsMissing, match=r"scene_horizontal\.tif"):
        SceneStore(config(tmp_path / "scene*.tif", labels))


def test_scenes_in_different_units_are_brought_to_db_each_by_itself(tmp_path):
    _, labels = lake(tmp_path)
    db = np.random.default_rng(0).normal(-10, 2, (2, 96, 96)).astype(np.float32)
    db[1] -= 6.5
    write(tmp_path / "scene_power.tif", 10 ** (db / 10), names=("VV", "VH"))
    with SceneStore(config(tmp_path / "scene*.tif", labels)) as store:
        _, second = store.scenes
        assert [scene.notes[0].split(",")[0] for scene in store.scenes] == ["units: db", "units: power"]
        assert np.allclose(store.read(second, second.grid.full)[0], db, atol=1e-3)

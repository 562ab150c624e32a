"""Counting labels by block, and choosing a fraction of them."""

from __future__ import annotations

import shutil
from dataclasses import replace

import numpy as np
import pytest
from affine import Affine
from hypothesis import given
from hypothesis import strategies as some
from hypothesis.extra.numpy import arrays

from sardino_core.contract.errors import NotARaster, NoValidData, SettingInvalid, SpacingUnsuitable
from sardino_core.contract.listener import Listener
from sardino_core.raster.grid import PixelWindow
from sardino_core.training.settings.run_config import RunConfig
from sardino_core.training.windows.label_blocks import choose_blocks, take_census
from sardino_core.training.windows.sources import SceneStore
from tests.training.rasters import config, lake, write
from tests.training.runs import Ear

COUNTS = arrays(np.int64, some.tuples(some.integers(1, 40), some.integers(1, 4)), elements=some.integers(0, 50))
SEED = some.integers(0, 2**32 - 1)


def draws(seed: int, count: int) -> np.ndarray:
    return 1.0 - np.random.default_rng(seed).random(count)


def census_of(settings, listener=None):
    with SceneStore(settings) as store:
        return take_census(store, settings, listener or Listener()), store


@given(COUNTS, SEED, some.lists(some.floats(0.001, 1), min_size=2, max_size=4))
def test_smaller_fractions_are_within_larger_ones_and_hold_every_class(counts, seed, fractions):
    chosen = [choose_blocks(counts, draws(seed, len(counts)), fraction) for fraction in sorted(fractions)]
    for fraction, smaller, larger in zip(sorted(fractions), chosen, chosen[1:], strict=False):
        assert not (smaller & ~larger).any()
        assert counts[smaller].sum() >= fraction * counts.sum()
    for flags in chosen:
        assert np.array_equal(counts[flags].any(axis=0), counts.any(axis=0))
        assert np.array_equal(flags, choose_blocks(counts, draws(seed, len(counts)), 1.0) & flags)


def test_all_labels_are_used_at_one_and_another_seed_chooses_others():
    counts = np.random.default_rng(0).integers(0, 9, (50, 3))
    assert choose_blocks(counts, draws(0, 50), 1.0)[counts.any(axis=1)].all()
    first, second = (choose_blocks(counts, draws(seed, 50), 0.2) for seed in (0, 1))
    assert not np.array_equal(first, second)


@pytest.mark.parametrize("fraction", [0.01, 0.05, 0.25])
def test_each_class_keeps_about_its_share(fraction):
    rng = np.random.default_rng(0)
    shares = rng.dirichlet((2.0, 0.6, 0.2), size=4000)  # the third is rare
    counts = np.round(shares * 1000).astype(np.int64)
    for seed in range(5):
        flags = choose_blocks(counts, draws(seed, len(counts)), fraction)
        kept = counts[flags].sum(axis=0) / counts.sum(axis=0)
        assert np.all(np.abs(kept / fraction - 1) < 0.3), kept


def test_labels_are_counted_block_by_block_on_their_side_of_the_split(tmp_path):
    settings = config(*lake(tmp_path, 100, 80))
    found, store = census_of(settings)
    (item,), (scene,) = found.training, store.scenes
    assert item.counts.shape == (4, 3, len(store.sets.members))
    with SceneStore(settings) as again:
        _, _, target = again.read(again.scenes[0], scene.grid.full)
    trains, validates = scene.split.trains(scene.grid.full), scene.split.validates(scene.grid.full)
    for number in range(1, len(store.sets.members)):
        assert found.available[number] == (trains & (target == number)).sum()
        assert found.validation[number] == (validates & (target == number)).sum()
        assert item.counts[1, 2, number] == (trains & (target == number))[32:64, 64:].sum()


def test_what_was_not_chosen_is_unknown_and_validation_stays(tmp_path):
    settings = config(*lake(tmp_path, 256, 256))
    every, _ = census_of(settings)
    some_of_it, _ = census_of(replace(settings, label_fraction=0.1))
    assert np.array_equal(some_of_it.validation, every.validation)
    assert np.array_equal(some_of_it.available, every.available)
    assert 0.1 <= some_of_it.used.sum() / every.used.sum() < 0.2
    (item,) = some_of_it.training
    window = PixelWindow(40, 10, 90, 120)
    rows, cols = np.mgrid[40:130, 10:130]
    assert np.array_equal(item.used(window), item.chosen[rows // item.side_px, cols // item.side_px])


def test_memory_makes_no_difference(tmp_path):
    settings = config(*lake(tmp_path), source={"erode_px": 2})
    kept, store = census_of(settings)
    from_disk, other = census_of(replace(settings, run=RunConfig(memory_mb=0)))
    assert np.array_equal(kept.training[0].counts, from_disk.training[0].counts)
    window = PixelWindow(13, 30, 40, 41)
    for first, second in zip(store.read(store.scenes[0], window), other.read(other.scenes[0], window), strict=True):
        assert first.dtype == second.dtype
        assert np.array_equal(first, second)
    other.close()


def test_a_damaged_scene_is_named_and_left_out_and_too_many_are_an_error(tmp_path):
    for number in range(4):
        lake(tmp_path / f"p{number}")
    broken = tmp_path / "p1" / "scene.tif"
    content = broken.read_bytes()
    broken.write_bytes(content[: len(content) // 2])  # it opens, and cannot be read to its end
    (tmp_path / "p2" / "scene.tif").write_text("no raster")
    settings = config(tmp_path / "p*" / "scene.tif", tmp_path / "p*" / "labels.tif", unreadable=0.5)
    ear = Ear()
    found, store = census_of(settings, ear)
    assert [item.scene.name for item in found.training] == ["p0/scene.tif", "p3/scene.tif"]
    assert [scene.name for scene in store.scenes] == ["p0/scene.tif", "p3/scene.tif"]
    assert sorted(line.split(":")[1] for line in ear.said) == [" skipped p1/scene.tif", " skipped p2/scene.tif"]
    with pytest.raises(NotARaster, match="2 of 4 rasters cannot be read"):
        census_of(replace(settings, unreadable=0.3))


def test_strange_labels_and_empty_ones_are_told_before_training(tmp_path):
    scene, labels = lake(tmp_path)
    write(labels, np.full((96, 96), 55, np.uint8), nodata=0)
    with pytest.raises(SettingInvalid, match=r"labels\.tif holds the label 55"):
        census_of(config(scene, labels))
    write(labels, np.zeros((96, 96), np.uint8), nodata=0)
    with pytest.raises(NoValidData, match="No label is left to train with"):
        census_of(config(scene, labels))


def test_a_spacing_beyond_the_model_names_the_scene(tmp_path):
    _, labels = lake(tmp_path)
    db = np.random.default_rng(0).normal(-10, 2, (2, 96, 96)).astype(np.float32)
    db[1] -= 6.5
    scene = write(tmp_path / "coarse.tif", db, Affine(500, 0, 500_000, 0, -500, 5_000_000), names=("VV", "VH"))
    with pytest.raises(SpacingUnsuitable, match=r"coarse\.tif"):
        census_of(config(scene, labels))


def test_whole_places_are_chosen_nested_and_with_every_class(tmp_path):
    for number in range(12):
        lake(tmp_path / f"p{number:02d}", seed=number, east_m=20_000 * number)
    settings = config(tmp_path / "p*" / "scene.tif", tmp_path / "p*" / "labels.tif", source={"hold_out": 0.0})
    chosen = []
    for fraction in (0.05, 0.3, 1.0):
        found, _ = census_of(replace(settings, label_fraction=fraction, label_unit="place"))
        assert all(item.chosen.all() or not item.chosen.any() for item in found.training)
        assert found.available.sum() == 12 * 96 * 96
        assert found.used.sum() >= fraction * found.available.sum()
        assert found.used[found.available > 0].all()
        chosen.append({item.scene.name for item in found.training if item.chosen.any()})
    assert [len(names) for names in chosen] == [1, 4, 12]
    assert chosen[0] < chosen[1] < chosen[2]


def test_two_dates_of_a_place_are_chosen_together(tmp_path):
    for number in range(4):
        scene, _ = lake(tmp_path / f"p{number}", seed=number, east_m=20_000 * number)
        shutil.copy(scene, scene.with_name("scene2.tif"))
    settings = config(
        tmp_path / "p*" / "scene*.tif",
        tmp_path / "p*" / "labels.tif",
        source={"hold_out": 0.0},
        label_fraction=0.1,
        label_unit="place",
    )
    found, _ = census_of(settings)
    assert len(found.training) == 8
    chosen = {item.scene.images[0].parent.name for item in found.training if item.chosen.all()}
    assert len(chosen) == 1
    assert sum(item.chosen.any() for item in found.training) == 2


def test_dates_of_a_place_have_the_same_labels_chosen_and_namesakes_elsewhere_their_own(tmp_path):
    """Otherwise the labels of more ground than asked would train, each with another date."""
    _, labels = lake(tmp_path / "a" / "one", 96, 96)
    lake(tmp_path / "b" / "one", 96, 96, seed=1)
    lake(tmp_path / "c" / "two", 64, 96, seed=2)  # overlaps, on other pixels than the first two
    pattern = tmp_path / "*" / "*" / "scene.tif"
    settings = replace(config(pattern, labels, source={"hold_out": 0.0}), label_fraction=0.3)
    census, _ = census_of(settings)
    first, second = (item for item in census.training if item.scene.images[0].parent.name == "one")
    assert np.array_equal(first.chosen, second.chosen)
    assert 0 < first.chosen.mean() < 1

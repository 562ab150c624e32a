from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from affine import Affine

from sardino_core.contract.errors import (
    BandsMissing,
    InputMissing,
    NotARaster,
    NoValidData,
    SettingInvalid,
    SpacingUnsuitable,
)
from sardino_core.contract.listener import Listener
from sardino_core.raster.grid import PixelWindow
from sardino_core.training.dino.plan import count_windows, plan, require_enough
from sardino_core.training.settings.pretrain_config import RunConfig, ViewConfig
from sardino_core.training.windows.places import survey
from sardino_core.training.windows.unlabelled import Loader, PixelStore, WindowSampler
from tests.training.rasters import places, pretrain_config, write
from tests.training.runs import Ear

FROM_DISK = RunConfig(memory_mb=0, tensorboard=False)


def noise(folder: Path, name: str, level: float = -10.0, side: int = 96, seed: int = 0) -> Path:
    db = level + np.random.default_rng(seed).normal(0, 1.5, (2, side, side))
    db[1] -= 6.5
    return write(folder / name, db.astype(np.float32), names=("VV", "VH"))


def look(images: Path | str, **changes):
    config = pretrain_config(images, **changes)
    return survey(config, Listener()), config


def test_dates_on_one_grid_make_one_place_and_share_windows(tmp_path):
    for day, level in ((5, -10.0), (17, -14.0)):
        noise(tmp_path, f"s1_202006{day:02d}.tif", level)
    found, config = look(tmp_path / "*.tif")
    assert [len(place.acquisitions) for place in found.places] == [2]
    sampler = WindowSampler(found, config)
    assert sampler.dates == 2
    (db, valid), _ = sampler.draw(PixelStore({}), np.random.default_rng(0), Counter())
    assert db.shape == (2, 2, 48, 48)
    assert valid.shape == (2, 48, 48)
    assert abs(abs(db[0, 0].mean() - db[1, 0].mean()) - 4) < 0.5
    off = pretrain_config(tmp_path / "*.tif", views=replace(config.views, dates="off"))
    assert WindowSampler(found, off).dates == 1


def test_seasons_within_one_file_are_dates(tmp_path):
    db = np.random.default_rng(0).normal(-12, 2, (4, 96, 96)).astype(np.float32)
    write(tmp_path / "year.tif", db, names=("VV_summer", "VH_summer", "VV_winter", "VH_winter"))
    found, _ = look(tmp_path / "year.tif")
    assert [item.date for item in found.places[0].acquisitions] == ["winter", "summer"]
    assert found.places[0].partners(0, "same-orbit") == [1]


@pytest.mark.parametrize("memory_mb", [0, 100])
def test_chunks_are_the_same_whatever_was_read_before_and_from_memory_too(tmp_path, memory_mb):
    run = RunConfig(memory_mb=memory_mb, tensorboard=False)
    found, config = look(places(tmp_path) / "*.tif", run=run)
    order = [(step, 0) for step in range(6)]
    with Loader(found, config) as loader:
        assert loader.in_memory == bool(memory_mb)
        steps = [loader.chunk(order, position, 4) for position in range(6)]
    with Loader(found, config) as loader:
        later = loader.chunk(order, 4, 4)
    assert np.array_equal(later.backscatter_db, steps[4].backscatter_db)
    assert later.origins == steps[4].origins
    assert not np.array_equal(steps[0].backscatter_db, steps[1].backscatter_db)


def test_windows_without_enough_data_are_skipped_and_counted(tmp_path):
    db = np.full((2, 200, 200), -12.0, np.float32) + np.random.default_rng(0).normal(0, 1, (2, 200, 200))
    db[:, :, 90:] = np.nan
    write(tmp_path / "half.tif", db.astype(np.float32), names=("VV", "VH"))
    found, config = look(tmp_path / "half.tif")
    assert 0.4 < found.places[0].acquisitions[0].valid_share < 0.5
    with Loader(found, config) as loader:
        chunk = loader.chunk([(0, 0)], 0, 16)
    assert chunk.skipped["too little valid data"] > 0
    assert chunk.valid.mean(axis=(1, 2, 3)).min() >= 0.5


def test_places_are_drawn_by_their_valid_area(tmp_path):
    noise(tmp_path, "a/scene.tif", side=64)
    write(tmp_path / "b" / "scene.tif", np.random.default_rng(0).normal(-12, 1, (2, 192, 192)).astype(np.float32),
          Affine(10, 0, 600_000, 0, -10, 5_000_000), names=("VV", "VH"))  # fmt: skip
    found, config = look(tmp_path / "*" / "scene.tif")
    with Loader(found, config) as loader:
        chunk = loader.chunk([(0, 0)], 0, 400)
    share = sum(origin.startswith("a/") for origin in chunk.origins) / 400
    assert share == pytest.approx(1 / 10, abs=0.04)
    assert count_windows(found.places, 32) == 40


def test_a_damaged_file_is_skipped_by_name_and_too_many_stop(tmp_path):
    noise(tmp_path, "good.tif")
    (tmp_path / "bad.tif").write_bytes(b"II*\x00rubbish")
    said: list[str] = []

    class Ear(Listener):
        def log(self, level: str, message: str) -> None:
            said.append(f"{level}: {message}")

    found = survey(pretrain_config(tmp_path / "*.tif", unreadable=0.5), Ear())
    assert len(found.places) == 1
    assert said[0].startswith("warning: skipped: ")
    assert "bad.tif" in said[0]
    with pytest.raises(NotARaster, match="1 of 2 rasters"):
        survey(pretrain_config(tmp_path / "*.tif"), Listener())


def test_bad_input_is_named(tmp_path):
    with pytest.raises(InputMissing, match="No file matches"):
        look(tmp_path / "none*.tif")
    write(tmp_path / "hh.tif", np.random.default_rng(0).normal(-9, 1, (1, 64, 64)).astype(np.float32), names=("HH",))
    with pytest.raises(BandsMissing, match="hh"):
        look(tmp_path / "hh.tif")
    db = np.random.default_rng(0).normal(-12, 1, (2, 64, 64)).astype(np.float32)
    write(tmp_path / "coarse.tif", db, Affine(1000, 0, 0, 0, -1000, 0), names=("VV", "VH"))
    with pytest.raises(SpacingUnsuitable, match=r"coarse\.tif: .*1000 m"):
        look(tmp_path / "coarse.tif")
    empty = np.full((2, 64, 64), np.nan, np.float32)
    write(tmp_path / "empty.tif", empty, names=("VV", "VH"))
    with pytest.raises(NoValidData, match="empty"):
        look(tmp_path / "empty.tif")
    noise(tmp_path, "empty_not.tif")
    assert len(look(tmp_path / "empty*.tif")[0].places) == 1
    with pytest.raises(SettingInvalid, match=r"optimiser\.batch_size"):
        require_enough(3, 64)


def test_rasters_smaller_than_a_window_are_mirrored(tmp_path):
    noise(tmp_path, "small.tif", side=20)
    found, config = look(tmp_path / "small.tif", run=FROM_DISK, views=ViewConfig(zoom=(1.0, 1.0), local_size=16))
    with Loader(found, config) as loader:
        assert loader.chunk([(0, 0)], 0, 2).backscatter_db.shape == (2, 1, 2, 48, 48)


def test_files_shifted_by_whole_pixels_give_views_of_the_same_ground(tmp_path):
    rng = np.random.default_rng(3)
    ground = (-12 + rng.normal(0, 2, (2, 160, 160)) + np.array([0, -6.5])[:, None, None]).astype(np.float32)
    for day, (row, col) in ((5, (0, 0)), (17, (24, 10))):
        place = Affine(10, 0, 500_000 + 10 * col + 1e-4, 0, -10, 5_000_000 - 10 * row)  # and a little rounding
        write(
            tmp_path / f"s1_202006{day:02d}.tif", ground[:, row : row + 120, col : col + 120], place, names=("VV", "VH")
        )
    found, config = look(tmp_path / "*.tif", run=FROM_DISK)
    assert [item.origin for item in found.places[0].acquisitions] == [(0, 0), (24, 10)]
    sampler, store, paired = WindowSampler(found, config), PixelStore({}), 0
    for seed in range(30):
        (db, _), origin = sampler.draw(store, np.random.default_rng(seed), Counter())
        assert np.array_equal(db[0], db[1]), origin  # the same ground, or one date twice where the other has none
        paired += sampler.dates == 2
    assert paired == 30
    first, second = found.places[0].acquisitions
    assert first.shown_by(PixelWindow(24, 10, 30, 30), second) == PixelWindow(0, 0, 30, 30)
    assert first.shown_by(PixelWindow(23, 10, 30, 30), second) is None
    assert second.shown_by(PixelWindow(90, 0, 30, 30), first) is None


def test_units_are_recognised_file_by_file_and_said(tmp_path):
    for number in range(5):
        noise(tmp_path, f"s{number}.tif", seed=number)
    for number in range(5, 7):
        db = np.random.default_rng(number).normal(-10, 1.5, (2, 96, 96)) - np.array([0, 6.5])[:, None, None]
        write(tmp_path / f"s{number}_power.tif", (10 ** (db / 10)).astype(np.float32), names=("VV", "VH"))
    ear = Ear()
    _, found, _ = plan(pretrain_config(tmp_path / "*.tif"), ear)
    assert any("units differ and are recognised file by file: 5 in db, 2 in power" in line for line in ear.said)
    assert sum("  power, by" in line for line in ear.said) == 1
    for item in found.acquisitions:
        with item.open() as scene:
            assert np.median(scene.read(scene.grid.full)[0][0]) == pytest.approx(-10, abs=0.5)


def test_a_file_without_the_bands_is_named(tmp_path):
    noise(tmp_path, "both.tif")
    one = np.random.default_rng(0).normal(-9, 1, (1, 64, 64)).astype(np.float32)
    write(tmp_path / "only_vv.tif", one, names=("VV",))
    with pytest.raises(BandsMissing, match=r"only_vv\.tif holds VV only; .* needs VV and VH"):
        look(tmp_path / "*.tif")


def test_a_truncated_file_is_named_skipped_and_counted_in_the_middle_of_an_epoch(tmp_path):
    noise(tmp_path, "good.tif", side=400)
    whole = noise(tmp_path, "cut.tif", side=400, seed=1)
    found, config = look(tmp_path / "*.tif", run=FROM_DISK, unreadable=0.5)
    whole.write_bytes(whole.read_bytes()[:600_000])  # of 1.3 MB
    with Loader(found, config) as loader:
        chunk = loader.chunk([(0, 0)], 0, 200)
    assert chunk.skipped[f"{tmp_path.name}/cut.tif cannot be read"] > 0
    assert len(chunk.origins) == 200
    strict = replace(config, unreadable=0.2)
    told = r"1 of 2 rasters cannot be read, more than the 20%.*cut\.tif"
    with pytest.raises(NotARaster, match=told), Loader(found, strict) as loader:
        loader.chunk([(0, 0)], 0, 200)


def test_many_rasters_are_told_by_their_source(tmp_path):
    noise(tmp_path, "a.tif", side=32)
    found, _ = look(tmp_path / "a.tif")
    assert found.described == found.names == (f"{tmp_path.name}/a.tif",)
    many = replace(found, places=found.places * 300)
    assert many.described == (f"images, 300 scenes: {tmp_path.name}/a.tif to {tmp_path.name}/a.tif",)


def test_a_file_that_fails_in_the_middle_is_counted_by_name_and_the_rest_goes_on(tmp_path, monkeypatch):
    found, config = look(places(tmp_path, count=4) / "*.tif", run=FROM_DISK, unreadable=0.3)
    broken, read = found.acquisitions[0], PixelStore.read

    def failing(self, item, window):
        if item is broken:
            raise NotARaster("place_0.tif is damaged.")
        return read(self, item, window)

    monkeypatch.setattr(PixelStore, "read", failing)
    with Loader(found, config) as loader:
        chunk = loader.chunk([(0, 0)], 0, 32)
    assert chunk.skipped[f"{broken.name} cannot be read"] > 0
    assert not any("place_0" in origin for origin in chunk.origins)
    strict = replace(config, unreadable=0.1)
    with pytest.raises(NotARaster, match="1 of 4 rasters"), Loader(found, strict) as loader:
        loader.chunk([(0, 0)], 0, 32)

"""M3LEO chip folders, laid out as its makers' code writes them; see `chip_folders`."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from sardino_core.contract.errors import InputMissing, NotARaster, SettingInvalid
from sardino_core.contract.model_spec import BandSpec, ClassSpec
from sardino_core.training.dino.plan import plan
from sardino_core.training.landcover.plan import finetune_plan
from sardino_core.training.settings.finetune_config import SourceConfig
from sardino_core.training.settings.pretrain_config import ImageConfig
from sardino_core.training.settings.run_config import RunConfig
from sardino_core.training.windows.chips import ChipConfig, ChipFolder, band_numbers, labels_are_numbers, look_at
from sardino_core.training.windows.places import survey
from sardino_core.training.windows.sources import SceneStore
from sardino_core.training.windows.unlabelled import Loader
from tests.training.chip_folders import BANDS, HASH, chip_folder
from tests.training.rasters import INPUTS, config, pretrain_config
from tests.training.runs import Ear

FROM_DISK = RunConfig(memory_mb=0, tensorboard=False)


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return chip_folder(tmp_path_factory.mktemp("m3leo"))


def labelled(folder: Path, **chips):
    source = SourceConfig(images=(str(folder),), m3leo=ChipConfig(**chips))
    return config("x", "y", sources=(source,))


@pytest.mark.parametrize("season", ["winter", "spring", "summer", "fall"])
@pytest.mark.parametrize("orbit", ["ascending", "descending"])
def test_band_numbers_are_those_of_the_names(season, orbit):
    for name, number in band_numbers(season, orbit, INPUTS.bands).items():
        assert BANDS[number - 1] == f"{season}_{name.lower()}{orbit[:3]}"
    assert list(band_numbers(season, orbit, (BandSpec("VH", -20, 5),))) == ["VH"]


def test_the_training_split_gives_a_place_per_chip_with_up_to_eight_acquisitions(folder):
    found = survey(pretrain_config(folder, run=FROM_DISK), Ear())
    assert [len(place.acquisitions) for place in found.places] == [7, 8]  # the first lacks descending winters
    first = found.places[0]
    assert {(item.date, item.orbit) for item in found.places[1].acquisitions} == {
        (season, orbit) for season in ("winter", "spring", "summer", "fall") for orbit in ("ascending", "descending")
    }
    assert ("winter", "descending") not in {(item.date, item.orbit) for item in first.acquisitions}
    assert len(set(found.names)) == 15
    summer = next(i for i, item in enumerate(first.acquisitions) if (item.date, item.orbit) == ("summer", "ascending"))
    partners = [first.acquisitions[i] for i in first.partners(summer, "same-orbit")]
    assert sorted(item.date for item in partners) == ["fall", "spring", "winter"]
    assert {item.orbit for item in partners} == {"ascending"}


def test_pixels_come_in_db_with_the_wrap_as_it_is(folder):
    found = survey(pretrain_config(folder, run=FROM_DISK), Ear())
    item = next(i for i in found.acquisitions if (i.date, i.orbit) == ("summer", "ascending"))
    with item.open() as scene:
        db, valid = scene.read(scene.grid.full)
    assert scene.tags["ORBIT"] == "ascending"
    assert valid.all()
    water, trees = db[:, : db.shape[1] // 2], db[:, db.shape[1] // 2 :]
    assert np.median(water[0]) == pytest.approx(-22, abs=0.3)
    assert np.median(trees[0]) == pytest.approx(-11, abs=0.3)
    assert np.median(trees[1]) == pytest.approx(-17.5, abs=0.3)
    assert np.median(water[1]) > -1.5  # -31 dB has become a high number, and is warned of


def test_windows_pair_two_seasons_of_one_orbit(folder):
    settings = pretrain_config(folder, run=FROM_DISK)
    with Loader(survey(settings, Ear()), settings) as loader:
        chunk = loader.chunk([(0, 0)], 0, 8)
    assert chunk.backscatter_db.shape[:2] == (8, 2)
    apart = np.abs(chunk.backscatter_db[:, 0, 0] - chunk.backscatter_db[:, 1, 0]).mean(axis=(1, 2))
    assert (apart > 0.5).all()  # each season of the toy is a decibel below the one before
    assert all("(" in origin for origin in chunk.origins)


@pytest.mark.parametrize("numbers", [False, True])
def test_a_folder_is_all_that_fine_tuning_needs(tmp_path, numbers):
    folder = chip_folder(tmp_path, numbers=numbers, names=False)
    settings = labelled(folder)
    with SceneStore(settings) as store:
        assert [bool(scene.split.held_out.all()) for scene in store.scenes] == [False, False, True]  # no test chip
        assert not any(scene.split.held_out.any() for scene in store.scenes[:2])
        scene = store.scenes[0]
        db, valid, target = store.read(scene, scene.grid.full)
        water, trees = store.sets.number([80]), store.sets.number([10])
        assert (target[:32] == water).all()
        assert (target[32:] == trees).all()
        assert valid.all()
        assert np.median(db[0, 32:]) == pytest.approx(-11, abs=0.3)  # summer, ascending
        assert any("wrap" in text for text in store.warnings)
        assert any("0 to 10" in text for text in store.warnings) == numbers
    with SceneStore(labelled(folder, season="winter", orbit="descending", validate="test")) as store:
        assert len(store.scenes) == 2  # one training chip has no such data
        assert any(text.startswith("1 chips have no labels, or no data") for text in store.warnings)


def test_both_warnings_are_said_once_by_a_dry_run(tmp_path):
    folder = chip_folder(tmp_path, numbers=True)
    ear = Ear()
    plan(pretrain_config(folder), ear)
    assert sum("wrap" in line for line in ear.said) == 1
    ear = Ear()
    finetune_plan(labelled(folder), "scratch", ear)
    assert sum("wrap" in line for line in ear.said) == 1
    assert sum("tree cover" in line for line in ear.said) == 1
    assert any("water: 4,096 and 2,048" in line for line in ear.said)


def test_labels_that_are_all_trees_are_told_from_numbers_by_the_other_chips(folder):
    assert not labels_are_numbers(ChipFolder.of(folder, ChipConfig()))


def test_unknown_splits_years_and_files_are_named(tmp_path):
    folder = chip_folder(tmp_path)
    with pytest.raises(InputMissing, match="no chip of the split training; the splits are test, train, val"):
        survey(
            pretrain_config("x", sources=(ImageConfig(images=(str(folder),), m3leo=ChipConfig(train="training")),)),
            Ear(),
        )
    with pytest.raises(InputMissing, match="no s1grd-2018; there are s1grd-2020"):
        ChipFolder.of(folder, ChipConfig(year=2018))
    twin = folder.parent / f"{HASH}_splits_other.csv"
    twin.write_text("identifier,part\n0,train\n")
    with pytest.raises(SettingInvalid, match=r"Several files.*m3leo\.splits"):
        ChipFolder.of(folder, ChipConfig())
    with pytest.raises(SettingInvalid, match="no column 'split'"):
        ChipFolder.of(folder, ChipConfig(splits=str(twin)))
    twin.write_bytes(b"\xff\x00identifier,split\n")
    with pytest.raises(SettingInvalid, match="no CSV text"):
        ChipFolder.of(folder, ChipConfig(splits=str(twin)))
    twin.unlink()
    (folder / "esaworldcover-2020").rename(folder / "elsewhere")
    with pytest.raises(InputMissing, match="no esaworldcover-YEAR"):
        finetune_plan(labelled(folder), "scratch", Ear())
    for path in folder.parent.glob("*.csv"):
        path.unlink()
    with pytest.raises(InputMissing, match=r"_splits\*\.csv"):
        ChipFolder.of(folder, ChipConfig())


def test_damaged_chips_are_counted_like_any_other_file(tmp_path):
    folder = chip_folder(tmp_path)
    chip = next((folder / "s1grd-2020").glob("*1.tif"))
    chip.write_bytes(chip.read_bytes()[:3000])
    with pytest.raises(NotARaster):
        look_at(chip)
    with pytest.raises(NotARaster, match="1 of 2 rasters"):
        survey(pretrain_config(folder), Ear())
    settings = labelled(folder)
    with pytest.raises(NotARaster, match="1 of 3 rasters"):
        SceneStore(settings)


def test_classes_of_the_user_are_mapped_from_codes(tmp_path):
    folder = chip_folder(tmp_path, numbers=True)
    source = SourceConfig(images=(str(folder),), mapping={10: (1,), 80: (2,)})
    classes = (ClassSpec(1, "green", "#006400"), ClassSpec(2, "blue", "#0064c8"))
    with SceneStore(config("x", "y", classes=classes, sources=(source,))) as store:
        _, _, target = store.read(store.scenes[0], store.scenes[0].grid.full)
        assert set(np.unique(target)) == {store.sets.number([1]), store.sets.number([2])}

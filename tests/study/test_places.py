from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from affine import Affine

from sardino_core.contract.errors import InputMissing, SettingInvalid
from sardino_core.contract.listener import Listener
from sardino_core.raster.grid import RasterGrid
from sardino_core.study.config import PlacesConfig, load_study_config
from sardino_core.study.given_places import real_places, together
from sardino_core.study.places import (
    evaluation_sources,
    paths_of,
    pretraining_sources,
    simulate,
    training_sources,
    with_seen,
)
from sardino_core.study.pretraining import folder_of
from sardino_core.study.study import find_places, run_study
from sardino_core.training.windows.sources import SceneStore
from tests.study.studies import lakes, study
from tests.training.rasters import UTM


def grid(x: float, y: float = 0.0, crs=UTM) -> RasterGrid:
    return RasterGrid(100, 100, Affine(10, 0, 500_000 + x, 0, -10, 5_000_000 + y), crs)


def test_simulated_places_are_apart_and_every_other_test_place_is_seen(tmp_path):
    config = study(places=PlacesConfig(train=3, validation=2, test=5, size=64))
    places = find_places(config, tmp_path)
    assert [place.role for place in places] == ["train"] * 3 + ["validation"] * 2 + ["test"] * 5
    assert [place.seen for place in places[5:]] == [False, True, False, True, False]
    assert len({place.source.images for place in places}) == 10
    simulate(config, tmp_path, Listener())
    settings = replace(config.finetune, paths=paths_of(config, tmp_path))
    for sources, count in ((training_sources(places), 3), (evaluation_sources(places, "test"), 5)):
        with SceneStore(replace(settings, sources=sources)) as store:
            assert len(store.scenes) == count
    (images,) = pretraining_sources(places, paths_of(config, tmp_path))
    assert sorted(Path(path).parent.name for path in images.images) == [f"64px-{n:04d}" for n in (1, 2, 3, 7, 9)]


@pytest.mark.parametrize(("share", "count"), [(0.0, 0), (0.25, 2), (0.5, 4), (1.0, 8)])
def test_the_share_that_is_seen(tmp_path, share, count):
    places = find_places(study(places=PlacesConfig(train=1, validation=1, test=8, seen=share)), tmp_path)
    assert sum(place.seen for place in places) == count
    assert not any(place.seen for place in places if place.role != "test")
    assert with_seen(places, share) == places


def test_one_s_own_places_are_divided_whatever_their_folder_is_called(tmp_path):
    config = study(*lakes(tmp_path / "in {x} [y]", 0), places=PlacesConfig(validation=1, test=2))
    lakes(tmp_path / "in", 6)
    (tmp_path / "in").rename(tmp_path / "in {x} [y]")
    named = str(tmp_path / "in {{x}} [[]y]" / "lake*")
    source = replace(config.finetune.sources[0], images=(f"{named}/scene.tif",), labels=(f"{named}/labels.tif",))
    config = replace(config, finetune=replace(config.finetune, sources=(source,)))
    places = find_places(config, tmp_path / "out")
    assert sorted(place.role for place in places) == ["test", "test", "train", "train", "train", "validation"]
    for sources, count in ((training_sources(places), 3), (evaluation_sources(places, "test"), 2)):
        with SceneStore(replace(config.finetune, sources=sources)) as store:
            assert len(store.scenes) == count
            for scene in store.scenes:
                assert scene.labels[0].parent == scene.images[0].parent
    other = find_places(replace(config, places=replace(config.places, seed=5)), tmp_path / "out")
    assert [place.role for place in other] != [place.role for place in places]


def test_a_single_place_is_refused_in_one_line(tmp_path):
    with pytest.raises(SettingInvalid, match=r"single place, lake0/scene\.tif: no geographic split is possible"):
        run_study(study(*lakes(tmp_path / "in", 1)), tmp_path / "out", Listener())
    assert not (tmp_path / "out").exists()


def test_too_few_places_are_refused(tmp_path):
    with pytest.raises(SettingInvalid, match="show 3 places"):
        find_places(study(*lakes(tmp_path / "in", 3)), tmp_path)


def test_scenes_that_overlap_are_one_place_and_neighbours_are_not():
    found = together([grid(0), grid(1000), grid(500, 900), grid(5000), grid(5000, crs=None)])
    assert found.tolist() == [found[0], found[0], found[0], found[3], found[4]]
    assert len(set(found.tolist())) == 3
    assert len(set(together([grid(0), grid(1000), grid(0, 1000)]).tolist())) == 3
    assert len(set(together([grid(0, crs=None)] * 2).tolist())) == 2


def test_changed_files_are_other_places(tmp_path):
    config = study(*lakes(tmp_path / "in", 5))
    first = find_places(config, tmp_path)
    assert find_places(config, tmp_path) == first
    folder = folder_of(config, first, tmp_path)
    for path in (tmp_path / "in").glob("lake*/scene.tif"):
        path.write_bytes(path.read_bytes() + b"\0")
    second = find_places(config, tmp_path)
    assert not {place.stamp for place in first} & {place.stamp for place in second}
    assert folder_of(config, second, tmp_path) != folder


def test_real_tiles_are_test_places_whose_labels_go_to_the_classes(data_folder):
    config = load_study_config("study")
    places = real_places(str(data_folder), config.finetune)
    assert len(places) >= 5
    assert {place.role for place in places} == {"real"}
    assert not any(place.pretrains for place in places)
    settings = replace(config.finetune, sources=evaluation_sources(places, "real"))
    with SceneStore(settings) as store:
        known = {allowed for scene in store.scenes for allowed in _allowed(store, scene)}
    assert {frozenset([80]), frozenset([10]), frozenset([30]), frozenset([50])} < known
    assert frozenset([10, 30, 50, 60]) in known  # not water


def _allowed(store, scene):
    _, _, target = store.read(scene, scene.grid.full)
    return [store.sets.members[number] for number in np.unique(target)]


def test_a_folder_without_them_is_told(tmp_path):
    with pytest.raises(InputMissing, match="none of the real tiles"):
        find_places(study(real=str(tmp_path)), tmp_path)

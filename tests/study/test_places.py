from __future__ import annotations

import signal
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from sardino_core.contract.errors import Cancelled, InputMissing, SettingInvalid
from sardino_core.contract.listener import Listener
from sardino_core.study.config import PlacesConfig, load_study_config
from sardino_core.study.given_places import real_places
from sardino_core.study.labels import look_at_labels
from sardino_core.study.places import (
    evaluation_sources,
    paths_of,
    pretraining_sources,
    simulate,
    training_sources,
    with_seen,
)
from sardino_core.study.pretraining import folder_of, pretrained
from sardino_core.study.study import find_places, run_study
from sardino_core.training.windows.sources import SceneStore
from tests.study.studies import lakes, study
from tests.training.runs import Ear


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
    with pytest.raises(
        SettingInvalid, match=r"single place, lake0/scene\.tif: no geographic split is possible"
    ) as told:
        run_study(study(*lakes(tmp_path / "in", 1)), tmp_path / "out", Listener())
    assert "Give 4 places or more: 1 to train, 1 to validate and 2 to test" in str(told.value)
    assert not (tmp_path / "out").exists()


def test_too_few_places_are_told_how_many_it_takes(tmp_path):
    config = study(*lakes(tmp_path / "in", 3), places=PlacesConfig(validation=2, test=5))
    with pytest.raises(SettingInvalid, match="show 3 places") as told:
        find_places(config, tmp_path)
    assert "Give 8 places or more" in str(told.value)


@pytest.mark.parametrize(
    ("every_m", "apart_m", "count"), [(960, 1000, 1), (1900, 1000, 1), (2000, 1000, 6), (1900, 0, 6)]
)
def test_neighbours_are_one_place_up_to_a_distance(tmp_path, every_m, apart_m, count):
    images, labels = lakes(tmp_path / "in", 6, every_m)
    config = study(images, labels, places=PlacesConfig(validation=1, test=2, apart_m=apart_m))
    if count == 1:
        with pytest.raises(SettingInvalid, match=r"single place.*within 1000 m of each other \(places\.apart_m\)"):
            find_places(config, tmp_path)
    else:
        assert len(find_places(config, tmp_path)) == count


def test_a_stop_while_simulating_tells_what_is_kept(tmp_path):
    class Impatient(Listener):
        def cancelled(self):
            return len(list(tmp_path.glob("places/*/labels.tif"))) == 2

    with pytest.raises(Cancelled) as told:
        simulate(study(), tmp_path, Impatient())
    assert str(told.value) == (
        "The study was stopped while it simulated; 2 of 7 places are made and kept. "
        "The same command goes on from there."
    )


def test_a_stop_while_labels_are_looked_at_does_not_say_that_nothing_was_written(tmp_path):
    class Stopped(Listener):
        def cancelled(self):
            return True

    config = study(*lakes(tmp_path / "in", 5))
    with pytest.raises(Cancelled, match=r"what was done before is kept\. The same command goes on"):
        look_at_labels(config, find_places(config, tmp_path), tmp_path, Stopped())


@pytest.mark.parametrize("way", ["listener", "signal"])
def test_a_stop_in_pre_training_does_not_name_an_option_that_the_study_lacks(tmp_path, way):
    class Impatient(Ear):
        stopped = False

        def progress(self, fraction, message):
            if message.startswith("step 2 "):
                self.stopped = way == "listener"
                if way == "signal":
                    signal.raise_signal(signal.SIGTERM)

        def cancelled(self):
            return self.stopped

    config, ear = study(*lakes(tmp_path / "in", 5)), Impatient()
    with pytest.raises(Cancelled) as told:
        pretrained(config, find_places(config, tmp_path), tmp_path, ear)
    assert str(told.value) == (
        "The study was stopped in its pre-training; its checkpoint is kept. The same command goes on from there."
    )
    assert not any("--resume" in line for line in ear.said)


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

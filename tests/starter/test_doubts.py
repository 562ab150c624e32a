"""Doubt is counted over all labels and the whole map; the map is the one that a user gets."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from sardino_core.contract.jobs import RunOptions, SceneOptions, SegmentJob, SimulateJob
from sardino_core.contract.model_spec import CalibrationSpec
from sardino_core.inference import segment
from sardino_core.models.model_file import save_model
from sardino_core.models.network import random_network
from sardino_core.simulate import simulate_scene
from sardino_core.training.settings.finetune_config import load_config
from sardino_core.training.windows.sources import SceneStore
from sardino_core.training.windows.targets import ClassSets
from tests.training.rasters import BACKBONE

CONFIG = load_config("finetune-starter")
SETS = ClassSets.of(CONFIG.classes, CONFIG.sources)
SIDE = 84


def doubtful(given, sure, confidence=0.5):
    from user_maps import UserMap

    given = np.asarray(given)
    return UserMap(given, np.full(given.shape, confidence, np.float32), np.asarray(sure))


def test_a_label_of_several_classes_is_judged_by_what_it_allows():
    from doubts import Doubt

    water, dry = SETS.number([80]), SETS.number([10, 30, 50, 60])
    given, target = np.zeros((7, 40), int), np.full((7, 40), water)
    target[:, 10:20], target[:, 20:30] = dry, 0
    given[:, 30:], given[:, 15:20] = -1, 1
    found = Doubt.of(doubtful(given, np.ones((7, 40), bool)), target, SETS)
    single, several = found.where(found.single), found.where(~found.single)
    assert len(single.correct) == len(several.correct) == 10
    assert (single.accuracy, several.accuracy) == (1.0, 0.5)


def test_unsure_is_counted_over_the_whole_map_and_of_labels_apart():
    from doubts import Doubt, PlaceDoubt, doubt_lines

    sure = np.zeros((10, 70), bool)
    sure[:, 14:] = True
    given, target = np.zeros((10, 70), int), np.zeros((10, 70), int)
    given[:, 56:] = -1
    sure[:, 56:] = False
    target[:, 28:56] = SETS.number([80])
    found = doubtful(given, sure)
    place = PlaceDoubt.of("here", [found, found], [found], [Doubt.of(found, target, SETS)] * 2)
    assert place.unsure == place.shipped == 0.25
    row = next(line for line in doubt_lines([place]) if line.startswith("| here |"))
    assert row == "| here | 25.0% | 25.0% | 100.0% | 0.0% | 100.0% |"


def test_the_map_is_that_of_segment(tmp_path):
    import rasterio
    from user_maps import user_map

    config = load_config("finetune-starter", ["model.window=32"])
    spec = config.spec()
    spec = replace(spec, backbone=BACKBONE, calibration=CalibrationSpec(1.0, 0.21))
    model = save_model(tmp_path / "model.safetensors", spec, random_network(spec, 0).state_dict(), "float32")
    simulate_scene(SimulateJob(str(tmp_path / "place"), size=SIDE, seed=3))
    source = next(item for item in config.sources if item.name == "simulated places held out")
    scene = str(tmp_path / "place" / "scene.tif")
    source = replace(source, images=(scene,), labels=(str(tmp_path / "place" / "labels.tif"),))
    with SceneStore(replace(config, sources=(source,))) as store:
        found = user_map(model, store.scenes[0])
    segment(SegmentJob(SceneOptions((scene,)), RunOptions(str(model)), str(tmp_path / "map.tif")))
    with rasterio.open(tmp_path / "map.tif") as dataset:
        expected = dataset.read(1)
    values = np.array([item.value for item in spec.classes])
    assert np.array_equal(np.where(found.sure, values[found.given], 254), expected)
    assert 0 < found.sure.mean() < 1
    assert found.confidence.shape == (SIDE, SIDE)
    assert found.confidence[found.sure].min() == pytest.approx(0.21, abs=0.02)


@pytest.mark.parametrize(("accuracy", "short"), [(0.84, True), (0.95, False)])
def test_a_threshold_that_the_cap_has_set_is_told(tmp_path, accuracy, short):
    from judge_starter import short_of_target
    from starter_page import _threshold

    spec = replace(CONFIG.spec(), backbone=BACKBONE)
    metrics = {"calibration: accuracy when sure": accuracy}
    spec = replace(spec, provenance=replace(spec.provenance, metrics=metrics))
    model = save_model(tmp_path / "model.safetensors", spec, random_network(spec, 0).state_dict(), "float32")
    assert short_of_target(model, CONFIG) is short
    assert ("that cap alone has set the thresholds" in " ".join(_threshold(CONFIG, short))) is short

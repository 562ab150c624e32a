from __future__ import annotations

import numpy as np
import pytest

from sardino_core.training.landcover.baselines import GaussianClassifier, baselines, best_threshold, box_sum
from sardino_core.training.windows.sources import SceneStore
from tests.training.rasters import config, lake


def test_the_rules_tell_a_lake_from_a_wood(tmp_path):
    with SceneStore(config(*lake(tmp_path))) as store:
        found = baselines(store, 80)
    assert found["images: gaussian accuracy"] > 0.95
    assert -26 < found["VH threshold for water in dB"] < -16


def test_a_class_without_samples_is_never_predicted():
    rng = np.random.default_rng(0)
    samples = [rng.normal(-20, 1, (2, 500)), np.zeros((2, 0)), rng.normal(-8, 1, (2, 500))]
    predicted = GaussianClassifier.fit(samples).predict(rng.normal(-14, 8, (2, 40, 40)))
    assert set(np.unique(predicted)) == {0, 2}


def test_the_neighbourhood_is_summed_and_cut_at_the_border():
    values = np.random.default_rng(0).random((1, 9, 11))
    found = box_sum(values, 5)
    assert found[0, 4, 5] == pytest.approx(values[0, 2:7, 3:8].sum())
    assert found[0, 0, 10] == pytest.approx(values[0, :3, 8:].sum())


def test_the_threshold_lies_between_what_it_separates():
    assert 2 < best_threshold(np.array([0.0, 1, 2]), np.array([3.0, 4])) <= 3

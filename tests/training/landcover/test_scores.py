"""The confusion matrix and the calibration, against numbers computed by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from sardino_core.training.landcover.calibrate import calibrate, calibration_error, choose_threshold, fit_temperature
from sardino_core.training.landcover.scores import Confusion, majority_accuracy
from sardino_core.training.settings.finetune_config import SourceConfig
from sardino_core.training.windows.targets import ClassSets
from tests.training.rasters import CLASSES

SETS = ClassSets.of(CLASSES, [SourceConfig(mapping={0: (10, 30), 1: (80,)})])


def test_metrics_equal_those_computed_by_hand():
    water, trees = SETS.number([80]), SETS.number([10])
    confusion = Confusion.empty(SETS)
    target = np.array([[water] * 6 + [trees] * 4 + [0, 0]])
    predicted = np.array([[0, 0, 0, 0, 1, 2, 1, 1, 1, 0, 0, 1]])
    confusion.add(target[:, :5], predicted[:, :5])
    confusion.add(target[:, 5:], predicted[:, 5:])
    assert confusion.matrix.tolist() == [[4, 1, 1], [1, 3, 0], [0, 0, 0]]
    found = confusion.metrics()
    assert found["pixels"] == 10
    assert found["accuracy"] == pytest.approx(0.7)
    assert found["miou"] == pytest.approx((4 / 7 + 3 / 5) / 2)
    assert found["f1 water"] == pytest.approx(8 / 11)
    assert found["f1 trees"] == pytest.approx(6 / 8)
    assert "f1 low" not in found
    assert majority_accuracy(confusion) == pytest.approx(0.6)


def test_partial_labels_count_where_they_settle_the_matter():
    water, land = SETS.number([80]), SETS.number([10, 30])
    confusion = Confusion.empty(SETS)
    confusion.add(np.array([water] * 4 + [land] * 6), np.array([0, 0, 0, 1, 0, 1, 1, 2, 2, 2]))
    found = confusion.metrics()
    assert found["agreement"] == pytest.approx(0.8)
    assert found["binary_f1 water"] == pytest.approx(6 / 8)
    assert found["binary_iou water"] == pytest.approx(3 / 5)
    assert found["accuracy"] == pytest.approx(0.75)


def test_the_temperature_of_overconfident_logits_is_found():
    rng = np.random.default_rng(0)
    honest = rng.normal(0, 2, (20_000, 3))
    p = np.exp(honest) / np.exp(honest).sum(axis=1, keepdims=True)
    truth = (p.cumsum(axis=1) < rng.random((len(p), 1))).sum(axis=1)
    allowed = np.eye(3, dtype=bool)[truth]
    assert fit_temperature((3 * honest).astype(np.float32), allowed) == pytest.approx(3, rel=0.05)
    found = calibrate((3 * honest).astype(np.float32), allowed, 0.9, 0.1)
    assert found.metrics["calibration error"] < 0.02 < found.metrics["calibration error before"]
    assert found.metrics["nll"] < found.metrics["nll before"]


def test_the_threshold_drops_no_more_than_it_must_and_may():
    confidence = np.array([0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.91, 0.92, 0.93])
    correct = np.array([False, False, True, True, True, True, True, True, True, True])
    assert choose_threshold(confidence, correct, 0.8, 0.5) == 0.0
    assert choose_threshold(confidence, correct, 0.85, 0.5) == pytest.approx(0.4)
    assert choose_threshold(confidence, correct, 1.0, 0.5) == pytest.approx(0.5)
    assert choose_threshold(confidence, correct, 1.0, 0.1) == pytest.approx(0.4)
    assert choose_threshold(confidence, np.zeros(10, bool), 0.9, 0.3) == pytest.approx(0.6)


def test_calibration_error_of_two_bins_by_hand():
    confidence, correct = np.array([0.55, 0.55, 0.95, 0.95]), np.array([True, False, True, True])
    assert calibration_error(confidence, correct) == pytest.approx(0.05)
    assert math.isclose(calibration_error(np.zeros(0), np.zeros(0, bool)), 0.0)

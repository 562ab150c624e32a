import numpy as np
import pytest

from sardino_core.analysis.agreement import agreement


def test_scores_by_hand():
    found = agreement(np.array([[8, 2], [1, 9]]))
    assert found.overall == 17 / 20
    assert found.users == pytest.approx([8 / 10, 9 / 10])
    assert found.producers == pytest.approx([8 / 9, 9 / 11])
    assert found.f1 == pytest.approx([16 / 19, 18 / 21])
    assert found.iou == pytest.approx([8 / 11, 9 / 12])


def test_f1_is_the_harmonic_mean_of_both_accuracies():
    found = agreement(np.random.default_rng(0).integers(1, 50, (4, 4)))
    assert found.f1 == pytest.approx(2 / (1 / found.users + 1 / found.producers))
    assert found.iou == pytest.approx(found.f1 / (2 - found.f1))


def test_unsure_agrees_with_nothing():
    decided, whole = agreement(np.array([[8, 2], [1, 9]])), agreement(np.array([[8, 2], [1, 9], [5, 0]]))
    assert whole.overall == 17 / 25
    assert whole.users == pytest.approx(decided.users)
    assert whole.producers[0] == 8 / 14 and whole.producers[1] == decided.producers[1]


def test_what_is_not_there_has_no_score():
    found = agreement(np.array([[4, 0], [0, 0]]))
    assert np.isnan([found.users[1], found.producers[1], found.f1[1], found.iou[1]]).all()
    assert np.isnan(agreement(np.zeros((2, 2), int)).overall)

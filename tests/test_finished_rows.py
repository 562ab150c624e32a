"""What is made of finished rows."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from sardino_core.contract.model_spec import CalibrationSpec
from sardino_core.finished_rows import Int8Scale, decide, with_nodata
from sardino_core.raster.blending import Rows
from tests.models.specs import make_spec

VALUES = np.array([[[0.7, 0.4]], [[0.2, 0.35]], [[0.1, 0.25]]], np.float32)  # (3 classes, 1 row, 2 columns)


def rows(valid=(True, True)):
    return Rows(0, VALUES, np.array([valid]))


def test_the_most_probable_class_or_unsure():
    spec = make_spec(calibration=CalibrationSpec(1.0, 0.5))
    decided = decide(rows(), spec, abstain=True)
    assert decided.classes.tolist() == [[[80, 254]]]
    np.testing.assert_allclose(decided.confidence, [[[0.7, 0.4]]])
    assert decide(rows(), spec, abstain=False).classes.tolist() == [[[80, 80]]]


def test_nodata_wins_over_unsure():
    decided = decide(rows((True, False)), make_spec(calibration=CalibrationSpec(1.0, 0.5)), abstain=True)
    assert decided.classes.tolist() == [[[80, 0]]]
    assert np.isnan(decided.confidence[0, 0, 1])
    assert np.isnan(with_nodata(rows((True, False)))[:, 0, 1]).all()


@given(st.integers(0, 99), st.floats(1e-3, 1e3), st.floats(-1e3, 1e3))
def test_int8_errs_by_at_most_half_a_step_within_the_sampled_range(seed, spread, centre):
    values = (np.random.default_rng(seed).normal(size=(50, 4)) * spread + centre).astype(np.float32)
    scale = Int8Scale.fit(values)
    stored = scale.store(Rows(0, values.T[:, None, :], np.ones((1, 50), bool)))
    assert stored.min() >= -127
    back = stored * scale.scale[:, None, None] + scale.offset[:, None, None]
    error = np.abs(back[:, 0, :].T - values)
    assert (error <= 0.5 * scale.scale * 1.01 + np.abs(values) * 1e-5).all()


def test_int8_keeps_nodata_apart_and_clips_what_lies_beyond():
    scale = Int8Scale.fit(np.array([[0.0], [1.0]], np.float32))
    stored = scale.store(Rows(0, np.array([[[99.0, -99.0, 0.5]]], np.float32), np.array([[True, True, False]])))
    assert stored.tolist() == [[[127, -127, -128]]]

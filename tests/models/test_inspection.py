"""What the inspector shows is what the predictor maps, for all layers at once."""

from __future__ import annotations

import numpy as np
import pytest

from sardino_core.contract.errors import ModelInvalid
from sardino_core.models.attention_statistics import COLUMNS
from sardino_core.models.inspection import Inspector
from sardino_core.models.model_file import read_spec, save_model
from sardino_core.models.predictor_torch import TorchPredictor, choose_device
from tests.models.networks import lively_network, noise
from tests.models.specs import make_spec

SPEC = make_spec(registers=2, depth=3)


@pytest.fixture(scope="module")
def seen():
    return Inspector(lively_network(SPEC), "cpu").look(noise(SPEC))


def test_attention_and_tokens_are_the_predictors(seen, tmp_path):
    path = save_model(tmp_path / "m.safetensors", SPEC, lively_network(SPEC).state_dict(), "float32")
    predictor = TorchPredictor(path, read_spec(path), choose_device("cpu"))
    side = SPEC.tokens_per_side
    for layer in range(3):
        expected = predictor.attention(noise(SPEC), layer).reshape(2, 3, side * side)
        np.testing.assert_allclose(seen.attention[:, layer], expected, rtol=1e-4, atol=1e-5)
    expected = predictor.tokens(noise(SPEC)).reshape(2, side * side, -1)
    np.testing.assert_allclose(seen.tokens, expected, rtol=1e-4, atol=1e-5)


def test_attention_has_mean_1_and_scores_mean_0_and_the_one_is_the_others_softmax(seen):
    np.testing.assert_allclose(seen.attention.mean(axis=-1), 1, rtol=1e-5)
    np.testing.assert_allclose(seen.scores.mean(axis=-1), 0, atol=1e-5)
    power = np.exp(seen.scores.astype(np.float64))
    np.testing.assert_allclose(power / power.mean(axis=-1, keepdims=True), seen.attention, rtol=1e-3, atol=1e-5)


def test_statistics_are_means_over_the_windows_whatever_the_batch(monkeypatch):
    inspector = Inspector(lively_network(SPEC), "cpu")
    windows = noise(SPEC, batch=5)
    found = inspector.statistics(windows)
    assert set(found) == set(COLUMNS)
    assert found["entropy"].shape == (3, 3)
    shares = inspector.look(windows).attention / SPEC.tokens_per_side**2
    expected = -(shares * np.log(shares)).sum(axis=-1).mean(axis=0)
    np.testing.assert_allclose(found["entropy"], expected, rtol=1e-3)
    monkeypatch.setattr("sardino_core.models.inspection._ENTRIES_PER_CALL", 1)
    for name, values in inspector.statistics(windows).items():
        np.testing.assert_allclose(values, found[name], rtol=1e-5)


def test_a_network_that_overflows_is_refused():
    network = lively_network(SPEC)
    network.backbone.norm.bias.data.fill_(float("inf"))
    with pytest.raises(ModelInvalid, match="not finite"):
        Inspector(network, "cpu").look(noise(SPEC))

"""What is saved is what is read; a file appears whole or not at all."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import numpy as np
import pytest
import torch

from sardino_core.contract.errors import ModelInvalid, OutputUnwritable
from sardino_core.models.model_file import load_weights, read_spec, resolve_model, save_model, weights_hash
from tests.models.specs import make_spec


@pytest.fixture
def weights() -> dict[str, np.ndarray]:
    generator = np.random.default_rng(0)
    return {
        "a.weight": generator.standard_normal((5, 3, 2)).astype(np.float32),
        "b": generator.standard_normal(7).astype(np.float32),
        "scalar": np.array(3.5, np.float32),
        "none": np.zeros((0, 4), np.float32),
    }


def test_float32_round_trip_is_exact(tmp_path: Path, weights: dict[str, np.ndarray]) -> None:
    path = save_model(tmp_path / "m.safetensors", make_spec(), weights, dtype="float32")
    assert read_spec(path) == make_spec()
    found = load_weights(path)
    assert set(found) == set(weights)
    for name, value in weights.items():
        assert found[name].dtype == np.float32
        np.testing.assert_array_equal(found[name], value)


def test_float16_is_the_default_and_rounds_once(tmp_path: Path, weights: dict[str, np.ndarray]) -> None:
    path = save_model(tmp_path / "m.safetensors", make_spec(), weights)
    found = load_weights(path)
    for name, value in weights.items():
        np.testing.assert_array_equal(found[name], value.astype(np.float16).astype(np.float32))
    again = save_model(tmp_path / "again.safetensors", make_spec(), found)
    assert again.read_bytes() == path.read_bytes()


def test_tensors_are_stored_as_arrays_are(tmp_path: Path, weights: dict[str, np.ndarray]) -> None:
    tensors = {name: torch.nn.Parameter(torch.tensor(value)) for name, value in weights.items()}
    one = save_model(tmp_path / "one.safetensors", make_spec(), weights)
    other = save_model(tmp_path / "other.safetensors", make_spec(), tensors)
    assert one.read_bytes() == other.read_bytes()


def test_views_and_bfloat16_are_stored_by_value(tmp_path: Path) -> None:
    square = torch.arange(6.0).reshape(2, 3)
    path = save_model(tmp_path / "m.safetensors", make_spec(), {"t": square.T, "b": square.bfloat16()})
    np.testing.assert_array_equal(load_weights(path)["t"], square.T.numpy())
    np.testing.assert_array_equal(load_weights(path)["b"], square.numpy())


@pytest.mark.parametrize("value", [np.nan, np.inf, 70000.0])
def test_a_value_that_cannot_be_stored_is_refused_and_nothing_is_left(tmp_path: Path, value: float) -> None:
    with pytest.raises(ModelInvalid, match="weight w cannot be stored as float16"):
        save_model(tmp_path / "m.safetensors", make_spec(), {"w": np.array([1.0, value], np.float32)})
    assert list(tmp_path.iterdir()) == []


def test_weights_that_are_not_finite_are_refused_on_reading(tmp_path: Path) -> None:
    path = save_model(tmp_path / "m.safetensors", make_spec(), {"w": np.ones(4, np.float32)}, dtype="float32")
    path.write_bytes(path.read_bytes()[:-4] + np.float32(np.nan).tobytes())
    with pytest.raises(ModelInvalid, match=r"weight w of m\.safetensors is not finite"):
        load_weights(path)


def test_writing_replaces_and_leaves_nothing_aside(tmp_path: Path, weights: dict[str, np.ndarray]) -> None:
    path = tmp_path / "m.safetensors"
    (tmp_path / ".sardino-part-killed").mkdir()
    for name in ("lock", "m.safetensors"):
        (tmp_path / ".sardino-part-killed" / name).write_bytes(b"left by a killed run")
    save_model(path, make_spec(), weights)
    save_model(path, make_spec(window=64), weights)
    assert read_spec(path).window == 64
    assert [item.name for item in tmp_path.iterdir()] == ["m.safetensors"]


def test_a_folder_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(OutputUnwritable, match="nowhere does not exist"):
        save_model(tmp_path / "nowhere" / "m.safetensors", make_spec(), {})


def test_a_destination_in_the_way_is_refused_and_nothing_is_left(tmp_path: Path) -> None:
    (tmp_path / "m.safetensors").mkdir()
    with pytest.raises(OutputUnwritable, match="cannot be written"):
        save_model(tmp_path / "m.safetensors", make_spec(), {})
    assert [item.name for item in tmp_path.iterdir()] == ["m.safetensors"]


def test_the_hash_is_that_of_the_file(tmp_path: Path) -> None:
    path = save_model(tmp_path / "m.safetensors", make_spec(), {"w": np.ones(3, np.float32)})
    assert weights_hash(path) == hashlib.sha256(path.read_bytes()).hexdigest()


def test_a_path_resolves_to_itself_and_home_is_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = save_model(tmp_path / "m.safetensors", make_spec(), {})
    assert resolve_model(str(path)) == path
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    assert resolve_model(os.path.join("~", "m.safetensors")) == path  # noqa: PTH118


@pytest.mark.parametrize("name", ["strater", "folder/model.safetensors"])
def test_a_model_that_does_not_exist_says_what_is_allowed(name: str) -> None:
    with pytest.raises(ModelInvalid, match=f"{name} does not exist; allowed are `starter` and the path"):
        resolve_model(name)


def test_a_folder_is_no_model(tmp_path: Path) -> None:
    with pytest.raises(ModelInvalid, match="is a folder"):
        resolve_model(tmp_path)

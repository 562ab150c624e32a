"""The export says what torch says, holds no weights, and works with its own model file alone."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

from sardino_core.contract.errors import DependencyMissing, ModelInvalid
from sardino_core.models.export import export_onnx
from sardino_core.models.export_file import HASH_KEY, export_path, problem_with_export, read_metadata
from sardino_core.models.model_file import load_weights, read_spec, save_model, weights_hash
from sardino_core.models.network import build
from sardino_core.models.predictor_onnx import OnnxPredictor, open_session
from sardino_core.models.predictor_torch import TorchPredictor
from tests.models.networks import lively_network, noise
from tests.models.specs import make_spec


def _both(path: Path) -> tuple[OnnxPredictor, TorchPredictor]:
    spec = read_spec(path)
    return OnnxPredictor(path, spec), TorchPredictor(path, spec, torch.device("cpu"))


@pytest.fixture(params=["float16, decoder, registers", "float32, pretrained, patch 14"])
def either(request: pytest.FixtureRequest, model: Path, pretrained: Path) -> Path:
    return model if request.param.startswith("float16") else pretrained


@pytest.mark.parametrize("batch", [1, 2, 5])
def test_attention_and_tokens_agree_with_torch(either: Path, batch: int) -> None:
    light, heavy = _both(either)
    windows = noise(light.spec, batch)
    for layer in (0, 1, -1):
        one, other = light.attention(windows, layer), heavy.attention(windows, layer)
        np.testing.assert_allclose(one, other, atol=1e-4, rtol=0)
        assert one.max() > 1.5, "attention must not be uniform, or this test shows nothing"
    np.testing.assert_allclose(light.tokens(windows), heavy.tokens(windows), atol=1e-4, rtol=0)


@pytest.mark.parametrize("batch", [1, 2, 5])
def test_logits_and_probabilities_agree_with_torch(model: Path, batch: int) -> None:
    light, heavy = _both(model)
    windows = noise(light.spec, batch)
    session = open_session("small", export_path(model).read_bytes(), load_weights(model))
    with torch.inference_mode():
        expected = heavy._network(torch.from_numpy(windows)).numpy()
    found = session.run(["logits"], {"windows": windows})[0]
    assert np.abs(expected).max() > 0.5, "logits must differ, or this test shows nothing"
    np.testing.assert_allclose(found, expected, atol=1e-4, rtol=0)
    np.testing.assert_allclose(light.segment(windows), heavy.segment(windows), atol=1e-4, rtol=0)


def test_outputs_have_their_shapes(model: Path, pretrained: Path) -> None:
    outputs = {item.name: item.shape[1:] for item in onnx_outputs(model)}
    pairs = [2, 2, 3, 19, 16]  # the class token and two registers besides the patches
    assert outputs == {"attention": [2, 3, 16], "tokens": [16, 48], "queries_keys": pairs, "logits": [3, 32, 32]}
    assert [item.name for item in onnx_outputs(pretrained)] == ["attention", "tokens", "queries_keys"]


def onnx_outputs(path: Path) -> list:
    return open_session(path.name, export_path(path).read_bytes(), load_weights(path)).get_outputs()


def test_the_graph_is_small_and_holds_neither_weights_nor_places(either: Path) -> None:
    content = export_path(either).read_bytes()
    weights = load_weights(either)
    assert len(content) < 200_000 < 4 * sum(value.size for value in weights.values())
    graph = onnx.load_model_from_string(content)
    external = {item.name for item in graph.graph.initializer if item.data_location == onnx.TensorProto.EXTERNAL}
    assert external == set(weights)
    for trace in (b"site-packages", b".py", b"stack_trace", str(Path.cwd()).encode()):
        assert trace not in content


def test_a_pair_may_be_renamed_and_moved(model: Path, tmp_path: Path) -> None:
    moved = tmp_path / "renamed with spaces.v2.safetensors"
    shutil.copy(model, moved)
    shutil.copy(export_path(model), tmp_path / "renamed with spaces.v2.onnx")
    windows = noise(read_spec(model))
    here, there = OnnxPredictor(model, read_spec(model)), OnnxPredictor(moved, read_spec(moved))
    np.testing.assert_array_equal(here.segment(windows), there.segment(windows))


def test_the_hash_in_the_graph_is_the_model_files(either: Path) -> None:
    assert read_metadata(export_path(either))[HASH_KEY] == weights_hash(either)
    theirs = {
        item.key: item.value for item in onnx.load(str(export_path(either)), load_external_data=False).metadata_props
    }
    assert read_metadata(export_path(either)) == theirs
    assert problem_with_export(either) is None


@pytest.fixture
def without_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    """As where no export can be made."""
    monkeypatch.setattr("sardino_core.models.export_cache.has_torch", lambda: False)


@pytest.mark.usefixtures("without_torch")
def test_an_export_of_other_weights_is_refused(model: Path, tmp_path: Path) -> None:
    path = tmp_path / "small.safetensors"
    save_model(path, read_spec(model), lively_network(read_spec(model), seed=8).state_dict())
    shutil.copy(export_path(model), export_path(path))
    assert problem_with_export(path) == "small.onnx belongs to other weights"
    with pytest.raises(DependencyMissing, match=r"small\.onnx belongs to other weights"):
        OnnxPredictor(path, read_spec(path))


@pytest.mark.usefixtures("without_torch")
def test_a_missing_export_is_named(model: Path, tmp_path: Path) -> None:
    shutil.copy(model, tmp_path / "alone.safetensors")
    with pytest.raises(DependencyMissing, match=r"alone\.onnx is not beside it"):
        OnnxPredictor(tmp_path / "alone.safetensors", read_spec(model))


@pytest.mark.usefixtures("without_torch")
@pytest.mark.parametrize("keep", [0, 1, 100, 5_000, -1])
def test_a_damaged_export_is_refused(model: Path, tmp_path: Path, keep: int) -> None:
    path = tmp_path / "small.safetensors"
    shutil.copy(model, path)
    export_path(path).write_bytes(export_path(model).read_bytes()[:keep])
    with pytest.raises(DependencyMissing, match=r"small\.onnx (is damaged|was made by another version)"):
        OnnxPredictor(path, read_spec(path))


@pytest.mark.parametrize(
    "content", [b"\x7a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x7f", b"\xff" * 40, b"\x72\x02\x12\x00", b"{}"]
)
def test_a_file_that_is_no_graph_has_no_metadata(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.onnx").write_bytes(content)
    with pytest.raises(ModelInvalid, match=r"x\.onnx is not a whole ONNX file"):
        read_metadata(tmp_path / "x.onnx")


def test_a_graph_that_does_not_fit_its_weights_is_refused(model: Path) -> None:
    weights = load_weights(model)
    weights.pop("backbone.norm.weight")
    with pytest.raises(ModelInvalid, match="small does not fit its weights"):
        open_session("small", export_path(model).read_bytes(), weights)


@pytest.mark.slow
def test_the_starters_size_exports_small_and_exact(tmp_path: Path) -> None:
    spec = make_spec(window=128, depth=12, width=192, registers=4)
    path = save_model(tmp_path / "tiny.safetensors", spec, lively_network(spec).state_dict())
    assert export_onnx(path).stat().st_size < 2_000_000
    windows = noise(spec)
    names = ["attention", "tokens", "logits"]
    found = open_session("tiny", export_path(path).read_bytes(), load_weights(path)).run(names, {"windows": windows})
    with torch.inference_mode():
        network = build(spec, load_weights(path)).eval()
        features = network.features(torch.from_numpy(windows), range(12))
        expected = [features.attention, features.tokens, network(torch.from_numpy(windows))]
    for name, one, other in zip(names, found, expected, strict=True):
        np.testing.assert_allclose(one, other.numpy(), atol=1e-4, rtol=0, err_msg=name)

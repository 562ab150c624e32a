"""Both predictors keep the same promises, and the right one is chosen; the light environment needs no torch."""

from __future__ import annotations

import logging
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from sardino_core.contract.errors import DependencyMissing, ModelInvalid, SettingInvalid
from sardino_core.models.devices import gpu_is_likely
from sardino_core.models.export_file import export_path
from sardino_core.models.model_file import load_weights, read_spec, save_model
from sardino_core.models.network import build
from sardino_core.models.outputs import attention_maps, attention_of
from sardino_core.models.predictor import Predictor, load_predictor
from sardino_core.models.predictor_onnx import OnnxPredictor, ProviderUnusable
from sardino_core.models.predictor_torch import TorchPredictor, choose_device
from sardino_core.models.providers import CUDA, DIRECTML
from tests.models.networks import noise

needs_no_gpu = pytest.mark.skipif(torch.cuda.is_available(), reason="is about machines without a GPU")


@pytest.fixture(params=["onnx", "torch"])
def predictor(request: pytest.FixtureRequest, model: Path) -> Predictor:
    if request.param == "onnx":
        return load_predictor(model, device="cpu")
    return TorchPredictor(model, read_spec(model), torch.device("cpu"))


def test_probabilities_are_probabilities(predictor: Predictor) -> None:
    found = predictor.segment(noise(predictor.spec, batch=3))
    assert found.shape == (3, 3, 32, 32) and found.dtype == np.float32
    assert found.min() >= 0
    np.testing.assert_allclose(found.sum(axis=1), 1, atol=1e-5)


def test_probabilities_are_calibrated_by_the_temperature(predictor: Predictor, model: Path) -> None:
    """Log-ratios of probabilities are differences of logits over the temperature."""
    windows = noise(predictor.spec)
    network = build(predictor.spec, load_weights(model)).eval()
    with torch.inference_mode():
        logits = network(torch.from_numpy(windows)).numpy()
    found = np.log(predictor.segment(windows))
    np.testing.assert_allclose(found[:, 0] - found[:, 1], (logits[:, 0] - logits[:, 1]) / 1.7, atol=1e-3)


def test_attention_maps_have_mean_one(predictor: Predictor) -> None:
    for layer in (0, -1):
        found = predictor.attention(noise(predictor.spec), layer)
        assert found.shape == (2, 3, 4, 4) and found.dtype == np.float32
        assert found.min() >= 0
        np.testing.assert_allclose(found.mean(axis=(2, 3)), 1, atol=1e-5)


def test_queries_and_keys_give_the_attention_of_every_token(predictor: Predictor, model: Path) -> None:
    """As timm's own attention computes it: softmax(q k / sqrt(d)) of every layer, row by row."""
    windows, own = noise(predictor.spec), []
    network = build(predictor.spec, load_weights(model)).eval()
    for block in network.backbone.blocks:
        block.attn.fused_attn = False
        block.attn.attn_drop.register_forward_pre_hook(lambda _, shares: own.append(shares[0].numpy()))
    with torch.inference_mode():
        network(torch.from_numpy(windows))
    found = predictor.queries_keys(windows)
    assert found.dtype == np.float32 and len(own) == predictor.spec.backbone.depth
    for layer, expected in enumerate(own):  # (B, heads, T, T)
        assert expected.max() > 0.3, "attention must not be uniform, or this test shows nothing"
        for token in range(expected.shape[-1]):
            row = attention_of(found[1, layer], token)
            np.testing.assert_allclose(row, expected[1, :, token], atol=1e-4, rtol=0)
            np.testing.assert_allclose(row.sum(axis=-1), 1, atol=1e-5)


def test_the_class_tokens_attention_is_the_one_that_is_mapped(predictor: Predictor) -> None:
    windows = noise(predictor.spec)
    rows = np.stack([attention_of(pairs, 0) for pairs in predictor.queries_keys(windows)[:, -1]])
    maps = attention_maps(rows[..., -16:], 4)
    np.testing.assert_allclose(maps, predictor.attention(windows, -1), atol=1e-4, rtol=0)


def test_tokens_lie_on_the_patch_grid(predictor: Predictor) -> None:
    found = predictor.tokens(noise(predictor.spec))
    assert found.shape == (2, 4, 4, 48) and found.dtype == np.float32


def test_a_window_does_not_depend_on_its_batch(predictor: Predictor) -> None:
    windows = noise(predictor.spec, batch=7)
    for compute in (predictor.segment, predictor.tokens, lambda x: predictor.attention(x, -1)):
        np.testing.assert_allclose(compute(windows)[4:6], compute(windows[4:6]), atol=1e-4, rtol=0)


def test_strided_and_double_input_is_taken_by_value(predictor: Predictor) -> None:
    windows = noise(predictor.spec, batch=4)
    expected = predictor.segment(windows[::2])
    np.testing.assert_allclose(predictor.segment(windows.astype(np.float64)[::2]), expected, atol=1e-5)
    turned = np.ascontiguousarray(windows.transpose(0, 1, 3, 2)).transpose(0, 1, 3, 2)
    np.testing.assert_allclose(predictor.segment(turned)[::2], expected, atol=1e-5)


@pytest.mark.parametrize("value", [0.0, 3.0, -40.0, 1000.0])
def test_constant_windows_give_finite_results(predictor: Predictor, value: float) -> None:
    windows = np.full((1, 2, 32, 32), value, np.float32)
    assert np.isfinite(predictor.segment(windows)).all()
    assert np.isfinite(predictor.attention(windows, -1)).all()
    assert np.isfinite(predictor.tokens(windows)).all()


def test_a_layer_that_does_not_exist_is_named(predictor: Predictor) -> None:
    with pytest.raises(SettingInvalid, match="Layer 2 does not exist"):
        predictor.attention(noise(predictor.spec), 2)


def test_a_batch_is_suggested(predictor: Predictor) -> None:
    assert 1 <= predictor.suggest_batch() <= 16


def test_a_pretrained_model_does_not_segment(pretrained: Path) -> None:
    spec = read_spec(pretrained)
    for one in (load_predictor(pretrained), TorchPredictor(pretrained, spec, torch.device("cpu"))):
        assert one.tokens(noise(spec)).shape == (2, 4, 4, 48)
        with pytest.raises(ModelInvalid, match="pretrained: it has no classes"):
            one.segment(noise(spec))


@needs_no_gpu
def test_the_cpu_is_onnx_runtimes_where_torch_is_there_too(model: Path) -> None:
    for device in ("auto", "cpu"):
        found = load_predictor(model, device=device)
        assert found.description.startswith("ONNX Runtime") and found.description.endswith("CPU, fp32")


@needs_no_gpu
def test_what_cannot_be_exported_runs_with_torch_and_says_so(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(path: Path) -> bytes:
        raise RuntimeError("no such operator")

    monkeypatch.setattr("sardino_core.models.export.exported", fail)
    alone = load_predictor(shutil.copy(model, tmp_path / "alone.safetensors"))
    assert alone.description.startswith("torch") and alone.description.endswith("cpu, fp32")
    assert "cannot be exported for ONNX Runtime (no such operator). It runs with torch" in caplog.text


def test_a_model_on_the_cpu_stays_loaded_until_it_changes(model: Path, tmp_path: Path) -> None:
    path = tmp_path / "m.safetensors"
    for source, target in ((model, path), (export_path(model), export_path(path))):
        shutil.copy(source, target)
    first = load_predictor(path, device="cpu")
    assert load_predictor(path, device="cpu") is first
    spec = read_spec(path)
    save_model(path, spec, {name: value + np.float32(0.01) for name, value in load_weights(path).items()})
    again = load_predictor(path, device="cpu")
    windows = noise(spec)
    assert np.abs(again.tokens(windows) - first.tokens(windows)).max() > 1e-3


@needs_no_gpu
@pytest.mark.parametrize("device", ["cuda", "mps"])
def test_a_device_that_is_not_there_is_named(model: Path, device: str) -> None:
    with pytest.raises(DependencyMissing, match=f"no device {device}: torch .* finds none, and ONNX Runtime has CPU"):
        load_predictor(model, device=device)


@needs_no_gpu
@pytest.mark.filterwarnings("ignore:Specified provider:UserWarning")
def test_a_provider_that_is_listed_and_does_not_work_is_left_aloud(
    model: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """ONNX Runtime lists a provider that was built in, whether or not its libraries and its device are there."""
    monkeypatch.setattr(
        "sardino_core.models.predictor_onnx.available_providers", lambda: [DIRECTML, "CPUExecutionProvider"]
    )
    assert load_predictor(model).description.endswith("CPU, fp32")
    assert "ONNX Runtime's DirectML does not run small.safetensors" in caplog.text
    with pytest.raises(ProviderUnusable, match="CUDA does not run small"):
        OnnxPredictor(model, read_spec(model), CUDA)


@needs_no_gpu
def test_bf16_on_the_cpu_only_when_asked_for(model: Path) -> None:
    asked = load_predictor(model, device="cpu", precision="bf16")
    assert asked.description.endswith("cpu, bf16")
    windows = noise(asked.spec)
    np.testing.assert_allclose(asked.segment(windows), load_predictor(model).segment(windows), atol=0.1)


@needs_no_gpu
def test_a_driver_that_torch_cannot_use_is_reported(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        assert choose_device("auto").type == "cpu"
    assert ("NVIDIA driver" in caplog.text) == gpu_is_likely()


@pytest.mark.parametrize("hidden", ["", "-1"])
def test_hidden_gpus_are_not_likely(monkeypatch: pytest.MonkeyPatch, hidden: str) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", hidden)
    assert not gpu_is_likely()


WITHOUT_TORCH = """
import sys
class Block:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("torch", "timm", "onnx", "onnxscript", "rasterio"):
            raise ModuleNotFoundError(name)
sys.meta_path.insert(0, Block())
import importlib.util
importlib.util.find_spec = lambda name, package=None: None
import numpy as np
from sardino_core.contract.errors import DependencyMissing
from sardino_core.models.predictor import load_predictor
predictor = load_predictor(sys.argv[1])
np.save(sys.argv[2], predictor.segment(np.load(sys.argv[3])))
for asked in (dict(device="cuda"), dict(precision="bf16")):
    try:
        load_predictor(sys.argv[1], **asked)
    except DependencyMissing as error:
        assert "sardino[torch]" in str(error), error
    else:
        raise SystemExit("not refused")
"""


def _run(script: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", script, *map(str, arguments)],
        capture_output=True,
        text=True,
        cwd=Path(__file__).parents[2],
    )


def test_without_torch_the_result_is_the_same(model: Path, tmp_path: Path) -> None:
    windows = noise(read_spec(model))
    np.save(tmp_path / "windows.npy", windows)
    done = _run(WITHOUT_TORCH, model, tmp_path / "found.npy", tmp_path / "windows.npy")
    assert done.returncode == 0, done.stderr
    heavy = TorchPredictor(model, read_spec(model), torch.device("cpu"))
    np.testing.assert_allclose(np.load(tmp_path / "found.npy"), heavy.segment(windows), atol=1e-4)


def test_without_torch_and_export_the_way_out_is_said(model: Path, tmp_path: Path) -> None:
    shutil.copy(model, tmp_path / "alone.safetensors")
    shutil.copy(export_path(model), tmp_path / "other.onnx")
    done = _run(WITHOUT_TORCH, tmp_path / "alone.safetensors", tmp_path / "x.npy", tmp_path / "windows.npy")
    assert "ExportMissing" in done.stderr
    assert "alone.safetensors cannot run without torch: alone.onnx is not beside it" in done.stderr
    assert "`sardino model export alone.safetensors` makes it" in done.stderr


def test_importing_the_seam_costs_nothing() -> None:
    script = """
import sys
import sardino_core.models
assert "numpy" not in sys.modules
import sardino_core.models.predictor, sardino_core.models.model_file, sardino_core.models.export_file
heavy = {"torch", "timm", "onnx", "onnxruntime", "rasterio", "safetensors"} & set(sys.modules)
assert not heavy, heavy
"""
    done = _run(script)
    assert done.returncode == 0, done.stderr

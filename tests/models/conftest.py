"""One model file with its export, and one pretrained, for all tests of this folder: exporting takes seconds."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from sardino_core.contract.model_spec import CalibrationSpec
from tests.models.specs import make_spec


@pytest.fixture(scope="package", autouse=True)
def one_thread() -> Iterator[None]:
    """Networks this small gain nothing from more threads, and wait for each other where cores are shared."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A segmentation model, float16, with registers and a decoder, exported."""
    spec = make_spec(registers=2, calibration=CalibrationSpec(temperature=1.7, unsure_below=0.4))
    return _exported(tmp_path_factory.mktemp("model") / "small.safetensors", spec, "float16")


@pytest.fixture(scope="session")
def pretrained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A pretrained model, float32, DINOv2 layers, one band, patch 14, exported."""
    spec = make_spec(window=56, patch=14, head="none", bands=("VV",), architecture="vit_small_dinov2")
    return _exported(tmp_path_factory.mktemp("pretrained") / "backbone.safetensors", spec, "float32")


def _exported(path: Path, spec: object, dtype: str) -> Path:
    from sardino_core.models.export import export_onnx
    from sardino_core.models.model_file import save_model
    from tests.models.networks import lively_network

    save_model(path, spec, lively_network(spec).state_dict(), dtype)  # type: ignore[arg-type]
    export_onnx(path)
    return path

"""`sardino model import` and `export`: a checkpoint in, a model file and its export out, used by the other commands."""

import json
import shutil
from pathlib import Path

import pytest
import rasterio
import torch

from sardino_core.commands.model_files import FORMATS_HELP
from sardino_core.contract.messages import Result, decode
from sardino_core.models.export_file import problem_with_export
from sardino_core.models.importing.import_formats import FORMATS
from sardino_core.models.model_file import read_spec
from sardino_core.models.predictor_onnx import OnnxPredictor
from tests.models.checkpoints import dino_checkpoint, dinov3, state_of, vit


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    path = tmp_path_factory.mktemp("source") / "dino.pth"
    torch.save(dino_checkpoint(state_of(vit(3, 8)), state_of(vit(3, 8, seed=1))), path)
    return path


def test_import_prints_the_layer_report_and_the_model_works(run, checkpoint, scene, tmp_path):
    model = tmp_path / "m.safetensors"
    status, out, _ = run("model", "import", checkpoint, "--format", "dino-checkpoint", "--output", model)
    assert status == 0
    counts = ("loaded     27  ", "adapted     1  its position added", "missing     0  none", "unused      8  a head")
    for text in (*counts, "vit_tiny/8", "unknown: see the source"):
        assert text in out
    tokens = tmp_path / "tokens.tif"
    assert run("embed", scene, "--model", model, "--output", tokens, "--device", "cpu")[0] == 0
    with rasterio.open(tokens) as dataset:
        assert dataset.count == 192


def test_import_as_json_with_bands_window_and_licence(run, tmp_path):
    torch.save(dinov3()[1], tmp_path / "dinov3.pth")
    model = tmp_path / "m.safetensors"
    more = ["--bands", "vv,vh,vv-vh", "--window", 96, "--licence", "DINOv3", "--dtype", "float32", "--json"]
    status, out, _ = run("model", "import", tmp_path / "dinov3.pth", "--output", model, *more)
    assert status == 0
    result = decode(out.splitlines()[-1])
    assert isinstance(result, Result)
    assert result.outputs == {"output": str(model), "export": str(tmp_path / "m.onnx")}
    assert result.values["format"] == "dinov3"
    assert result.values["report"]["loaded"]["blocks.*.attn.qkv.weight"] == 2
    spec = read_spec(model)
    assert result.values["model"] == json.loads(spec.to_json())
    assert [band.name for band in spec.inputs.bands] == ["VV", "VH", "VV-VH"]
    assert (spec.window, spec.licence) == (96, "DINOv3")
    assert OnnxPredictor(model, spec).tokens(torch.zeros(1, 3, 96, 96).numpy()).shape == (1, 6, 6, 192)


def test_a_refusal_is_one_line_and_status_1(run, checkpoint, tmp_path):
    status, out, err = run("model", "import", checkpoint, "--format", "dino-mm", "--output", tmp_path / "m.safetensors")
    assert (status, out) == (1, "")
    assert err.startswith("error: dino.pth is not of the format dino-mm")
    assert err.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_an_export_is_written_beside_its_model(run, model, tmp_path):
    alone = Path(shutil.copy(model, tmp_path / "alone.safetensors"))
    assert run("model", "export", alone)[:2] == (0, f"{tmp_path / 'alone.onnx'}\n")
    assert problem_with_export(alone) is None
    status, _, err = run("model", "export", tmp_path / "nothing.safetensors")
    assert status == 1 and "nothing.safetensors does not exist" in err


def test_the_help_names_every_format():
    assert all(name in FORMATS_HELP for name in FORMATS)

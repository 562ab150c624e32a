"""Pre-training that goes on from a model file: a pre-trained one, an imported one, one with classes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from sardino_core.contract.errors import SettingInvalid
from sardino_core.contract.model_spec import BackboneSpec
from sardino_core.models.model_file import load_weights, read_spec, save_model
from sardino_core.models.network import random_network
from sardino_core.training.dino.plan import plan
from sardino_core.training.dino.state import start
from sardino_core.training.pretrain import pretrain
from sardino_core.training.settings.finetune_config import ModelConfig
from sardino_core.training.settings.run_config import RunConfig
from tests.training.rasters import BACKBONE, INPUTS, config, places, pretrain_config
from tests.training.runs import Ear

ROTARY = BackboneSpec("vit_tiny_dinov3", patch=8, width=24, depth=2, heads=2, register_tokens=1)


@pytest.fixture(scope="module")
def images(tmp_path_factory) -> str:
    return str(places(tmp_path_factory.mktemp("places")) / "*.tif")


@pytest.fixture(autouse=True)
def unexported(monkeypatch):
    monkeypatch.setattr("sardino_core.training.pretrain.export_onnx", lambda model: model)


@pytest.mark.parametrize("backbone", [BACKBONE, ROTARY], ids=["plain", "dinov3"])
def test_a_run_goes_on_from_the_weights_and_the_contract_of_a_model(images, tmp_path, backbone):
    spec = replace(
        pretrain_config("x", backbone).spec(), name="first", licence="CC-BY-4.0", attribution="its makers", window=64
    )
    first = save_model(tmp_path / "first.safetensors", spec, random_network(spec, 5).state_dict(), "float32")
    settings = pretrain_config(images, run=RunConfig(2, 10, 0, tensorboard=False), attribution="us")
    still = replace(settings, optimiser=replace(settings.optimiser, steps=2, lr=1e-9, weight_decay=0.0))
    pretrain(still, tmp_path / "run", init=str(first))
    before, after = load_weights(first), load_weights(tmp_path / "run" / "model.safetensors")
    assert before.keys() == after.keys()
    assert all(np.allclose(before[name], after[name], atol=1e-3) for name in before)
    found = read_spec(tmp_path / "run" / "model.safetensors")
    assert (found.window, found.backbone, found.licence) == (64, backbone, "CC-BY-4.0")
    assert found.attribution == "us its makers"
    assert "goes on from the backbone of first" in found.provenance.notes
    with pytest.raises(SettingInvalid, match="init was"):
        pretrain(replace(still, model=replace(still.model, window=64)), tmp_path / "run", resume=True)


def test_student_and_teacher_start_alike_from_a_model_with_classes(tmp_path):
    settings = config("x", "y", model=ModelConfig(INPUTS, BACKBONE, window=32, head="linear"))
    network = random_network(settings.spec(), 3)
    model = save_model(tmp_path / "map.safetensors", settings.spec(), network.state_dict(), "float32")
    state = start(pretrain_config("x"), torch.device("cpu"), str(model))
    for side in (state.student, state.teacher):
        own = side.network.state_dict()
        assert all(torch.equal(own[name], value) for name, value in network.state_dict().items() if name in own)
    assert not any(name.startswith("head") for name in state.student.network.state_dict())


def test_a_dry_run_names_the_model_and_refuses_views_that_do_not_fit_it(images, tmp_path):
    spec = replace(pretrain_config("x").spec(), name="small", window=16)
    model = save_model(tmp_path / "m.safetensors", spec, random_network(spec, 0).state_dict())
    ear = Ear()
    settled, _, _ = plan(pretrain_config(images), ear, str(model))
    assert settled.model.window == 16
    assert any("goes on from the backbone of small" in line for line in ear.said)
    tiny = replace(spec, window=8)
    model = save_model(tmp_path / "tiny.safetensors", tiny, random_network(tiny, 0).state_dict())
    with pytest.raises(SettingInvalid, match=r"views\.local_size is 16"):
        plan(pretrain_config(images), ear, str(model))

"""A short run from rasters to a model file that the predictors accept."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from sardino_core.contract.errors import Cancelled, NoValidData, SettingInvalid
from sardino_core.contract.listener import Listener
from sardino_core.models.model_file import load_weights, read_spec
from sardino_core.models.network import random_network
from sardino_core.models.predictor import load_predictor
from sardino_core.training.config import OptimiserConfig, load_config
from sardino_core.training.evaluate import evaluate
from sardino_core.training.finetune import SCRATCH, finetune
from sardino_core.training.schedules import learning_rate, parameter_groups
from tests.training.rasters import CLASSES, config, lake


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    settings = config(*lake(folder), steps=40)
    return settings, finetune(settings, SCRATCH, folder / "out"), folder / "out"


def test_the_run_folder_holds_what_was_promised(run):
    settings, _result, folder = run
    assert {path.name for path in folder.iterdir()} == {
        "model.safetensors", "model.onnx", "metrics.csv", "config.yaml", "checkpoint.pt",
    }  # fmt: skip
    assert load_config(folder / "config.yaml") == settings
    assert (folder / "metrics.csv").read_text().splitlines()[-1].startswith("40,")
    state = torch.load(folder / "checkpoint.pt", weights_only=True)
    assert state["step"] == 40


def test_the_model_learns_the_lake_and_runs_without_torch(run):
    _, result, folder = run
    spec = read_spec(folder / "model.safetensors")
    assert spec.classes == CLASSES
    assert spec.provenance.steps == 40
    assert result.values["accuracy"] > 0.9
    assert str(folder) not in spec.to_json()
    predictor = load_predictor(folder / "model.safetensors", device="cpu")
    assert predictor.description.startswith("ONNX")
    windows = np.random.default_rng(0).normal(size=(2, 2, 32, 32)).astype(np.float32)
    assert np.allclose(predictor.segment(windows).sum(axis=1), 1, atol=1e-5)


def test_evaluating_the_file_counts_every_label(run, tmp_path):
    settings, result, folder = run
    found = evaluate(str(folder / "model.safetensors"), settings, tmp_path)
    assert found.values["pixels"] == 96 * 96
    assert found.values["accuracy"] > 0.9
    assert json.loads((tmp_path / "metrics.json").read_text())["pixels"] == 96 * 96
    rows = (tmp_path / "confusion.csv").read_text().splitlines()
    assert rows[0] == "reference,water,trees,low"
    assert sum(int(number) for row in rows[1:] for number in row.split(",")[1:]) == 96 * 96
    held_out = evaluate(str(folder / "model.safetensors"), settings, tmp_path, all_labels=False)
    assert held_out.values["accuracy"] == pytest.approx(result.values["accuracy"], abs=1e-3)  # float16 on disk


def test_a_model_file_can_be_started_from(run, tmp_path):
    settings, _, folder = run
    finetune(replace(settings, optimiser=OptimiserConfig(steps=1, lr=1e-9, warm_up=1, weight_decay=0.0, ema_decay=0.0)),
             str(folder / "model.safetensors"), tmp_path)  # fmt: skip
    before, after = load_weights(folder / "model.safetensors"), load_weights(tmp_path / "model.safetensors")
    assert all(np.allclose(before[name], after[name], atol=1e-3) for name in before)


def test_the_same_seed_gives_the_same_weights_and_another_seed_others(tmp_path):
    settings = config(*lake(tmp_path))
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        finetune(replace(settings, seed=seed), SCRATCH, tmp_path / name)
    a, b, c = (load_weights(tmp_path / name / "model.safetensors") for name in "abc")
    assert all(np.array_equal(a[name], b[name]) for name in a)
    assert any(not np.array_equal(a[name], c[name]) for name in a)


def test_cancelling_stops_without_a_model(tmp_path):
    class Stop(Listener):
        def cancelled(self) -> bool:
            return True

    with pytest.raises(Cancelled):
        finetune(config(*lake(tmp_path)), SCRATCH, tmp_path / "out", Stop())
    assert not (tmp_path / "out" / "model.safetensors").exists()


def test_everything_held_out_and_diverging_are_told(tmp_path):
    scene, labels = lake(tmp_path)
    with pytest.raises(NoValidData, match="held out"):
        finetune(config(scene, labels, source={"hold_out": 1.0}), SCRATCH, tmp_path / "out")
    optimiser = OptimiserConfig(steps=20, batch_size=2, lr=1e30, warm_up=1, clip_norm=1e30)
    with pytest.raises(SettingInvalid, match=r"optimiser\.lr"):
        finetune(config(scene, labels, optimiser=optimiser), SCRATCH, tmp_path / "out")


def test_learning_rate_warms_up_then_falls_to_its_end():
    settings = OptimiserConfig(steps=100, warm_up=10, lr=1.0, final_lr=0.1)
    rates = [learning_rate(step, settings) for step in range(101)]
    assert rates[9] == rates[10] == 1.0
    assert np.all(np.diff(rates[:10]) > 0)
    assert np.all(np.diff(rates[10:]) < 0)
    assert rates[100] == pytest.approx(0.1)


def test_layer_decay_slows_the_bottom_and_spares_biases_from_weight_decay(tmp_path):
    settings = config("a", "b")
    network = random_network(settings.spec(), 0)
    groups = parameter_groups(network, 2, OptimiserConfig(layer_decay=0.5, weight_decay=0.1))
    scale = {id(p): (group["lr_scale"], group["weight_decay"]) for group in groups for p in group["params"]}
    named = {name: scale[id(p)] for name, p in network.named_parameters()}
    assert len(named) == len(scale)
    assert named["backbone.patch_embed.proj.weight"] == (0.125, 0.1)
    assert named["backbone.pos_embed"] == (0.125, 0.0)
    assert named["backbone.blocks.1.attn.qkv.weight"] == (0.5, 0.1)
    assert named["backbone.blocks.1.attn.qkv.bias"] == (0.5, 0.0)
    assert named["head.classify.weight"] == (1.0, 0.1)

from __future__ import annotations

import re
import runpy
import sys
from pathlib import Path

import pytest

from sardino_core.contract.jobs import SimulateJob
from sardino_core.models.model_file import save_model
from sardino_core.models.network import random_network
from sardino_core.simulate import simulate_scene
from tests.training.rasters import pretrain_config

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "experiments" / "probe_pretraining.py"


def test_a_model_that_was_never_trained_scores_as_a_random_one(tmp_path, monkeypatch, capsys):
    for name, seed in (("train", 3), ("test", 4)):
        simulate_scene(SimulateJob(str(tmp_path / name), size=160, seed=seed))
    spec = pretrain_config("x").spec()
    model = save_model(tmp_path / "model.safetensors", spec, random_network(spec, 0).state_dict(), "float32")
    arguments = ["probe", "--model", model, "--train", tmp_path / "train", "--test", tmp_path / "test", "--every", "1"]
    monkeypatch.setattr(sys, "argv", [str(item) for item in arguments])
    with pytest.raises(SystemExit) as end:
        runpy.run_path(str(SCRIPT), run_name="__main__")
    assert end.value.code == 0
    found = re.findall(r"^(\S+) +(linear|kNN) (mIoU|accuracy) +([\d.]+)$", capsys.readouterr().out, re.MULTILINE)
    scores = {(name, probe, measure): float(value) for name, probe, measure, value in found}
    assert len(scores) == 12
    for (name, *rest), value in scores.items():
        assert 0 < value <= 1
        if name == "pre-trained":
            assert value == scores[("random", *rest)]

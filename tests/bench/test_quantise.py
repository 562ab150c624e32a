from __future__ import annotations

import sys

import pytest

from sardino_core.models.model_file import save_model
from tests.models.networks import lively_network
from tests.models.specs import make_spec


@pytest.mark.slow
def test_every_form_runs_and_is_scored(tmp_path, monkeypatch, capsys):
    import quantise

    spec = make_spec(window=64, depth=1)
    model = save_model(tmp_path / "model.safetensors", spec, lively_network(spec).state_dict(), "float32")
    arguments = ["quantise", "--model", str(model), "--places", "1", "--size", "128", "--rounds", "1"]
    monkeypatch.setattr(sys, "argv", arguments)
    assert quantise.main() == 0
    rows = [line.strip("| ").split(" | ") for line in capsys.readouterr().out.splitlines() if line.startswith("| ")][2:]
    assert [row[0] for row in rows] == [
        "float32",
        "int8, dynamic, matrix multiplies",
        "int8, static (QDQ), matrix multiplies",
        "float16",
    ]
    scores = [float(row[2]) for row in rows]
    assert 0 < scores[0] < 1 and all(abs(score - scores[0]) < 0.1 for score in scores)

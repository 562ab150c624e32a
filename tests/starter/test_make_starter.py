"""The starter's recipe from beginning to end, very small."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from sardino_core.models.model_file import read_spec

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "starter" / "make_starter.py"


def make(*arguments):
    return subprocess.run([sys.executable, str(SCRIPT), *map(str, arguments)], capture_output=True, text=True)


def test_the_recipe_works_on_simulation_alone_says_so_and_installs_nothing(tmp_path):
    made = make("--tiny", "--work", tmp_path)
    assert made.returncode == 0, made.stderr
    assert "no real tiles are given (--data): the starter is made of simulation alone" in made.stderr
    spec = read_spec(tmp_path / "run" / "model.safetensors")
    assert [item.value for item in spec.classes] == [80, 10, 50, 30, 60]
    assert not any("terramesh" in line for line in spec.provenance.data)
    before = (tmp_path / "run" / "model.safetensors").stat().st_mtime_ns
    again = make("--tiny", "--work", tmp_path)
    assert again.returncode == 0
    assert (tmp_path / "run" / "model.safetensors").stat().st_mtime_ns == before


def test_a_folder_that_is_none_is_named(tmp_path):
    made = make("--tiny", "--work", tmp_path, "--data", tmp_path / "nowhere")
    assert made.returncode == 1
    assert len(made.stderr.strip().splitlines()) <= 2 and "nowhere is no folder" in made.stderr

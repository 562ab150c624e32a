"""The starter's recipe from beginning to end, very small."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from sardino_core.contract.errors import SettingInvalid
from sardino_core.models.model_file import read_spec
from sardino_core.training.settings.finetune_config import load_config

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


def test_a_folder_of_another_recipe_is_not_taken_for_this_one(tmp_path):
    from recipe import require_same

    config = load_config("finetune-starter", ["paths.real=here"])
    require_same(tmp_path, config, "24 places\n")
    require_same(tmp_path, load_config("finetune-starter", ["paths.real=there"]), "24 places\n")
    for other in ((load_config("finetune-starter", ["optimiser.steps=7"]), "24 places\n"), (config, "4 places\n")):
        with pytest.raises(SettingInvalid, match=r"made by another recipe: '.*(2000|24)"):
            require_same(tmp_path, *other)


def test_the_judge_says_what_is_missing_in_one_line(tmp_path):
    judge = SCRIPT.with_name("judge_starter.py")
    words = [sys.executable, str(judge), "--data", str(tmp_path), "--work", str(tmp_path), "--output", str(tmp_path)]
    judged = subprocess.run(words, capture_output=True, text=True)
    assert judged.returncode == 1
    assert "model.safetensors" in judged.stderr and "Traceback" not in judged.stderr

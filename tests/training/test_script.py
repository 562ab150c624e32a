"""scripts/train.py as a user calls it: one line on stderr for what is wrong, and no torch before it is needed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "train.py"
FINETUNE = ["finetune", "--config", "finetune-tiny", "--init", "scratch"]


def call(*arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(SCRIPT), *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


def test_help_names_the_commands_and_imports_nothing_heavy(tmp_path):
    code = (
        "import runpy, sys; sys.argv = ['train.py', 'finetune', '--help']\n"
        f"try: runpy.run_path({str(SCRIPT)!r}, run_name='__main__')\n"
        "except SystemExit as end: print(end.code, sorted({'torch', 'numpy', 'yaml'} & set(sys.modules)))"
    )
    found = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert "--images" in found.stdout
    assert found.stdout.splitlines()[-1] == "0 []"


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ([*FINETUNE, "--images", "no*.tif", "--labels", "no*.tif", "optimiser.stepz=3", "--out", "run"], "'stepz'"),
        ([*FINETUNE, "--images", "no*.tif", "--labels", "no*.tif", "--out", "run"], "no*.tif"),
        (["evaluate", "--model", "no.safetensors", "--images", "a", "--labels", "b", "--out", "run"], "no.safetensors"),
    ],
)
def test_what_is_wrong_is_one_line_and_status_1(tmp_path, arguments, named):
    found = call(*arguments, folder=tmp_path)
    assert found.returncode == 1
    assert found.stderr.startswith("error: ")
    assert len(found.stderr.splitlines()) == 1
    assert named in found.stderr
    assert not (tmp_path / "run" / "model.safetensors").exists()


def test_wrong_usage_is_status_2(tmp_path):
    assert call("finetune", folder=tmp_path).returncode == 2

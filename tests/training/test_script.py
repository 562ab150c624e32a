"""scripts/train.py as a user calls it: one line on stderr for what is wrong, and no torch before it is needed."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import rasterio

from tests.training.rasters import lake, write

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
        ([*FINETUNE, "--images", "a", "--labels", "b", "--out", "run", "--label-fraction", "2"], "label_fraction is 2"),
        (
            ["evaluate", "--model", "starter", "--images", "a", "--labels", "b", "--out", "run", "least_valid=0"],
            "least_valid=0 belongs to a configuration",
        ),
        (
            ["evaluate", "--model", "starter", "--images", "a", "--labels", "b", "--out", "run", "--held-out"],
            "--held-out belongs to a configuration",
        ),
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


def test_a_dry_run_says_what_would_be_used_and_writes_nothing(tmp_path):
    lake(tmp_path, 256, 256)
    found = call(
        *FINETUNE, "--images", "scene.tif", "--labels", "labels.tif", "--dry-run", "--label-fraction", "0.2",
        "--out", "run", folder=tmp_path,
    )  # fmt: skip
    assert found.returncode == 0, found.stderr
    for words in (
        "1 scenes (images), 0.1 million pixels",
        "units: db",
        "bands: VV, VH",
        r"  water: \d,\d+ of \d+,\d+ and \d+,\d+",
        r"label_fraction 0\.2: 2\d\.\d+% of the training labels",
        r"\d+ blocks of 64 x 64 pixels",
        "MB of memory",
    ):
        assert re.search(words.replace("(images)", r"\(images\)"), found.stderr), words
    assert not (tmp_path / "run").exists()


def test_bands_and_units_are_given_as_for_every_other_command(tmp_path):
    """The reader's messages name these options, so that they must be there."""
    scene, _ = lake(tmp_path, 256, 256)
    with rasterio.open(scene) as dataset:
        power = 10 ** (dataset.read()[::-1] / 10)
    write(tmp_path / "plain.tif", power.astype(np.float32))
    for command in (FINETUNE, ["pretrain", "--config", "pretrain-tiny"]):
        labels = ["--labels", "labels.tif"] if command is FINETUNE else []
        found = call(
            *command, "--images", "plain.tif", *labels, "--bands", "VV=2,VH=1", "--units", "power", "--dry-run",
            "--out", "run", "optimiser.batch_size=4", folder=tmp_path,
        )  # fmt: skip
        assert found.returncode == 0, found.stderr
        assert "units: power, by --units" in found.stderr


def test_wrong_usage_is_status_2(tmp_path):
    assert call("finetune", folder=tmp_path).returncode == 2
    stray = call(*FINETUNE, "--out", "run", "--images", "a", "--dry-run", "optimiser.steps:200", folder=tmp_path)
    assert stray.returncode == 2
    assert "optimiser.steps:200" in stray.stderr

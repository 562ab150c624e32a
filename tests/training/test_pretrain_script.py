"""scripts/train.py pretrain as a user calls it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.training.rasters import places

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "train.py"
PRETRAIN = ["pretrain", "--config", "pretrain-tiny", "--out", "run"]


def call(*arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(SCRIPT), *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ([*PRETRAIN, "--images", "no*.tif", "loss.koleoo=3"], "'koleoo'"),
        ([*PRETRAIN, "--images", "no*.tif"], "no*.tif"),
        (PRETRAIN, "--images"),
    ],
)
def test_what_is_wrong_is_one_line_and_status_1(tmp_path, arguments, named):
    found = call(*arguments, folder=tmp_path)
    assert found.returncode == 1
    assert found.stderr.startswith("error: ")
    assert len(found.stderr.splitlines()) == 1
    assert named in found.stderr
    assert not (tmp_path / "run").exists()


def test_a_dry_run_says_what_would_be_used_and_writes_nothing(tmp_path):
    places(tmp_path / "in")
    found = call(*PRETRAIN, "--images", "in/*.tif", "--dry-run", "optimiser.batch_size=8", folder=tmp_path)
    assert found.returncode == 0, found.stderr
    for word in ("2 rasters of 2 places", "units: db", "bands: VV, VH", "windows side by side", "MB of memory"):
        assert word in found.stderr
    assert not (tmp_path / "run").exists()

"""`make demo`: the script makes what it promises, with the model that ships."""

import os
import subprocess
import sys
from pathlib import Path

import rasterio

ROOT = Path(__file__).parent.parent


def run_demo(*arguments):
    command = [sys.executable, str(ROOT / "scripts" / "demo.py"), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": str(ROOT)})


def test_from_nothing_to_a_picture(tmp_path):
    done = run_demo("--output", tmp_path, "--size", 256)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "overview.png").read_bytes().startswith(b"\x89PNG")
    with rasterio.open(tmp_path / "landcover.tif") as dataset:
        assert dataset.shape == (256, 256)
        assert dataset.tags()["SARDINO_MODEL"] == "starter"
        assert (dataset.read() > 0).all()
    assert {path.name for path in tmp_path.glob("*.tif")} >= {"scene.tif", "labels.tif", "attention.tif", "tokens.tif"}


def test_a_raster_of_ones_own_that_does_not_exist(tmp_path):
    done = run_demo("--output", tmp_path / "out", "--input", tmp_path / "nothing.tif")
    assert done.returncode == 1
    assert [line for line in done.stderr.splitlines() if line.startswith("error:")]

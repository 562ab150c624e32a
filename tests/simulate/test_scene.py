import errno
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import rasterio

from sardino_core.contract.errors import Cancelled, OutputUnwritable
from sardino_core.contract.jobs import SimulateJob
from sardino_core.simulate import NOTICE, WORLDCOVER, scene, simulate_arrays, simulate_scene

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A scene that is no multiple of the block."""
    return simulate_scene(SimulateJob(str(tmp_path_factory.mktemp("a") / "new" / "folder"), size=600, seed=2))


def test_scene_is_a_named_utm_raster_in_db(files):
    with rasterio.open(files["scene"]) as source:
        assert source.shape == (600, 600)
        assert source.descriptions == ("VV", "VH")
        assert source.dtypes == ("float32", "float32")
        assert np.isnan(source.nodata)
        assert source.crs.to_epsg() == 32633
        assert source.res == (10.0, 10.0)
        assert source.block_shapes == [(512, 512)] * 2
        assert source.profile["compress"] == "deflate"
        assert source.tags(ns="IMAGE_STRUCTURE")["PREDICTOR"] == "3"
        assert -25 < np.median(source.read(1)) < -5


def test_every_file_says_that_it_is_simulated(files):
    assert sorted(files) == ["labels", "layover_shadow", "scene"]
    for path in files.values():
        with rasterio.open(path) as source:
            assert source.tags()["SARDINO_SIMULATED"] == "YES"
            assert source.tags()["TIFFTAG_IMAGEDESCRIPTION"] == NOTICE
    assert "not evidence" in NOTICE


def test_labels_carry_worldcover_colours(files):
    with rasterio.open(files["labels"]) as source:
        assert source.dtypes == ("uint8",)
        assert source.nodata == 0
        table = source.colormap(1)
        for value, (_, colour) in WORLDCOVER.items():
            assert table[value] == (*colour, 255)
        assert set(np.unique(source.read(1))) <= set(WORLDCOVER)
    with rasterio.open(files["layover_shadow"]) as source:
        assert source.read(1).max() <= 3


def test_the_files_hold_what_the_function_gives(files):
    sigma0_db, labels = simulate_arrays(600, seed=2)
    with rasterio.open(files["scene"]) as source:
        assert np.array_equal(source.read(), sigma0_db)
    with rasterio.open(files["labels"]) as source:
        assert np.array_equal(source.read(1), labels)


def test_block_and_threads_change_nothing(files, tmp_path, monkeypatch):
    monkeypatch.setattr(scene, "BLOCK_PX", 176)
    monkeypatch.setattr(scene, "_THREADS", 1)
    again = simulate_scene(SimulateJob(str(tmp_path), size=600, seed=2))
    with rasterio.open(files["scene"]) as first, rasterio.open(again["scene"]) as second:
        assert np.array_equal(first.read(), second.read())


def test_all_seasons_are_eight_named_bands(tmp_path):
    made = simulate_scene(SimulateJob(str(tmp_path), size=40, all_seasons=True))
    with rasterio.open(made["scene"]) as source:
        assert source.descriptions == (
            "VV_winter", "VH_winter", "VV_spring", "VH_spring", "VV_summer", "VH_summer", "VV_fall", "VH_fall",
        )  # fmt: skip


def test_progress_rises_to_one(tmp_path):
    seen = []
    simulate_scene(SimulateJob(str(tmp_path), size=530), report=lambda fraction, message: seen.append(fraction))
    assert seen == sorted(seen)
    assert seen[-1] == 1
    assert len(seen) == 4


def test_cancelled_leaves_nothing(tmp_path):
    asked = []

    def cancelled():
        asked.append(1)
        return len(asked) > 1

    with pytest.raises(Cancelled):
        simulate_scene(SimulateJob(str(tmp_path), size=530), cancelled=cancelled)
    assert list(tmp_path.iterdir()) == []


def test_a_failed_write_leaves_nothing(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(scene, "_write", full)
    with pytest.raises(OutputUnwritable, match="No space left"):
        simulate_scene(SimulateJob(str(tmp_path), size=16))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("limit", [1000, 66_500, 68_500])
def test_a_disk_that_fills_up_is_noticed_even_at_closing(tmp_path, limit):
    """A limit on the file's size stands in for a full disk; the directory is the last thing that GDAL writes."""
    pytest.importorskip("resource")
    complete = simulate_scene(SimulateJob(str(tmp_path / "whole"), size=100, seed=2))["scene"].stat().st_size
    code = (
        "import resource, signal, sys\n"
        "from sardino_core.contract.errors import OutputUnwritable\n"
        "from sardino_core.contract.jobs import SimulateJob\n"
        "from sardino_core.simulate import simulate_scene\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        f"resource.setrlimit(resource.RLIMIT_FSIZE, ({int(complete * limit / 69_000)}, resource.RLIM_INFINITY))\n"
        "try:\n"
        f"    simulate_scene(SimulateJob({str(tmp_path / 'full')!r}, size=100, seed=2))\n"
        "except OutputUnwritable:\n"
        "    sys.exit(7)\n"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, check=False).returncode == 7
    assert list((tmp_path / "full").iterdir()) == []


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(OutputUnwritable, match="cannot be made"):
        simulate_scene(SimulateJob(str(tmp_path / "file" / "folder"), size=16))

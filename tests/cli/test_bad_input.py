"""Bad input: status 1, one clear line, nothing left behind."""

import os
import pickle
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import rasterio
from affine import Affine

from tests.cli.conftest import UTM_10M, speckled, write_raster


def refuse(run, folder, *command):
    """Run a command that must fail; returns its one line."""
    before = sorted(path.name for path in folder.iterdir())
    status, out, err = run(*command)
    lines = [line for line in err.splitlines() if line.startswith("error:")]
    assert status == 1, err
    assert len(lines) == 1
    assert "Traceback" not in err and "defect" not in err
    assert out == ""
    assert sorted(path.name for path in folder.iterdir()) == before
    return lines[0]


@pytest.fixture
def segment(run, model, tmp_path):
    """Run `segment` on an input that must be refused; returns the error line."""

    def refuse_segment(source, *options, using=model):
        output = [] if "--output" in options else ["--output", tmp_path / "map.tif"]
        return refuse(run, tmp_path, "segment", source, "--model", using, *output, *options)

    return refuse_segment


def test_missing_file(segment, tmp_path):
    assert "does not exist" in segment(tmp_path / "nothing.tif")


def test_not_a_raster(segment, tmp_path):
    (tmp_path / "text.tif").write_text("hello")
    assert "text.tif" in segment(tmp_path / "text.tif")


def test_truncated_geotiff(segment, tmp_path):
    whole = write_raster(tmp_path / "scene.tif", speckled(300, 300))
    data = whole.read_bytes()
    (tmp_path / "cut.tif").write_bytes(data[: len(data) // 2])
    assert "cut.tif" in segment(tmp_path / "cut.tif")


def test_one_band_where_two_are_needed(segment, tmp_path):
    line = segment(write_raster(tmp_path / "scene.tif", speckled(50, 50)[:1], names=["VV"]))
    assert "VH" in line and "small" in line


def test_ambiguous_units(segment, tmp_path):
    power = np.full((2, 64, 64), 0.18, np.float32) * np.random.default_rng(0).gamma(5, 1 / 5, (2, 64, 64)).astype(
        np.float32
    )
    line = segment(write_raster(tmp_path / "scene.tif", power))
    assert "--units" in line


@pytest.mark.parametrize("nodata", [np.nan, -9999.0])
def test_all_nodata(segment, tmp_path, nodata):
    source = write_raster(tmp_path / "scene.tif", np.full((2, 40, 40), nodata, np.float32), nodata=nodata)
    assert "valid" in segment(source)


def test_one_kilometre_pixels(segment, tmp_path):
    source = write_raster(tmp_path / "scene.tif", speckled(50, 50), Affine(1000, 0, 5e5, 0, -1000, 5e6))
    assert "1000 m" in segment(source)


def test_cutline_outside(segment, scene, tmp_path):
    (tmp_path / "cut.geojson").write_text('{"type": "Polygon", "coordinates": [[[1, 1], [2, 1], [2, 2], [1, 1]]]}')
    assert "outside" in segment(scene, "--cutline", tmp_path / "cut.geojson")


def test_extent_outside(segment, scene):
    assert "outside" in segment(scene, "--extent=0,0,10,10")


def test_a_pickled_model_is_never_opened(segment, scene, tmp_path):
    class Bomb:
        def __reduce__(self):
            return (os.mkdir, (str(tmp_path / "exploded"),))

    (tmp_path / "model.pth").write_bytes(pickle.dumps(Bomb()))
    assert "model.pth" in segment(scene, using=tmp_path / "model.pth")


@pytest.mark.parametrize(
    "content",
    [b"", b"\x08", (2**62).to_bytes(8, "little") + b"{}", (4).to_bytes(8, "little") + b"null", b"\xff" * 64],
)
def test_damaged_model_files(segment, scene, tmp_path, content):
    (tmp_path / "bad.safetensors").write_bytes(content)
    assert "bad.safetensors" in segment(scene, using=tmp_path / "bad.safetensors")


def test_a_truncated_model_file(segment, scene, tmp_path, model):
    (tmp_path / "cut.safetensors").write_bytes(model.read_bytes()[:-100])
    assert "cut.safetensors" in segment(scene, using=tmp_path / "cut.safetensors")


def test_a_missing_model(segment, scene, tmp_path):
    assert "starter" in segment(scene, using=tmp_path / "none.safetensors")


def test_a_model_that_wants_a_band_the_file_lacks(segment, tmp_path):
    line = segment(write_raster(tmp_path / "scene.tif", speckled(50, 50), names=["HH", "HV"]))
    assert "VV" in line


def test_output_folder_missing(segment, scene, tmp_path):
    assert "does not exist" in segment(scene, "--output", tmp_path / "nowhere" / "map.tif")


def test_output_is_the_input(segment, scene):
    assert "also read by this run" in segment(scene, "--output", scene)


def test_options_out_of_range(segment, scene):
    assert "0 to 0.75" in segment(scene, "--overlap", "0.9")


def test_layer_out_of_range(run, model, scene, tmp_path):
    line = refuse(run, tmp_path, "attention", scene, "--model", model, "--output", tmp_path / "a.tif", "--layer", 9)
    assert "Layer 9 does not exist; the model has 0 to 1" in line


def test_too_many_components(run, model, scene, tmp_path):
    line = refuse(run, tmp_path, "embed", scene, "--model", model, "--output", tmp_path / "a.tif", "--components", 99)
    assert "48 dimensions" in line


def test_wrong_usage_ends_with_2(run):
    with pytest.raises(SystemExit) as caught:
        run("segment", "--bands", "VV:1")
    assert caught.value.code == 2


def test_gdals_own_messages_go_to_the_log(run, model, tmp_path):
    (tmp_path / "text.tif").write_text("hello")
    log = tmp_path / "run.log"
    command = [sys.executable, "-m", "sardino_core", "segment", tmp_path / "text.tif", "--model", model]
    process = subprocess.run([*command, "--output", tmp_path / "map.tif", "--log", log], capture_output=True, text=True)
    assert process.returncode == 1
    assert len(process.stderr.splitlines()) == 1


def _start(model, tmp_path):
    """A run that is long enough to be interrupted, after it has started to work."""
    source = tmp_path / "large.tif"
    if not source.exists():
        write_raster(source, np.tile(speckled(512, 512), (1, 8, 8)))
    command = [sys.executable, "-m", "sardino_core", "segment", source, "--model", model, "--batch-size", "1", "--json"]
    process = subprocess.Popen(
        [*command, "--output", tmp_path / "map.tif"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    for line in process.stdout:
        if "window" in line and '"progress"' in line:
            return process
    raise AssertionError(process.stderr.read())


@pytest.mark.skipif(os.name == "nt", reason="POSIX signals")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_runs_end_soon_with_one_line_and_leave_nothing(model, tmp_path, number):
    process = _start(model, tmp_path)
    started = time.monotonic()
    process.send_signal(number)
    _, err = process.communicate(timeout=20)
    assert time.monotonic() - started < 5
    assert process.returncode == 1
    assert err == "error: The run was stopped; nothing half-written was left behind.\n"
    assert [path.name for path in tmp_path.iterdir()] == ["large.tif"]


@pytest.mark.skipif(os.name == "nt", reason="POSIX signals")
def test_a_killed_run_leaves_no_output_and_the_next_one_tidies_up(run, model, scene, tmp_path):
    process = _start(model, tmp_path)
    process.kill()
    process.communicate()
    assert not (tmp_path / "map.tif").exists()
    assert len(list(tmp_path.glob(".sardino-part-*"))) == 1
    assert run("segment", scene, "--model", model, "--output", tmp_path / "map.tif")[0] == 0
    assert not list(tmp_path.glob(".sardino-part-*"))


@pytest.mark.skipif(os.name == "nt", reason="POSIX limits")
def test_a_full_disk_is_told_and_leaves_nothing(model, scene, tmp_path):
    script = (
        "import resource, signal, sys; signal.signal(signal.SIGXFSZ, signal.SIG_IGN);"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096));"
        "from sardino_core.cli import main; sys.exit(main(sys.argv[1:]))"
    )
    command = ["segment", scene, "--model", model, "--output", tmp_path / "map.tif", "--confidence", tmp_path / "c.tif"]
    process = subprocess.run([sys.executable, "-c", script, *map(str, command)], capture_output=True, text=True)
    assert process.returncode == 1
    assert "could not be written completely" in process.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["scene.tif"]


def test_a_raster_that_breaks_in_the_middle_leaves_nothing(segment, tmp_path):
    """The header and the first strips are fine; the error comes from the reading thread, half-way through."""
    source = tmp_path / "scene.tif"
    write_raster(source, speckled(600, 300), UTM_10M)
    with rasterio.open(source) as dataset:
        offset = int(dataset.get_tag_item("BLOCK_OFFSET_0_400", "TIFF", bidx=1) or 0)
    data = source.read_bytes()
    source.write_bytes(data[: offset or len(data) * 2 // 3])
    assert "scene.tif" in segment(source, "--units", "db")

"""`sardino cluster`: what it writes, the same classes elsewhere, and that nothing is left of a run that ended badly."""

import json
import os
import subprocess
import sys
import tracemalloc

import numpy as np
import pytest
import rasterio

from sardino_core.cluster import cluster
from sardino_core.contract.errors import Cancelled, SettingInvalid
from sardino_core.contract.jobs import ClusterJob, RunOptions, SceneOptions
from sardino_core.contract.listener import Listener
from sardino_core.contract.messages import decode
from sardino_core.raster.writing.class_legend import read_aux_xml
from tests.cli.conftest import UTM_10M, speckled, write_raster
from tests.cli.test_bad_input import refuse


def read(path):
    with rasterio.open(path) as dataset:
        return dataset.read(1)


@pytest.fixture
def codebook(run, model, scene, tmp_path):
    """Four clusters of the scene."""
    path = tmp_path / "codebook.json"
    output = tmp_path / "first.tif"
    command = ["cluster", scene, "--model", model, "--output", output, "--clusters", 4, "--save-codebook", path]
    status, _, err = run(*command)
    assert status == 0, err
    return path


def test_the_map_lies_on_the_patches_and_carries_its_legend(run, model, scene, tmp_path):
    output = tmp_path / "clusters.tif"
    command = ["cluster", scene, "--model", model, "--output", output, "--clusters", 3, "--json"]
    result = decode(run(*command)[1].splitlines()[-1])
    with rasterio.open(output) as dataset:
        assert (dataset.shape, dataset.dtypes, dataset.nodata) == ((12, 13), ("uint8",), 0)
        assert dataset.transform == UTM_10M @ UTM_10M.scale(8)
        assert "SARDINO_MEANING" in dataset.tags() and str(tmp_path) not in json.dumps(dataset.tags())
        table = dataset.colormap(1)
    found = read(output)
    assert set(np.unique(found)) <= {1, 2, 3}
    classes = read_aux_xml(tmp_path / "clusters.tif.aux.xml")[1:]  # the first is nodata
    assert [item.value for item in classes] == [1, 2, 3]
    assert all(table[item.value][:3] == tuple(bytes.fromhex(item.colour[1:])) for item in classes)
    counts = {item.name: int((found == item.value).sum()) for item in classes}
    assert result.values["pixels"] == counts and result.values["clusters"] == 3
    assert sorted(path.name for path in tmp_path.glob("clusters*")) == [
        "clusters.qml", "clusters.tif", "clusters.tif.aux.xml",
    ]  # fmt: skip


def test_the_numbers_go_from_dark_to_bright(run, model, scene, tmp_path):
    output = tmp_path / "clusters.tif"
    assert run("cluster", scene, "--model", model, "--output", output, "--clusters", 3)[0] == 0
    names = [item.name for item in read_aux_xml(tmp_path / "clusters.tif.aux.xml")[1:]]
    levels = [sum(float(word) for word in name.replace(",", "").split() if word[0] == "-") for name in names]
    assert levels == sorted(levels)


def test_a_second_run_gives_the_same_map_and_codebook(run, model, scene, tmp_path):
    for name in ("a", "b"):
        outputs = "--output", tmp_path / f"{name}.tif", "--save-codebook", tmp_path / f"{name}.json"
        assert run("cluster", scene, "--model", model, "--clusters", 4, *outputs)[0] == 0
    np.testing.assert_array_equal(read(tmp_path / "a.tif"), read(tmp_path / "b.tif"))
    assert (tmp_path / "a.json").read_bytes() == (tmp_path / "b.json").read_bytes()


def test_the_number_is_chosen_and_said(run, model, scene, tmp_path):
    command = ["cluster", scene, "--model", model, "--output", tmp_path / "a.tif", "--clusters", "auto"]
    status, _, err = run(*command)
    assert status == 0, err
    (line,) = [line for line in err.splitlines() if "clusters were chosen" in line]
    assert "2 to 12" in line and "adjusted Rand index" in line


def test_a_codebook_gives_the_scene_the_same_map_again(run, model, scene, codebook, tmp_path):
    command = ["cluster", scene, "--model", model, "--codebook", codebook, "--output", tmp_path / "again.tif"]
    assert run(*command)[0] == 0
    np.testing.assert_array_equal(read(tmp_path / "again.tif"), read(tmp_path / "first.tif"))


def test_halves_with_one_codebook_are_the_whole_where_their_windows_are_the_same(run, model, codebook, tmp_path):
    values = speckled(64, 128)
    whole = write_raster(tmp_path / "whole.tif", values)
    halves = [
        write_raster(tmp_path / f"{name}.tif", values[:, :, cols], UTM_10M @ UTM_10M.translation(cols.start, 0))
        for name, cols in (("west", slice(0, 64)), ("east", slice(64, 128)))
    ]
    found = {}
    for overlap in (0, 0.25):
        for path in (whole, *halves):
            output = tmp_path / f"{path.stem}{overlap}.tif"
            options = "--codebook", codebook, "--overlap", overlap, "--output", output
            assert run("cluster", path, "--model", model, *options)[0] == 0
            found[path.stem, overlap] = read(output)
    together = {key: np.hstack([found["west", key], found["east", key]]) for key in (0, 0.25)}
    np.testing.assert_array_equal(together[0], found["whole", 0])
    assert (together[0.25] == found["whole", 0.25]).mean() > 0.6


def test_refined_borders_lie_on_the_pixels_and_run_between_the_patches(run, model, scene, codebook, tmp_path):
    command = ["cluster", scene, "--model", model, "--codebook", codebook, "--refine"]
    status, _, err = run(*command, "--output", tmp_path / "fine.tif")
    assert status == 0, err
    coarse, fine = read(tmp_path / "first.tif"), read(tmp_path / "fine.tif")
    assert fine.shape == (90, 100) and set(np.unique(fine)) <= set(np.unique(coarse))
    centres = fine[4::8, 4::8]
    assert (centres == coarse[: centres.shape[0], : centres.shape[1]]).mean() > 0.9
    blocks = np.kron(coarse, np.ones((8, 8), int))[:90, :100]
    assert 0.5 < (blocks == fine).mean() < 1


def test_nodata_stays_nodata(run, model, codebook, tmp_path):
    values = speckled(64, 64)
    values[:, :, :24] = np.nan
    source = write_raster(tmp_path / "gap.tif", values)
    for options, edge in (((), 3), (("--refine",), 24)):
        command = ["cluster", source, "--model", model, "--codebook", codebook, "--output", tmp_path / "gap_map.tif"]
        assert run(*command, *options)[0] == 0
        found = read(tmp_path / "gap_map.tif")
        assert (found[:, :edge] == 0).all() and (found[:, edge:] > 0).all()


@pytest.mark.parametrize("shape", [(5, 300), (33, 31), (32, 32)])
def test_odd_shapes(run, model, tmp_path, shape):
    source = write_raster(tmp_path / "odd.tif", speckled(*shape))
    command = ["cluster", source, "--model", model, "--output", tmp_path / "map.tif", "--units", "db", "--refine"]
    status, _, err = run(*command, "--clusters", 2)
    assert status == 0, err
    assert read(tmp_path / "map.tif").shape == shape


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--clusters", "1"], "allowed are 2 to 32"),
        (["--clusters", "33"], "allowed are 2 to 32"),
        (["--codebook", "none.json"], "does not exist"),
        (["--codebook", "none.json", "--clusters", "3"], "a codebook has its clusters already"),
        (["--codebook", "none.json", "--save-codebook", "c.json"], "a codebook has its clusters already"),
    ],
)
def test_bad_settings_are_one_line(run, model, scene, tmp_path, options, words):
    command = ["cluster", scene, "--model", model, "--output", tmp_path / "map.tif", *options]
    assert words in refuse(run, tmp_path, *command)


def test_more_clusters_than_patches_are_refused(run, model, tmp_path):
    source = write_raster(tmp_path / "tiny.tif", speckled(8, 24))
    command = ["cluster", source, "--model", model, "--output", tmp_path / "map.tif", "--units", "db"]
    assert "4 clusters are more than the 3 distinct patches" in refuse(run, tmp_path, *command, "--clusters", 4)
    assert "too few to choose" in refuse(run, tmp_path, *command)


def test_a_codebook_of_another_model_is_refused(run, model, scene, codebook, tmp_path):
    stored = json.loads(codebook.read_text(encoding="utf-8"))
    codebook.write_text(json.dumps({**stored, "model": "other", "model_sha256": "0"}), encoding="utf-8")
    command = ["cluster", scene, "--model", model, "--output", tmp_path / "map.tif", "--codebook", codebook]
    assert "made with the model other" in refuse(run, tmp_path, *command)
    codebook.write_bytes(scene.read_bytes())
    assert "is no codebook of this version (it is no text)" in refuse(run, tmp_path, *command)


def test_an_output_never_replaces_the_codebook_that_is_read(run, model, scene, codebook, tmp_path):
    before = codebook.read_bytes()
    command = ["cluster", scene, "--model", model, "--output", codebook, "--codebook", codebook]
    assert "also read by this run" in refuse(run, tmp_path, *command)
    assert codebook.read_bytes() == before


def test_without_scikit_learn_the_line_says_what_to_install(model, scene, codebook, tmp_path):
    """In a Python where it cannot be found; a codebook needs none."""
    blocked = (
        "import importlib.util, sys; find = importlib.util.find_spec;"
        "importlib.util.find_spec = lambda name, *rest: None if name == 'sklearn' else find(name, *rest);"
        "sys.modules['sklearn'] = None; from sardino_core.cli import main; sys.exit(main(sys.argv[1:]))"
    )
    command = [sys.executable, "-c", blocked, "cluster", scene, "--model", model, "--output", tmp_path / "map.tif"]
    ended = subprocess.run([*map(str, command)], capture_output=True, text=True)
    assert ended.returncode == 1 and "needs sklearn" in ended.stderr and "sardino[explore]" in ended.stderr
    assert not (tmp_path / "map.tif").exists()
    ended = subprocess.run([*map(str, command), "--codebook", str(codebook)], capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr


class StopAt(Listener):
    """Cancels once it hears a text."""

    def __init__(self, text):
        self.text, self.stop = text, False

    def progress(self, fraction, message):
        self.stop |= self.text in message

    def cancelled(self):
        return self.stop


@pytest.mark.parametrize("text", ["sampling", "trying 4", "window"])
def test_cancel_leaves_nothing_whenever_it_comes(model, scene, tmp_path, text):
    run_options = RunOptions(str(model), batch_size=1)
    outputs = str(tmp_path / "map.tif"), str(tmp_path / "codebook.json")
    with pytest.raises(Cancelled):
        cluster(
            ClusterJob(SceneOptions((str(scene),)), run_options, outputs[0], save_codebook=outputs[1]), StopAt(text)
        )
    assert [path.name for path in tmp_path.iterdir()] == ["scene.tif"]


@pytest.mark.skipif(os.name == "nt", reason="limits of POSIX")
def test_a_full_disk_is_one_line_and_leaves_nothing(model, scene, codebook, tmp_path):
    before = sorted(tmp_path.iterdir())
    limited = (
        "import resource, signal, sys; signal.signal(signal.SIGXFSZ, signal.SIG_IGN);"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (512, 512)); from sardino_core.cli import main;"
        "sys.exit(main(sys.argv[1:]))"
    )
    command = [sys.executable, "-c", limited, "cluster", scene, "--model", model, "--codebook", codebook, "--refine"]
    ended = subprocess.run([*map(str, command), "--output", str(tmp_path / "map.tif")], capture_output=True, text=True)
    assert ended.returncode == 1 and "Traceback" not in ended.stderr
    assert len([line for line in ended.stderr.splitlines() if line.startswith("error:")]) == 1
    assert sorted(tmp_path.iterdir()) == before


def test_memory_does_not_grow_with_the_raster(model, codebook, tmp_path):
    peaks = []
    for height in (4096, 12288):  # by then the queues between the threads are full
        source = write_raster(tmp_path / "high.tif", np.tile(speckled(256, 64), (1, height // 256, 1)), tiled=True,
                              blockxsize=64, blockysize=64)  # fmt: skip
        options = SceneOptions((str(source),)), RunOptions(str(model), batch_size=2)
        job = ClusterJob(*options, str(tmp_path / "map.tif"), codebook=str(codebook), refine=True)
        cluster(job)  # what is loaded once is no growth
        tracemalloc.start()
        cluster(job)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.2 * peaks[0]


def test_a_job_checks_its_number():
    with pytest.raises(SettingInvalid, match="allowed are 2 to 32"):
        ClusterJob(SceneOptions(("a.tif",)), RunOptions("starter"), "b.tif", clusters=-1)

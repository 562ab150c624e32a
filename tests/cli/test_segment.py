"""`sardino segment`: what it writes, and that the result does not depend on how the work was cut."""

import json
import os
import re
import subprocess
import sys

import numpy as np
import pytest
import rasterio
from affine import Affine
from rasterio.crs import CRS

from sardino_core.contract import messages
from tests.cli.conftest import UTM_10M, speckled, write_raster


def read(path):
    with rasterio.open(path) as dataset:
        return dataset.read()


def test_the_map_lies_on_the_scene_and_carries_its_legend_and_provenance(run, model, scene, tmp_path):
    output = tmp_path / "map.tif"
    status, out, err = run("segment", scene, "--model", model, "--output", output, "--no-abstain")
    assert status == 0, err
    assert str(output) in out
    with rasterio.open(output) as dataset, rasterio.open(scene) as source:
        assert (dataset.width, dataset.height, dataset.crs) == (source.width, source.height, source.crs)
        assert dataset.transform == source.transform
        assert dataset.nodata == 0
        assert dataset.colormap(1)[80] == (0, 100, 200, 255)
        tags = dataset.tags()
        assert set(np.unique(dataset.read())) <= {80, 10, 50}
    assert tags["SARDINO_MODEL"] == "small"
    assert len(tags["SARDINO_MODEL_SHA256"]) == 64
    assert json.loads(tags["SARDINO_PARAMETERS"])["inputs"] == ["scene.tif"]
    assert str(tmp_path) not in json.dumps(tags)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["map.qml", "map.tif", "map.tif.aux.xml", "scene.tif"]


def test_what_it_will_take_is_told_once_when_it_is_known(run, model, scene, tmp_path):
    command = ["segment", scene, "--model", model, "--output", tmp_path / "map.tif", "--batch-size", 4]
    status, _, err = run(*command)
    assert status == 0
    (line,) = [line for line in err.splitlines() if line.startswith("This will take about")]
    assert re.search(r"about \d+ s, and \d+ MB of memory", line)


def test_confidence_and_probabilities_agree_with_the_map(run, model, scene, tmp_path):
    paths = [tmp_path / name for name in ("map.tif", "confidence.tif", "probabilities.tif")]
    status, _, err = run(
        "segment", scene, "--model", model, "--output", paths[0], "--confidence", paths[1], "--probabilities", paths[2],
        "--no-abstain",
    )  # fmt: skip
    assert status == 0, err
    classes, confidence, probabilities = (read(path) for path in paths)
    np.testing.assert_allclose(probabilities.sum(axis=0), 1, atol=1e-5)
    np.testing.assert_array_equal(confidence[0], probabilities.max(axis=0))
    np.testing.assert_array_equal(classes[0], np.array([80, 10, 50])[probabilities.argmax(axis=0)])


def test_batch_size_changes_nothing_beyond_rounding(run, model, scene, tmp_path):
    found = []
    for batch in (1, 3, 16):
        output = tmp_path / f"{batch}.tif"
        command = ["segment", scene, "--model", model, "--output", tmp_path / "map.tif", "--batch-size", batch]
        assert run(*command, "--probabilities", output)[0] == 0
        found.append(read(output))
    np.testing.assert_allclose(found[0], found[1], atol=1e-5)
    np.testing.assert_allclose(found[0], found[2], atol=1e-5)


def test_a_second_run_gives_the_same_bytes(run, model, scene, tmp_path):
    for name in ("a.tif", "b.tif"):
        assert run("segment", scene, "--model", model, "--output", tmp_path / name)[0] == 0
    np.testing.assert_array_equal(read(tmp_path / "a.tif"), read(tmp_path / "b.tif"))


def test_strip_height_changes_nothing(run, model, scene, tmp_path, monkeypatch):
    """Rows read in pieces of a few pixels give the same bits as rows read at once."""
    from sardino_core.raster import strips

    for name, piece_px in (("whole.tif", 1 << 22), ("pieces.tif", 300)):
        monkeypatch.setattr(strips, "PIECE_PX", piece_px)
        command = ["segment", scene, "--model", model, "--output", tmp_path / "map.tif"]
        assert run(*command, "--probabilities", tmp_path / name)[0] == 0
    np.testing.assert_array_equal(read(tmp_path / "whole.tif"), read(tmp_path / "pieces.tif"))


@pytest.mark.parametrize("shape", [(1, 1), (5, 300), (300, 5), (32, 32), (33, 31), (97, 101)])
def test_odd_shapes(run, model, tmp_path, shape):
    source = write_raster(tmp_path / "scene.tif", speckled(*shape))
    status, _, err = run("segment", source, "--model", model, "--output", tmp_path / "map.tif", "--units", "db")
    assert status == 0, err
    classes = read(tmp_path / "map.tif")
    assert classes.shape == (1, *shape)
    assert (classes > 0).all()


def test_a_nan_stripe_is_nodata_out_and_harmless_elsewhere(run, model, tmp_path):
    values = speckled(90, 100)
    values[:, 40:50] = np.nan
    source = write_raster(tmp_path / "scene.tif", values)
    status, _, err = run("segment", source, "--model", model, "--output", tmp_path / "map.tif")
    assert status == 0, err
    classes = read(tmp_path / "map.tif")[0]
    assert (classes[40:50] == 0).all()
    assert (classes[:40] > 0).all() and (classes[50:] > 0).all()


@pytest.mark.parametrize(
    ("transform", "crs"),
    [
        (Affine.translation(5e5, 5e6) @ Affine.rotation(25) @ Affine.scale(10, -10), "EPSG:32633"),
        (Affine(1.3e-4, 0, 15, 0, -9e-5, 45), "EPSG:4326"),
        (Affine(30, 0, 5e5, 0, -30, 5e6), "EPSG:32633"),
        (Affine(5, 0, 5e5, 0, -5, 5e6), "EPSG:32633"),
        (Affine(100, 0, 5e5, 0, -100, 5e6), "EPSG:32633"),
    ],
    ids=["rotated", "degrees", "30 m", "5 m", "100 m"],
)
def test_grids_of_every_kind_come_back_as_they_were(run, model, tmp_path, transform, crs):
    source = write_raster(tmp_path / "scene.tif", speckled(90, 100), transform, crs)
    status, _, err = run("segment", source, "--model", model, "--output", tmp_path / "map.tif")
    assert status == 0, err
    with rasterio.open(tmp_path / "map.tif") as dataset:
        assert dataset.transform.almost_equals(transform)
        assert dataset.crs == CRS.from_string(crs)
        assert dataset.shape == (90, 100)
        assert (dataset.read() > 0).all()


def test_without_a_crs_it_works_and_warns(run, model, tmp_path):
    source = write_raster(tmp_path / "scene.tif", speckled(40, 40), Affine.identity(), None)
    status, _, err = run("segment", source, "--model", model, "--output", tmp_path / "map.tif")
    assert status == 0
    assert "warning:" in err


def test_extent_and_cutline(run, model, scene, tmp_path):
    extent = "--extent=500100,4999500,500600,4999800"
    assert run("segment", scene, "--model", model, "--output", tmp_path / "map.tif", extent)[0] == 0
    with rasterio.open(tmp_path / "map.tif") as dataset:
        assert dataset.shape == (30, 50)
        assert dataset.transform == UTM_10M @ Affine.translation(10, 20)

    triangle = [[500_000, 4_999_100], [501_000, 4_999_100], [500_000, 5_000_000], [500_000, 4_999_100]]
    polygon = {
        "type": "Polygon",
        "coordinates": [triangle],
        "crs": {"type": "name", "properties": {"name": "EPSG:32633"}},
    }
    (tmp_path / "cut.geojson").write_text(json.dumps(polygon))
    command = [
        "segment",
        scene,
        "--model",
        model,
        "--output",
        tmp_path / "cut.tif",
        "--cutline",
        tmp_path / "cut.geojson",
    ]
    status, _, err = run(*command)
    assert status == 0, err
    classes = read(tmp_path / "cut.tif")[0]
    assert classes[-1, 0] > 0
    assert classes[0, -1] == 0
    assert 0.4 < (classes > 0).mean() < 0.6


def test_cog(run, model, scene, tmp_path):
    command = ["segment", scene, "--model", model, "--output", tmp_path / "map.tif", "--format", "cog"]
    assert run(*command, "--confidence", tmp_path / "confidence.tif")[0] == 0
    for name in ("map.tif", "confidence.tif"):
        with rasterio.open(tmp_path / name) as dataset:
            assert dataset.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG"


def test_json_speaks_the_protocol_alone(run, model, scene, tmp_path):
    status, out, _ = run("segment", scene, "--model", model, "--output", tmp_path / "map.tif", "--json")
    assert status == 0
    found = [messages.decode(line) for line in out.splitlines()]
    assert isinstance(found[0], messages.Hello)
    assert isinstance(found[-1], messages.Result)
    assert found[-1].outputs == {"output": str(tmp_path / "map.tif")}
    assert sum(found[-1].values["pixels"].values()) == 9000
    fractions = [message.fraction for message in found if isinstance(message, messages.Progress)]
    assert fractions == sorted(fractions) and fractions[-1] == 1


def test_each_writes_one_map_per_scene_skips_the_done_and_goes_on_after_a_failure(run, model, scene, tmp_path):
    write_raster(tmp_path / "other.tif", speckled(50, 50, seed=1))
    (tmp_path / "broken.tif").write_bytes(b"not a raster")
    (tmp_path / "maps").mkdir()
    scenes = [tmp_path / name for name in ("broken.tif", "other.tif", "scene.tif")]
    command = ["segment", "--each", *scenes, "--model", model, "--output", tmp_path / "maps"]
    status, out, err = run(*command)
    assert status == 1
    assert out == ""
    assert "error: 1 of 3 scenes gave no map" in err and "broken.tif" in err
    tifs = sorted(path.name for path in (tmp_path / "maps").glob("*.tif"))
    assert tifs == ["other_landcover.tif", "scene_landcover.tif"]
    before = (tmp_path / "maps" / tifs[0]).stat().st_mtime_ns
    assert run(*command)[0] == 1
    assert (tmp_path / "maps" / tifs[0]).stat().st_mtime_ns == before


def test_each_tells_scenes_of_one_name_apart(run, model, tmp_path):
    for name in ("january", "july"):
        (tmp_path / name).mkdir()
        write_raster(tmp_path / name / "scene.tif", speckled(40, 40))
    (tmp_path / "maps").mkdir()
    scenes = [tmp_path / name / "scene.tif" for name in ("january", "july")]
    assert run("segment", "--each", *scenes, "--model", model, "--output", tmp_path / "maps")[0] == 0
    tifs = sorted(path.name for path in (tmp_path / "maps").glob("*.tif"))
    assert tifs == ["january_scene_landcover.tif", "july_scene_landcover.tif"]


def test_each_never_takes_one_scenes_map_for_anothers_and_heeds_changed_settings(run, model, tmp_path):
    for name in ("january", "july"):
        (tmp_path / name).mkdir()
        write_raster(tmp_path / name / "scene.tif", speckled(40, 40))
    (tmp_path / "maps").mkdir()
    command = ["segment", "--each", "--model", model, "--output", tmp_path / "maps"]
    assert run(*command, tmp_path / "january" / "scene.tif")[0] == 0
    status, _, err = run(*command, tmp_path / "july" / "scene.tif")
    assert status == 1 and "not a map of this scene" in err
    status, _, err = run(*command, "--no-abstain", tmp_path / "january" / "scene.tif")
    assert status == 0 and "skipped" not in err
    assert "skipped" in run(*command, "--no-abstain", tmp_path / "january" / "scene.tif")[2]


def test_an_output_never_replaces_what_the_run_reads(run, model, scene, tmp_path):
    mask = write_raster(tmp_path / "mask.tif", np.zeros((1, 90, 100), np.uint8), names=["mask"])
    copy = tmp_path / "copy.safetensors"
    copy.write_bytes(model.read_bytes())
    copy.with_suffix(".onnx").write_bytes(model.with_suffix(".onnx").read_bytes())
    (tmp_path / "folder").mkdir()
    inside = write_raster(tmp_path / "folder" / "a_VV_VH.tif", speckled(40, 40))
    for command in (
        ["segment", scene, "--model", model, "--mask", mask, "--output", mask],
        ["segment", scene, "--model", copy, "--output", copy],
        ["attention", scene, "--model", copy, "--output", copy.with_suffix(".onnx")],
        ["embed", inside.parent, "--model", model, "--output", inside],
    ):
        before = {path: path.read_bytes() for path in tmp_path.rglob("*.*") if path.is_file()}
        status, _, err = run(*command)
        assert status == 1 and "also read by this run" in err
        assert {path: path.read_bytes() for path in tmp_path.rglob("*.*") if path.is_file()} == before


@pytest.mark.parametrize("command", ["attention", "embed"])
def test_the_tags_hold_every_setting(run, model, scene, tmp_path, command):
    assert run(command, scene, "--model", model, "--output", tmp_path / "a.tif")[0] == 0
    with rasterio.open(tmp_path / "a.tif") as dataset:
        settings = json.loads(dataset.tags()["SARDINO_PARAMETERS"])
    wanted = {"attention": {"layer", "heads", "resolution"}, "embed": {"components", "dtype"}}[command]
    assert wanted <= set(settings)


@pytest.mark.skipif(os.name == "nt", reason="/dev/full")
@pytest.mark.parametrize("options", [[], ["--json"]])
def test_a_stdout_that_takes_nothing_is_no_traceback(model, scene, tmp_path, options):
    command = [sys.executable, "-m", "sardino_core", "segment", scene, "--model", model, "--output", tmp_path / "m.tif"]
    with open("/dev/full", "w") as full:
        process = subprocess.run([*map(str, command), *options], stdout=full, stderr=subprocess.PIPE, text=True)
    assert process.returncode == 1
    assert "Traceback" not in process.stderr and "defect" not in process.stderr


def test_paths_that_the_console_cannot_spell(model, scene, tmp_path):
    command = [
        sys.executable,
        "-m",
        "sardino_core",
        "segment",
        scene,
        "--model",
        model,
        "--output",
        tmp_path / "łö空.tif",
    ]
    for options in ([], ["--json"]):
        process = subprocess.run(
            [*map(str, command), *options], capture_output=True, env={**os.environ, "PYTHONIOENCODING": "cp1252"}
        )
        assert process.returncode == 0, process.stderr

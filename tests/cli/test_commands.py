"""The smaller commands: simulate, model info, check, help."""

import json
import subprocess
import sys

import rasterio

from sardino_core.contract.messages import Result, decode


def test_model_info_tells_what_matters(run, model):
    status, out, _ = run("model", "info", model)
    assert status == 0
    for text in ("vit_tiny/8", "VV, VH", "8 to 40 m", "80  water  #0064c8"):
        assert text in out


def test_model_info_as_json_is_the_specification(run, model):
    from sardino_core.models.model_file import read_spec

    result = decode(run("model", "info", model, "--json")[1].splitlines()[-1])
    assert isinstance(result, Result)
    assert result.values == json.loads(read_spec(model).to_json())


def test_check_finds_what_is_here(run):
    status, out, _ = run("check")
    assert status == 0
    assert f"GDAL: {rasterio.__gdal_version__}" in out
    assert "ONNX Runtime devices: " in out and "CPU" in out


def test_simulate_writes_a_scene_that_says_it_is_simulated(run, tmp_path):
    status, out, _ = run("simulate", "--output", tmp_path / "place", "--size", 64, "--seed", 3)
    assert status == 0
    assert "simulated" in out
    with (
        rasterio.open(tmp_path / "place" / "scene.tif") as scene,
        rasterio.open(tmp_path / "place" / "labels.tif") as labels,
    ):
        assert scene.descriptions == ("VV", "VH")
        assert scene.shape == labels.shape == (64, 64)
        assert scene.tags()["SARDINO_SIMULATED"] == "YES"


def test_what_is_made_of_a_simulated_scene_says_so(run, model, tmp_path):
    assert run("simulate", "--output", tmp_path / "place", "--size", 64, "--seed", 3)[0] == 0
    command = ["segment", tmp_path / "place" / "scene.tif", "--model", model, "--output", tmp_path / "map.tif"]
    assert run(*command)[0] == 0
    with rasterio.open(tmp_path / "map.tif") as dataset:
        assert dataset.tags()["SARDINO_SIMULATED"] == "YES"


def test_python_m_is_the_same_command():
    process = subprocess.run([sys.executable, "-m", "sardino_core", "--version"], capture_output=True, text=True)
    assert process.stdout.startswith("sardino ")


def test_model_info_groups_what_was_measured_by_place(model, tmp_path):
    from dataclasses import replace

    from sardino_core.contract.model_spec import ProvenanceSpec
    from sardino_core.model_card import card
    from sardino_core.models.model_file import read_spec

    measured = ProvenanceSpec(metrics={"miou": 0.5, "India: accuracy": 0.91234, "India: f1 water": 0.9})
    lines = card(replace(read_spec(model), provenance=measured), model)
    assert [line.split(":", 1)[1].strip() for line in lines if line.startswith("measured")] == [
        "all held out: miou 0.5",
        "India: accuracy 0.912, f1 water 0.9",
    ]

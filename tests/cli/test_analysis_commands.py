"""samplepoints and accuracy as typed, after segment."""

import json

import pytest
import rasterio

from sardino_core.contract.jobs import AccuracyJob, PreflightJob, RunOptions, SamplePointsJob, SceneOptions
from sardino_core.contract.jobs import decode as decode_job
from sardino_core.contract.jobs import encode as encode_job
from sardino_core.contract.messages import Result, decode


@pytest.fixture
def classified(run, scene, model, tmp_path):
    assert run("segment", scene, "--model", model, "--output", tmp_path / "map.tif", "--no-abstain")[0] == 0
    return tmp_path / "map.tif"


def test_from_a_map_to_points_to_accuracy(run, classified, tmp_path):
    points = tmp_path / "points.geojson"
    status, out, _ = run("samplepoints", classified, "--size", 60, "--minimum", 10, "--seed", 4, "--output", points)
    assert status == 0 and out.splitlines()[0] == str(points)
    document = json.loads(points.read_text(encoding="utf-8"))
    for feature in document["features"]:  # an interpreter who sees what the map says everywhere
        feature["properties"]["reference"] = feature["properties"]["map_class"]
    points.write_text(json.dumps(document), encoding="utf-8")
    status, out, _ = run("accuracy", classified, "--reference", points, "--output", tmp_path / "report.html")
    assert status == 0
    assert out.startswith("overall accuracy 100.0 ± 0.0 % (95 %), from 60 points")
    assert out.splitlines()[-3:] == [str(tmp_path / f"report{end}") for end in (".html", "_classes.csv", "_matrix.csv")]
    status, out, _ = run("accuracy", classified, "--reference", points, "--output", tmp_path / "r.html", "--json")
    result = decode(out.splitlines()[-1])
    assert isinstance(result, Result)
    with rasterio.open(classified) as dataset:
        total = (dataset.read(1) != 0).sum() / 100
    assert sum(item["area"] for item in result.values["classes"]) == pytest.approx(total)


def test_a_map_agrees_with_itself(run, classified, tmp_path):
    status, out, _ = run("accuracy", classified, "--reference", classified, "--output", tmp_path / "r.html")
    assert status == 0 and out.startswith("overall agreement 100.0 %")


@pytest.mark.parametrize("mapping", ["1", "a=2", "1=80,2", ""])
def test_a_mapping_that_is_none_is_wrong_usage(run, tmp_path, mapping):
    with pytest.raises(SystemExit) as ended:
        run("accuracy", "map.tif", "--reference", "r.tif", "--output", tmp_path / "r.html", f"--mapping={mapping}")
    assert ended.value.code == 2


def test_errors_are_one_line(run, classified, tmp_path):
    for command in (
        ("accuracy", classified, "--reference", tmp_path / "nowhere.tif", "--output", tmp_path / "r.html"),
        ("samplepoints", tmp_path / "nowhere.tif", "--output", tmp_path / "p.geojson"),
        ("samplepoints", classified, "--size", 20, "--output", tmp_path / "p.geojson"),
    ):
        status, out, err = run(*command)
        assert status == 1 and out == ""
        assert err.startswith("error: ") and err.count("\n") == 1


@pytest.mark.parametrize(
    "job",
    [
        PreflightJob(SceneOptions(("a.tif",)), RunOptions("starter"), "r.html"),
        SamplePointsJob("map.tif", "p.geojson", 300, 20, 5, True),
        AccuracyJob("map.tif", "r.tif", "r.html", {-1: 0, 1: 80}, "class"),
    ],
)
def test_jobs_survive_the_wire(job):
    assert decode_job(encode_job(job)) == job

"""classify as typed: what it writes, that the work's cut changes nothing, what it refuses, and what faults leave."""

import json
import subprocess
import sys
import time

import numpy as np
import pytest
import rasterio

from sardino_core.contract.errors import Cancelled
from sardino_core.contract.jobs import CONTEXT_OVERLAP, ClassifyJob, RunOptions, SceneOptions
from sardino_core.contract.listener import Listener
from sardino_core.contract.messages import Result, decode
from sardino_core.raster.writing.class_legend import read_aux_xml
from tests.cli.conftest import UTM_10M, speckled, write_raster

EVERYTHING = ("bands", "filtered", "attention", "tokens")


def areas(path, labels=("bright", "dark"), crs="EPSG:32633"):
    """Two squares of each of two classes on the two grounds of `speckled(90, 100)`."""
    features = []
    for label, col in zip(labels, (5, 70), strict=True):
        for row in (10, 55):
            corners = [(0, 0), (20, 0), (20, 20), (0, 20), (0, 0)]
            ring = [list(UTM_10M @ (col + x, row + y)) for x, y in corners]
            features.append(
                {
                    "type": "Feature",
                    "properties": {"class": label, "row": row},
                    "geometry": {"type": "Polygon", "coordinates": [ring]},
                }
            )
    crs_member = {"type": "name", "properties": {"name": crs}}
    path.write_text(json.dumps({"type": "FeatureCollection", "crs": crs_member, "features": features}))
    return path


@pytest.fixture
def training(tmp_path):
    return areas(tmp_path / "areas.geojson")


@pytest.fixture
def command(model, scene, training):
    """The command without its outputs."""
    return ["classify", scene, "--model", model, "--training", training]


def read(path):
    with rasterio.open(path) as dataset:
        return dataset.read()


def test_map_confidence_report_and_classifier(run, command, tmp_path):
    output, confidence = tmp_path / "map.tif", tmp_path / "confidence.tif"
    rest = ["--report", tmp_path / "report.html", "--save-classifier", tmp_path / "c.skops"]
    status, out, err = run(*command, "--output", output, "--confidence", confidence, *rest)
    assert status == 0, err
    assert out.splitlines()[0] == str(output) and "cross-validated over 4 polygons in 2 folds" in out
    classes, shares = read(output)[0], read(confidence)[0]
    assert set(np.unique(classes)) == {1, 2}
    assert (classes[:, :50] == 1).mean() > 0.9 and (classes[:, 50:] == 2).mean() > 0.9
    assert (shares >= 0.5 - 1e-6).all() and (shares <= 1).all()
    with rasterio.open(output) as dataset:
        tags = dataset.tags()
        assert dataset.nodata == 0 and dataset.colormap(1)[1] == (0, 114, 178, 255)
    assert [item.name for item in read_aux_xml(tmp_path / "map.tif.aux.xml")] == ["nodata", "bright", "dark"]
    assert "bright" in (tmp_path / "map.qml").read_text(encoding="utf-8")
    assert tags["SARDINO_MODEL"] == "small" and "random forest" in tags["SARDINO_MEANING"]
    assert str(tmp_path) not in json.dumps(tags)
    assert "polygon is never in training and test at once" in (tmp_path / "report.html").read_text(encoding="utf-8")


@pytest.mark.parametrize("features", ["bands", "filtered", "bands,filtered", ",".join(EVERYTHING)])
def test_a_kept_classifier_makes_the_same_map(run, command, model, scene, tmp_path, features):
    first, kept = tmp_path / "a.tif", tmp_path / "c.skops"
    assert run(*command, "--features", features, "--output", first, "--save-classifier", kept)[0] == 0
    second = tmp_path / "b.tif"
    status, _, err = run("classify", scene, "--model", model, "--classifier", kept, "--output", second)
    assert status == 0, err
    np.testing.assert_array_equal(read(first), read(second))


def test_backscatter_alone_runs_no_network(run, command, tmp_path, monkeypatch):
    def refuse(*arguments):
        raise AssertionError("a network was loaded")

    monkeypatch.setattr("sardino_core.models.predictor.load_predictor", refuse)
    status, _, err = run(*command, "--features", "bands,filtered", "--output", tmp_path / "map.tif")
    assert status == 0 and "no network is run" in err
    with rasterio.open(tmp_path / "map.tif") as dataset:
        assert "SARDINO_MODEL" not in dataset.tags()


@pytest.mark.parametrize("features", ["bands,filtered", ",".join(EVERYTHING)])
def test_single_pixels_have_the_features_of_the_stream(model, scene, features):
    from contextlib import closing

    from sardino_core.analysis.classify.areas import Pixels
    from sardino_core.feature_stream import open_features, with_components

    rows, cols = np.array([3, 40, 40, 89]), np.array([99, 0, 7, 50])
    run = RunOptions(str(model), CONTEXT_OVERLAP)
    with open_features(SceneOptions((str(scene),)), run, features.split(","), Listener()) as opened:
        stream = with_components(opened)
        x, valid = stream.at(Pixels(rows, cols, np.zeros(4, int)), Listener())
        with closing(stream.rows(Listener())) as parts:
            whole = np.concatenate([part.values for part in parts], axis=1)
    assert valid.all() and whole.shape == (len(stream.columns), 90, 100)
    np.testing.assert_allclose(x, whole[:, rows, cols].T, atol=1e-4)


def test_the_height_of_strips_changes_nothing(run, command, tmp_path, monkeypatch):
    from sardino_core import feature_stream

    for name, rows in (("a", 128), ("b", 7)):
        monkeypatch.setattr(feature_stream, "_ROWS", rows)
        confidence = tmp_path / f"{name}_c.tif"
        arguments = (*command, "--features", "bands,filtered", "--output", tmp_path / f"{name}.tif")
        assert run(*arguments, "--confidence", confidence)[0] == 0
    np.testing.assert_array_equal(read(tmp_path / "a.tif"), read(tmp_path / "b.tif"))
    np.testing.assert_array_equal(read(tmp_path / "a_c.tif"), read(tmp_path / "b_c.tif"))


def test_where_there_is_no_data_there_is_no_class(run, model, training, tmp_path):
    values = speckled(90, 100)
    values[:, 30:60, 20:80] = np.nan
    scene = write_raster(tmp_path / "holes.tif", values)
    arguments = ("--model", model, "--training", training, "--output", tmp_path / "map.tif")
    status, _, err = run("classify", scene, *arguments)
    assert status == 0, err
    np.testing.assert_array_equal(read(tmp_path / "map.tif")[0] == 0, np.isnan(values[0]))


@pytest.mark.parametrize("method", ["logistic", "knn"])
def test_other_methods(run, command, tmp_path, method):
    arguments = ("--features", "filtered", "--method", method, "--output", tmp_path / "map.tif", "--json")
    status, out, _ = run(*command, *arguments)
    result = decode(out.splitlines()[-1])
    assert status == 0 and isinstance(result, Result)
    assert result.values["cross_validated_accuracy"] > 0.9 and sum(result.values["pixels"].values()) == 9000


def test_values_of_the_model_keep_its_legend(run, model, scene, tmp_path):
    training = areas(tmp_path / "values.geojson", (10, 80.0))
    arguments = ("--model", model, "--training", training, "--features", "filtered", "--output", tmp_path / "map.tif")
    status, out, err = run("classify", scene, *arguments)
    assert status == 0, err
    assert set(np.unique(read(tmp_path / "map.tif"))) == {10, 80}
    assert "trees" in out and "water" in out


@pytest.fixture
def refused(run, tmp_path):
    """Run a command that fails, which leaves nothing; gives its one line."""

    def run_refused(*arguments):
        before = sorted(tmp_path.iterdir())
        status, out, err = run(*arguments, "--output", tmp_path / "map.tif")
        line = err.splitlines()[-1]
        assert status == 1 and out == "" and line.startswith("error: ") and "Traceback" not in err
        assert sorted(tmp_path.iterdir()) == before
        return line

    return run_refused


def test_bad_training_areas(refused, model, scene, training, tmp_path):
    begin = ("classify", scene, "--model", model, "--features", "bands", "--training")
    assert "its fields are class, row" in refused(*begin, training, "--field", "cover")
    assert "all of one class" in refused(*begin, areas(tmp_path / "one.geojson", ("a", "a")))
    assert "lies outside the raster" in refused(*begin, areas(tmp_path / "far.geojson", crs="EPSG:32632"))
    document = json.loads(training.read_text())
    document["features"].pop()
    (tmp_path / "few.geojson").write_text(json.dumps(document))
    assert "The class dark has one training polygon" in refused(*begin, tmp_path / "few.geojson")
    document["features"][0]["geometry"] = document["features"][2]["geometry"]
    (tmp_path / "over.geojson").write_text(json.dumps(document))
    assert "(bright) and 3 (dark) overlap" in refused(*begin, tmp_path / "over.geojson")
    assert "does not exist" in refused(*begin, tmp_path / "nowhere.geojson")


def test_bad_options(refused, run, model, scene, training, tmp_path):
    begin = ("classify", scene, "--model", model)
    assert "Neither --training nor --classifier" in refused(*begin)
    assert "Both --training and" in refused(*begin, "--training", training, "--classifier", "c.skops")
    assert "does not exist" in refused(*begin, "--classifier", tmp_path / "c.skops")
    assert "names one set twice" in refused(*begin, "--training", training, "--features", "bands,bands")
    assert "no HTML file" in refused(*begin, "--training", training, "--report", tmp_path / "r.txt")
    assert "also read by this run" in refused(*begin, "--training", training, "--save-classifier", training)
    with pytest.raises(SystemExit) as ended:
        run(*begin, "--training", training, "--features", "colour", "--output", "x.tif")
    assert ended.value.code == 2


def test_a_classifier_of_something_else(refused, run, command, scene, model, tmp_path):
    first = (tmp_path / "kept.tif", "--save-classifier", tmp_path / "c.skops")
    assert run(*command, "--features", "bands,tokens", "--output", *first)[0] == 0
    begin = ("classify", scene, "--classifier", tmp_path / "c.skops", "--model")
    assert "--model is starter" in refused(*begin, "starter")
    assert "ask for something else" in refused(*begin, model, "--features", "bands")
    assert "ask for something else" in refused(*begin, model, "--method", "knn")


def test_another_spacing_is_told(run, command, model, tmp_path):
    from affine import Affine

    kept = tmp_path / "c.skops"
    outputs = ("--output", tmp_path / "a.tif", "--save-classifier", kept)
    assert run(*command, "--features", "filtered", *outputs)[0] == 0
    coarse = write_raster(tmp_path / "coarse.tif", speckled(60, 60), Affine(20, 0, 500_000, 0, -20, 5_000_000))
    status, _, err = run("classify", coarse, "--model", model, "--classifier", kept, "--output", tmp_path / "b.tif")
    assert status == 0 and "was trained on pixels of 10 m; these are of 20 m" in err


class StopsAt(Listener):
    """Wants to stop once the job is beyond a part of it."""

    def __init__(self, fraction):
        self.fraction, self.reached = fraction, 0.0

    def progress(self, fraction, message):
        self.reached = max(self.reached, fraction)

    def cancelled(self):
        return self.reached >= self.fraction


@pytest.mark.parametrize("fraction", [0.0, 0.2, 0.4, 0.5, 0.6])
@pytest.mark.parametrize("features", [("bands",), EVERYTHING])
def test_cancelling_leaves_nothing(model, scene, training, tmp_path, fraction, features, monkeypatch):
    from sardino_core import feature_stream
    from sardino_core.classify import classify

    monkeypatch.setattr(feature_stream, "_ROWS", 16)
    before = sorted(tmp_path.iterdir())
    outputs = {name: str(tmp_path / file) for name, file in (("confidence", "c.tif"), ("save_classifier", "c.skops"))}
    scene_options, run = SceneOptions((str(scene),)), RunOptions(str(model), CONTEXT_OVERLAP)
    job = ClassifyJob(scene_options, run, str(tmp_path / "m.tif"), str(training), features=features, **outputs)
    with pytest.raises(Cancelled):
        classify(job, StopsAt(fraction))
    assert sorted(tmp_path.iterdir()) == before


def test_progress_only_goes_forward(model, scene, training, tmp_path):
    from sardino_core.classify import classify

    class Heard(Listener):
        fractions = ()

        def progress(self, fraction, message):
            self.fractions = (*self.fractions, fraction)

    heard = Heard()
    run = RunOptions(str(model), CONTEXT_OVERLAP)
    classify(ClassifyJob(SceneOptions((str(scene),)), run, str(tmp_path / "m.tif"), str(training)), heard)
    assert list(heard.fractions) == sorted(heard.fractions) and heard.fractions[-1] == pytest.approx(1)


def test_a_full_disk_leaves_nothing(run, command, tmp_path, monkeypatch):
    import errno

    from sardino_core import classify as module

    def full(path, classifier):
        path.write_bytes(b"the beginning")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(module, "save_classifier", full)
    before = sorted(tmp_path.iterdir())
    outputs = ("--output", tmp_path / "map.tif", "--save-classifier", tmp_path / "c.skops")
    status, _, err = run(*command, "--features", "bands", *outputs)
    assert status == 1 and "No space left on device" in err.splitlines()[-1]
    assert sorted(tmp_path.iterdir()) == before


def test_a_killed_run_leaves_no_output_and_the_next_one_tidies_up(run, command, model, training, tmp_path):
    scene = write_raster(tmp_path / "large.tif", np.tile(speckled(90, 100), (1, 12, 12)))
    arguments = ["classify", scene, "--model", model, "--training", training, "--output", tmp_path / "map.tif"]
    before = sorted(tmp_path.iterdir())
    process = subprocess.Popen([sys.executable, "-m", "sardino_core", *map(str, arguments)], stderr=subprocess.DEVNULL)
    while process.poll() is None and sorted(tmp_path.iterdir()) == before:
        time.sleep(0.01)
    process.kill()
    process.wait()
    left = [path.name for path in tmp_path.iterdir() if path not in before]
    assert left and all(name.startswith(".sardino") for name in left)
    assert run(*command, "--features", "bands", "--output", tmp_path / "map.tif")[0] == 0
    names = {path.name for path in tmp_path.iterdir()} - {path.name for path in before}
    assert names == {"map.tif", "map.tif.aux.xml", "map.qml"}


def test_without_scikit_learn_the_way_out_is_told(run, command, tmp_path, monkeypatch):
    import importlib.util

    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *rest: None if name == "skops" else find(name, *rest))
    status, _, err = run(*command, "--output", tmp_path / "map.tif")
    assert status == 1 and "`sardino classify` needs skops" in err and "sardino[explore]" in err

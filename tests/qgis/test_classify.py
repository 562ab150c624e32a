"""Classification from labelled areas, as a script, a batch or the Toolbox runs it."""

from __future__ import annotations

import json
from pathlib import Path

import processing
import pytest
from osgeo import gdal
from qgis.core import QgsProcessingException, QgsRasterLayer, QgsVectorLayer

from tests.qgis.calls import areas
from tests.qgis.test_maps import LONLAT, values

FAST = {"FIELD": "cover", "FEATURES": ["bands", "filtered"]}


def test_a_map_with_everything_beside_it_and_the_kept_classifier_again(run, scene, tmp_path, feedback):
    paths = {"OUTPUT": tmp_path / "a.tif", "CONFIDENCE": tmp_path / "c.tif", "REPORT": tmp_path / "r.html",
             "SAVE_CLASSIFIER": tmp_path / "k.skops"}  # fmt: skip
    wanted = {name: str(path) for name, path in paths.items()}
    result = run("classify", INPUT=[scene], TRAINING=areas(scene), **FAST, **wanted)
    assert {name: result[name] for name in wanted} == wanted
    assert 0 <= result["ACCURACY"] <= 1 and set(values(paths["OUTPUT"])) <= {0, 1, 2}
    assert any("cross-validated over 4 polygons" in line for line in feedback.said)
    assert any(line.startswith("sardino classify") for line in feedback.said)
    layer = QgsRasterLayer(wanted["OUTPUT"], "a")
    layer.loadDefaultStyle()
    assert {item.label for item in layer.renderer().classes()} <= {"left", "right", "nodata"}
    again = run("classify", INPUT=[scene], CLASSIFIER=wanted["SAVE_CLASSIFIER"], OUTPUT=str(tmp_path / "b.tif"))
    assert values(again["OUTPUT"]) == values(paths["OUTPUT"])


def test_a_layer_in_another_crs_gives_the_same_classes(run, scene, tmp_path, feedback):
    moved = str(tmp_path / "moved.gpkg")
    processing.run("native:reprojectlayer", {"INPUT": areas(scene), "TARGET_CRS": LONLAT, "OUTPUT": moved})
    run("classify", INPUT=[scene], TRAINING=QgsVectorLayer(moved, "areas"), **FAST, OUTPUT=str(tmp_path / "a.tif"))
    assert any("brought from EPSG:4326" in line for line in feedback.said)
    assert gdal.Open(str(tmp_path / "a.tif.aux.xml")) is None and (tmp_path / "a.qml").exists()


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"TRAINING": None}, "No labelled areas and no classifier"),
        ({"CLASSIFIER": "/nowhere.skops"}, "Labelled areas and a classifier"),
        ({"FIELD": "kind"}, "no field 'kind'; their fields are cover"),
    ],
)
def test_bad_parameters_are_told_before_any_work(run, scene, tmp_path, change, reason):
    parameters = {"INPUT": [scene], "TRAINING": areas(scene), **FAST, "OUTPUT": str(tmp_path / "a.tif"), **change}
    with pytest.raises(QgsProcessingException, match=reason):
        run("classify", **parameters)
    assert not list(Path(tmp_path).iterdir())


def outside(features):
    for feature in features:
        feature["geometry"]["coordinates"] = [[[x + 1e5, y] for x, y in feature["geometry"]["coordinates"][0]]]


def one_class(features):
    for feature in features:
        feature["properties"]["cover"] = "left"


def overlapping(features):
    features.append({**features[0], "properties": {"cover": "right"}})


def too_few(features):
    features.pop()


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (outside, r"^The training spoilt\.geojson lies outside the raster, which covers .* Check the CRS of both\.$"),
        (one_class, r"^The training areas in the raster are all of one class, left; .*field with FIELD\.$"),
        (overlapping, r"^The training polygons 1 \(left\) and 5 \(right\) overlap\. Correct one of them"),
        (too_few, r"^The class right has one training polygon; .* two or more of every class\. Draw another one"),
    ],
)
def test_areas_that_teach_nothing_are_one_line_and_leave_nothing(run, scene, tmp_path, spoil, reason):
    content = json.loads(Path(areas(scene)).read_text(encoding="utf-8"))
    spoil(content["features"])
    (tmp_path / "spoilt.geojson").write_text(json.dumps(content), encoding="utf-8")
    (tmp_path / "out").mkdir()
    wanted = {"OUTPUT": "a.tif", "CONFIDENCE": "c.tif", "REPORT": "r.html", "SAVE_CLASSIFIER": "k.skops"}
    paths = {name: str(tmp_path / "out" / file) for name, file in wanted.items()}
    with pytest.raises(QgsProcessingException, match=reason):
        run("classify", INPUT=[scene], TRAINING=str(tmp_path / "spoilt.geojson"), **FAST, **paths)
    assert not list((tmp_path / "out").iterdir())

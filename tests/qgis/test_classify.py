"""Classification from labelled areas, as a script, a batch or the Toolbox runs it."""

from __future__ import annotations

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

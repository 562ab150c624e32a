"""Before and after a map: preflight, sample points labelled in QGIS, and the accuracy that follows."""

from __future__ import annotations

from pathlib import Path

import processing
import pytest
from qgis.core import QgsApplication, QgsProcessingContext, QgsProcessingException, QgsProject, QgsVectorLayer

from tests.qgis.test_maps import LONLAT


@pytest.fixture(scope="module")
def class_map(plugin, scene, tmp_path_factory):
    """A land-cover map that names a class everywhere."""
    path = str(tmp_path_factory.mktemp("map") / "map.tif")
    processing.run("sardino:segment", {"INPUT": [scene], "ABSTAIN": False, "OUTPUT": path})
    return path


@pytest.fixture
def points(run, class_map, tmp_path):
    """Sample points, as they come."""
    return run("samplepoints", CLASSIFIED=class_map, SIZE=60, MINIMUM=5, OUTPUT=str(tmp_path / "p.geojson"))["OUTPUT"]


def labelled(points, wrong=0):
    """The points in a layer of their own, in another CRS, all labelled as the map says but the first `wrong` ones."""
    path = points.replace("p.geojson", "labelled.gpkg")
    processing.run("native:reprojectlayer", {"INPUT": points, "TARGET_CRS": LONLAT, "OUTPUT": path})
    layer = QgsVectorLayer(path, "labelled")
    field = layer.fields().indexOf("reference")
    values = sorted({feature["map_value"] for feature in layer.getFeatures()})
    with_labels = {}
    for number, feature in enumerate(layer.getFeatures()):
        value = feature["map_value"]
        label = values[(values.index(value) + (number < wrong)) % len(values)]
        with_labels[feature.id()] = {field: str(label)}
    assert layer.dataProvider().changeAttributeValues(with_labels)
    return layer


def test_preflight_reports_and_estimates(run, scene, tmp_path, feedback):
    result = run("preflight", INPUT=[scene], OUTPUT_HTML=str(tmp_path / "report.html"))
    assert result["WINDOWS"] == 4 and result["SECONDS"] > 0 and result["MEMORY_MB"] > 50
    assert "scene.tif" in Path(result["OUTPUT_HTML"]).read_text(encoding="utf-8")
    assert any("units" in line for line in feedback.said)


def test_points_carry_their_weights(points):
    layer = QgsVectorLayer(points, "points")
    assert layer.featureCount() == 60
    assert {"reference", "weight", "map_class"} <= {field.name() for field in layer.fields()}
    weights = {feature["map_value"]: feature["weight"] for feature in layer.getFeatures()}
    assert sum(weights.values()) == pytest.approx(1, abs=1e-6)


def test_points_that_hide_the_class(run, class_map, tmp_path):
    path = run(
        "samplepoints", CLASSIFIED=class_map, SIZE=40, MINIMUM=2, BLIND=True, OUTPUT=str(tmp_path / "p.geojson")
    )["OUTPUT"]
    layer = QgsVectorLayer(path, "points")
    assert "map_class" not in {field.name() for field in layer.fields()}


def test_accuracy_against_labelled_points(run, class_map, points, tmp_path):
    report = str(tmp_path / "report.html")
    perfect = run("accuracy", CLASSIFIED=class_map, REFERENCE=labelled(points), OUTPUT_HTML=report)
    assert perfect["OVERALL_ACCURACY"] == pytest.approx(1)
    worse = run("accuracy", CLASSIFIED=class_map, REFERENCE=labelled(points, wrong=12), OUTPUT_HTML=report)
    assert 0.6 < worse["OVERALL_ACCURACY"] < 0.95 and worse["HALF_WIDTH"] > 0.01
    assert Path(report).stat().st_size > 1000


def test_agreement_with_a_raster_has_no_interval(run, class_map, tmp_path):
    result = run("accuracy", CLASSIFIED=class_map, REFERENCE=class_map, OUTPUT_HTML=str(tmp_path / "report.html"))
    assert result["OVERALL_ACCURACY"] == 1 and "HALF_WIDTH" not in result


def test_points_are_loaded_with_their_style(run, class_map):
    processing.runAndLoadResults(
        "sardino:samplepoints", {"CLASSIFIED": class_map, "SIZE": 40, "MINIMUM": 2, "OUTPUT": "TEMPORARY_OUTPUT"}
    )
    (layer,) = QgsProject.instance().mapLayers().values()
    name, kind = layer.name(), layer.editorWidgetSetup(layer.fields().indexOf("reference")).type()
    QgsProject.instance().clear()
    assert name == "Sample points, map" and kind == "ValueMap"


@pytest.mark.parametrize(
    ("name", "parameters", "reason"),
    [
        ("samplepoints", {"SIZE": 5, "MINIMUM": 30, "OUTPUT": "TEMPORARY_OUTPUT"}, "fewer points"),
        ("accuracy", {"MAPPING": "1:2", "OUTPUT_HTML": "TEMPORARY_OUTPUT"}, "1=80,2=10"),
    ],
)
def test_what_cannot_be_is_refused(plugin, class_map, name, parameters, reason):
    algorithm = QgsApplication.processingRegistry().createAlgorithmById(f"sardino:{name}")
    given = {"CLASSIFIED": class_map, "REFERENCE": class_map, **parameters}
    suitable, message = algorithm.checkParameterValues(given, QgsProcessingContext())
    assert not suitable and reason in message


def test_points_without_labels_are_told(run, class_map, points, tmp_path):
    with pytest.raises(QgsProcessingException, match="No point"):
        run("accuracy", CLASSIFIED=class_map, REFERENCE=points, OUTPUT_HTML=str(tmp_path / "report.html"))

"""Results as QGIS shows them: style, legend, name, metadata and date, from the file alone and loaded by Processing."""

from __future__ import annotations

import gc
import shutil

import processing
import pytest
from osgeo import gdal
from qgis.core import (
    QgsLayerTreeLayer,
    QgsMapLayerLegend,
    QgsProcessingContext,
    QgsProcessingFeedback,
    QgsProcessingOutputLayerDefinition,
    QgsProject,
    QgsRasterLayer,
    QgsStyle,
)
from qgis.PyQt.QtCore import QDate, Qt

from sar_dino_qgis.layers.post_processor import announce, time_range
from sar_dino_qgis.layers.styles import write_style
from sardino_core.contract.model_reader import read_spec, resolve_model
from tests.qgis.test_maps import values


@pytest.fixture(scope="module")
def results(plugin, scene, tmp_path_factory):
    """Each kind of result, by kind."""
    folder = tmp_path_factory.mktemp("results")
    paths = {kind: str(folder / f"{kind}.tif") for kind in ("map", "confidence", "attention", "embeddings", "one")}
    processing.run("sardino:segment", {"INPUT": [scene], "OUTPUT": paths["map"], "CONFIDENCE": paths["confidence"]})
    processing.run("sardino:attention", {"INPUT": [scene], "OUTPUT": paths["attention"]})
    processing.run("sardino:embeddings", {"INPUT": [scene], "OUTPUT": paths["embeddings"]})
    processing.run("sardino:embeddings", {"INPUT": [scene], "COMPONENTS": 1, "OUTPUT": paths["one"]})
    return paths


def test_the_map_has_the_classes_that_occur_with_names_and_colours(results):
    layer = QgsRasterLayer(results["map"])  # its renderer goes with it
    renderer = layer.renderer()
    assert renderer.type() == "paletted"
    entries = {int(entry.value): entry for entry in renderer.classes()}
    assert set(entries) == set(values(results["map"]))
    known = {item.value: (item.name, item.colour) for item in read_spec(resolve_model("starter")).classes}
    found = {value: (entry.label, entry.color.name()) for value, entry in entries.items() if value in known}
    assert len(found) >= 2
    assert found == {value: known[value] for value in found}


def test_the_confidence_has_a_ramp_from_0_to_1(results):
    layer = QgsRasterLayer(results["confidence"])  # its renderer goes with it
    renderer = layer.renderer()
    assert renderer.type() == "singlebandpseudocolor"
    assert (renderer.classificationMin(), renderer.classificationMax()) == (0.0, 1.0)


def test_attention_has_a_perceptual_ramp_over_its_own_range(results):
    layer = QgsRasterLayer(results["attention"])  # its renderer goes with it
    renderer = layer.renderer()
    assert (renderer.type(), renderer.band()) == ("singlebandpseudocolor", 1)
    found = sorted(values(results["attention"]))
    low, high = renderer.classificationMin(), renderer.classificationMax()
    assert found[0] <= low < high <= found[-1]
    inside = sum(low <= value <= high for value in found) / len(found)
    assert 0.9 < inside < 0.99
    items = renderer.shader().rasterShaderFunction().colorRampItemList()
    lightness = [item.color.lightness() for item in items]
    assert lightness == sorted(lightness) and len(set(lightness)) == len(items)


@pytest.mark.parametrize(("kind", "name"), [("attention", "Magma"), ("confidence", "Viridis")])
def test_a_style_library_without_the_ramp_changes_little(results, tmp_path, kind, name):
    """The user may have tidied it up."""
    path = str(tmp_path / f"{kind}.tif")
    shutil.copy(results[kind], path)
    library = QgsStyle.defaultStyle()
    ramp = library.colorRamp(name)
    try:
        assert library.removeColorRamp(name)
        write_style(path, kind)
    finally:
        library.addColorRamp(name, ramp, True)
    before, after = QgsRasterLayer(results[kind]), QgsRasterLayer(path)
    pairs = zip(
        *(layer.renderer().shader().rasterShaderFunction().colorRampItemList() for layer in (before, after)),
        strict=True,
    )
    for one, other in pairs:
        assert one.value == other.value
        assert all(abs(a - b) < 25 for a, b in zip(one.color.getRgb(), other.color.getRgb(), strict=True))


def test_embeddings_are_a_picture_of_three_bands(results):
    layer = QgsRasterLayer(results["embeddings"])  # its renderer goes with it
    renderer = layer.renderer()
    assert renderer.type() == "multibandcolor"
    assert (renderer.redBand(), renderer.greenBand(), renderer.blueBand()) == (1, 2, 3)
    stretch = renderer.redContrastEnhancement()
    assert stretch.minimumValue() < stretch.maximumValue()
    one = QgsRasterLayer(results["one"])
    assert one.renderer().type() == "singlebandpseudocolor"


@pytest.mark.parametrize("kind", ["confidence", "attention", "embeddings", "one"])
def test_a_result_is_the_raster_and_its_style_alone(results, tmp_path, kind):
    """Nothing else lies beside it, such as QGIS's statistics. (Opening it in QGIS leaves them, as with any raster.)"""
    shutil.copy(results[kind], tmp_path / "raster.tif")
    write_style(str(tmp_path / "raster.tif"), kind)
    assert {path.name for path in tmp_path.iterdir()} == {"raster.tif", "raster.qml"}


def test_a_colleague_sees_the_same(results, tmp_path):
    for kind in ("map", "attention"):
        for end in (".tif", ".qml"):
            shutil.copy(results[kind].replace(".tif", end), tmp_path / f"{kind}{end}")
        here, there = QgsRasterLayer(results[kind]), QgsRasterLayer(str(tmp_path / f"{kind}.tif"))
        assert here.renderer().type() == there.renderer().type() != "singlebandgray"
        assert legend(here) == legend(there) != []


def legend(layer):
    """The entries of the layer's legend."""
    tree = QgsLayerTreeLayer(layer)
    nodes = QgsMapLayerLegend.defaultRasterLegend(layer).createLayerTreeModelLegendNodes(tree)
    return [node.data(Qt.ItemDataRole.DisplayRole) for node in nodes]


@pytest.fixture
def load(plugin):
    """Run an algorithm and load its result as the Toolbox does."""

    def run_and_load(name, scene, given_name=None):
        sink = QgsProcessingOutputLayerDefinition("TEMPORARY_OUTPUT", QgsProject.instance())
        if given_name:
            sink.destinationName = given_name
        results = processing.runAndLoadResults(f"sardino:{name}", {"INPUT": [scene], "OUTPUT": sink})
        (layer,) = QgsProject.instance().mapLayers().values()
        assert layer.source() == results["OUTPUT"]
        return layer

    yield run_and_load
    QgsProject.instance().clear()


def test_a_loaded_layer_tells_model_input_and_date(load, scene, tmp_path):
    dated = str(tmp_path / "S1A_IW_20201105T015858_VV_VH.tif")
    gdal.Translate(dated, scene)
    layer = load("segment", dated)
    assert layer.name() == "Land cover, S1A_IW_20201105T015858_VV_VH (starter)"
    assert layer.renderer().type() == "paletted"
    assert QgsProject.instance().layerTreeRoot().findLayer(layer).isExpanded()  # its legend is seen
    assert {int(entry.value) for entry in layer.renderer().classes()} == set(values(layer.source()))
    assert "starter" in layer.metadata().abstract() and "20201105" in layer.metadata().abstract()
    temporal = layer.temporalProperties()
    assert temporal.isActive()
    assert temporal.fixedTemporalRange().begin().date() == QDate(2020, 11, 5)


def test_a_name_that_was_given_stays(load, scene):
    layer = load("attention", scene, given_name="where it looks")
    assert layer.name() == "where it looks"
    assert layer.renderer().type() == "singlebandpseudocolor"
    assert not layer.temporalProperties().isActive()  # the scene tells no date


def test_what_dresses_a_layer_outlives_a_collection_of_garbage(plugin, results):
    details = QgsProcessingContext.LayerDetails("Land cover", QgsProject.instance(), "OUTPUT")
    context, layer = QgsProcessingContext(), QgsRasterLayer(results["map"], "Land cover")
    context.setLayersToLoadOnCompletion({"map": details})
    announce(context, "map", "Land cover", "Land cover, here")
    gc.collect()
    context.layersToLoadOnCompletion()["map"].postProcessor().postProcessLayer(layer, context, QgsProcessingFeedback())
    assert layer.name() == "Land cover, here"


@pytest.mark.parametrize(
    ("text", "first", "last"),
    [
        ("2020-11-05", (2020, 11, 5), (2020, 11, 5)),
        ("2020-11-05T01:58:58", (2020, 11, 5), (2020, 11, 5)),
        ("2024-02", (2024, 2, 1), (2024, 2, 29)),
        ("2020-11-05/2021-01-03", (2020, 11, 5), (2021, 1, 3)),
    ],
)
def test_dates_are_whole_days(text, first, last):
    found = time_range(text)
    assert (found.begin().date(), found.end().date()) == (QDate(*first), QDate(*last))


@pytest.mark.parametrize("text", ["", "unknown", "2020-13-01", "2020-02-31", "a/b"])
def test_what_is_no_date_is_none(text):
    assert time_range(text) is None

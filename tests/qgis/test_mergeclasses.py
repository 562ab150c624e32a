"""Merge and rename classes: the table as QGIS gives it, and the map that comes of it."""

from __future__ import annotations

import shlex
import subprocess

import processing
import pytest
from osgeo import gdal
from qgis.core import (
    NULL,
    QgsApplication,
    QgsProcessing,
    QgsProcessingContext,
    QgsProcessingModelAlgorithm,
    QgsProcessingModelChildAlgorithm,
    QgsProcessingModelChildParameterSource,
    QgsProcessingModelOutput,
    QgsProcessingModelParameter,
    QgsProcessingParameterMultipleLayers,
    QgsProject,
    QgsRasterLayer,
)

from sar_dino_qgis.processing.mergeclasses import table_entries
from sardino_core.contract.errors import SettingInvalid
from tests.qgis.conftest import ROOT
from tests.qgis.test_layers import legend
from tests.qgis.test_maps import values

TABLE = ["10", "1", "vegetation", "#1b7837", "30", "1", "", "", "254", "0", "", ""]


@pytest.fixture(scope="module")
def class_map(plugin, scene, tmp_path_factory):
    """A real map, as the Toolbox makes it."""
    path = str(tmp_path_factory.mktemp("map") / "map.tif")
    processing.run("sardino:segment", {"INPUT": [scene], "OUTPUT": path})
    return path


def merged(before):
    """What TABLE makes of pixels."""
    return [{10: 1, 30: 1, 254: 0}.get(value, value) for value in before]


@pytest.mark.parametrize(
    ("cells", "entries"),
    [
        (TABLE, ("10=1:vegetation:#1b7837", "30=1", "254=0")),
        ([10.0, 1.0, "dry land", "", 20, NULL, None, "#1b7837"], ("10=1:dry land", "20=20::#1b7837")),
        (["10", "", "wood: mixed", ""], ("10=10:wood: mixed:",)),
        (["10,20", "1", " ", ""], ("10,20=1",)),
        (["10", "1", "0", "0", "0", "0", "0", "0", "", "", "", ""], ("10=1",)),  # rows just added, not filled
        ([NULL], ()),  # the dialog's empty table
        ([], ()),
    ],
)
def test_rows_are_entries(cells, entries):
    assert table_entries(cells) == entries


@pytest.mark.parametrize("cells", [["10", "1"], ["10", "1", "a", "#111111", "20"], ["10", "1", "a, b"]])
def test_what_makes_no_rows_is_refused(cells):
    with pytest.raises(SettingInvalid, match=f"{len(cells)} cells"):
        table_entries(cells)


@pytest.mark.parametrize("given", [TABLE, ",".join(TABLE), [int(cell) if cell.isdigit() else cell for cell in TABLE]])
def test_classes_are_merged(run, class_map, tmp_path, given):
    path = str(tmp_path / "merged.tif")
    assert run("mergeclasses", CLASSIFIED=class_map, CLASSES=given, OUTPUT=path) == {"OUTPUT": path}
    assert values(path) == merged(values(class_map))
    layer = QgsRasterLayer(path)
    entries = {entry.label: entry.color.name() for entry in layer.renderer().classes()}
    assert entries["vegetation"] == "#1b7837" and "unsure" not in entries
    assert "vegetation" in legend(layer)


def test_the_log_tells_how_to_repeat_the_run(run, class_map, tmp_path, worker, feedback):
    run("mergeclasses", CLASSIFIED=class_map, CLASSES=TABLE, OUTPUT=str(tmp_path / "a.tif"))
    command = next(line for line in feedback.said if line.startswith("sardino mergeclasses"))
    words = shlex.split(command.replace("a.tif", "b.tif"))
    subprocess.run([worker, "-m", "sardino_core", *words[1:]], check=True, cwd=ROOT, capture_output=True)
    assert values(tmp_path / "a.tif") == values(tmp_path / "b.tif")
    call = next(line for line in feedback.said if line.startswith("qgis_process run"))
    assert {"CLASSES=" + ",".join(TABLE), f"CLASSIFIED={class_map}"} <= set(shlex.split(call))


def test_the_layer_is_dressed_and_named(plugin, class_map):
    parameters = {"CLASSIFIED": class_map, "CLASSES": TABLE, "OUTPUT": "TEMPORARY_OUTPUT"}
    processing.runAndLoadResults("sardino:mergeclasses", parameters)
    (layer,) = QgsProject.instance().mapLayers().values()
    found = layer.name(), layer.renderer().type(), layer.metadata().abstract()
    QgsProject.instance().clear()
    assert found[:2] == ("Merged land cover, map", "paletted")
    assert "Model: starter" in found[2] and "10=1:vegetation" in found[2]


def test_a_batch(run, class_map, tmp_path):
    for name in ("a", "b"):  # as the batch dialog runs its rows, one after the other
        gdal.Translate(str(tmp_path / f"{name}.tif"), class_map)
        run("mergeclasses", CLASSIFIED=str(tmp_path / f"{name}.tif"), CLASSES=["10", "30", "", ""],
            OUTPUT=str(tmp_path / f"{name}_merged.tif"))  # fmt: skip
    assert values(tmp_path / "a_merged.tif") == values(tmp_path / "b_merged.tif")
    assert 10 not in values(tmp_path / "a_merged.tif")


def test_in_a_saved_model(plugin, scene, tmp_path):
    source = QgsProcessingModelChildParameterSource
    model = QgsProcessingModelAlgorithm("Merged land cover", "tests")
    parameter = QgsProcessingParameterMultipleLayers("scene", "Scene", QgsProcessing.SourceType.TypeRaster)
    model.addModelParameter(parameter, QgsProcessingModelParameter("scene"))
    segment = QgsProcessingModelChildAlgorithm("sardino:segment")
    segment.setChildId("segment")
    segment.addParameterSources("INPUT", [source.fromModelParameter("scene")])
    merge = QgsProcessingModelChildAlgorithm("sardino:mergeclasses")
    merge.setChildId("merge")
    merge.addParameterSources("CLASSIFIED", [source.fromChildOutput("segment", "OUTPUT")])
    merge.addParameterSources("CLASSES", [source.fromStaticValue(TABLE)])
    for child, name in ((segment, "map"), (merge, "merged")):
        output = QgsProcessingModelOutput(name, name)
        output.setChildId(child.childId())
        output.setChildOutputName("OUTPUT")
        child.setModelOutputs({name: output})
        model.addChildAlgorithm(child)
    model.updateDestinationParameters()
    assert model.toFile(str(tmp_path / "merged.model3"))
    loaded = QgsProcessingModelAlgorithm()
    assert loaded.fromFile(str(tmp_path / "merged.model3"))
    outputs = {"segment:map": str(tmp_path / "map.tif"), "merge:merged": str(tmp_path / "merged.tif")}
    results = processing.run(loaded, {"scene": [scene], **outputs}, context=QgsProcessingContext())
    assert values(results["merge:merged"]) == merged(values(outputs["segment:map"]))


@pytest.mark.parametrize(
    ("parameters", "reason"),
    [
        ({"CLASSES": ["10", "1", "", "", "10", "2", "", ""]}, "named twice"),
        ({"CLASSES": ["10", "1", "a", "green"]}, "#rrggbb"),
        ({"CLASSES": ["10", "300", "", ""]}, "out of range"),
        ({"CLASSES": ["", "1", "a", ""]}, "no whole number"),
        ({"CLASSES": ["10", "1"]}, "2 cells"),
        ({"CLASSES": [NULL]}, "changes nothing. Correct the table; the cells of a row are: class value, becomes"),
        ({"CLASSIFIED": "/nowhere/map.tif"}, "cannot be opened"),
    ],
)
def test_what_cannot_be_is_refused(plugin, class_map, parameters, reason):
    algorithm = QgsApplication.processingRegistry().createAlgorithmById("sardino:mergeclasses")
    given = {"CLASSIFIED": class_map, "CLASSES": TABLE, "OUTPUT": "TEMPORARY_OUTPUT", **parameters}
    suitable, message = algorithm.checkParameterValues(given, QgsProcessingContext())
    assert not suitable and reason in message and "\n" not in message


def test_what_the_map_lacks_is_told(run, class_map, tmp_path):
    with pytest.raises(Exception, match="none of the classes 11"):
        run("mergeclasses", CLASSIFIED=class_map, CLASSES=["11", "1", "", ""], OUTPUT=str(tmp_path / "a.tif"))
    assert list(tmp_path.iterdir()) == []

"""Segment, attention and embeddings for real, as a script, a batch or the Toolbox runs them."""

from __future__ import annotations

import shlex
import subprocess
import time
from pathlib import Path

import pytest
from osgeo import gdal
from qgis.core import (
    QgsCoordinateReferenceSystem,
    QgsCoordinateTransform,
    QgsFeature,
    QgsGeometry,
    QgsProcessingException,
    QgsProject,
    QgsRasterLayer,
    QgsRectangle,
    QgsReferencedRectangle,
    QgsVectorLayer,
)

from sar_dino_qgis.processing.repeat import shell_line
from tests.qgis.conftest import ROOT

LONLAT = QgsCoordinateReferenceSystem("EPSG:4326")


def values(path, band=1):
    """All pixels of a band as a flat tuple."""
    dataset = gdal.Open(str(path))
    source = dataset.GetRasterBand(band)
    count = dataset.RasterXSize * dataset.RasterYSize
    data = source.ReadRaster(0, 0, dataset.RasterXSize, dataset.RasterYSize, buf_type=gdal.GDT_Float32)
    return memoryview(data).cast("f")[:count].tolist()


def rectangle_of(scene, left, bottom, right, top):
    """A part of the scene, in shares of its sides, in its CRS."""
    layer = QgsRasterLayer(scene)
    box = layer.extent()
    return (
        QgsRectangle(
            box.xMinimum() + left * box.width(), box.yMinimum() + bottom * box.height(),
            box.xMinimum() + right * box.width(), box.yMinimum() + top * box.height(),
        ),
        layer.crs(),
    )  # fmt: skip


def polygon_layer(rectangle, crs, wanted):
    """A memory layer with that rectangle, in another CRS."""
    layer = QgsVectorLayer(f"Polygon?crs={wanted.authid()}", "area", "memory")
    geometry = QgsGeometry.fromRect(rectangle)
    geometry.transform(QgsCoordinateTransform(crs, wanted, QgsProject.instance()))
    feature = QgsFeature()
    feature.setGeometry(geometry)
    layer.dataProvider().addFeature(feature)
    return layer


def test_segment_writes_map_confidence_and_probabilities(run, scene, tmp_path, feedback):
    paths = {name: str(tmp_path / f"{name.lower()}.tif") for name in ("OUTPUT", "CONFIDENCE", "PROBABILITIES")}
    result = run("segment", INPUT=[scene], **paths)
    assert result == paths
    assert set(values(paths["OUTPUT"])) <= {10, 30, 50, 60, 80, 254}
    assert all(0 <= value <= 1 for value in values(paths["CONFIDENCE"]))
    assert gdal.Open(paths["PROBABILITIES"]).RasterCount == 5
    assert feedback.percentages[-1] == 100
    assert any("windows of" in line for line in feedback.said)


def test_the_log_tells_how_to_repeat_the_run(run, scene, tmp_path, worker, feedback):
    run("segment", INPUT=[scene], OUTPUT=str(tmp_path / "a.tif"), ABSTAIN=False, OVERLAP=0.5)
    command = next(line for line in feedback.said if line.startswith("sardino segment"))
    words = shlex.split(command.replace("a.tif", "b.tif"))
    subprocess.run([worker, "-m", "sardino_core", *words[1:]], check=True, cwd=ROOT, capture_output=True)
    assert values(tmp_path / "a.tif") == values(tmp_path / "b.tif")
    call = next(line for line in feedback.said if line.startswith("qgis_process run"))
    assert {"sardino:segment", f"INPUT={scene}", "ABSTAIN=false", "OVERLAP=0.5"} <= set(shlex.split(call))


def test_the_command_is_quoted_for_the_shell_of_the_machine():
    words = ["sardino", "segment", "C:\\my data\\a.tif"]
    assert shell_line(words, windows=True) == 'sardino segment "C:\\my data\\a.tif"'
    assert shlex.split(shell_line(words, windows=False)) == words


def test_attention_has_a_band_per_head(run, scene, tmp_path):
    path = run("attention", INPUT=[scene], OUTPUT=str(tmp_path / "a.tif"))["OUTPUT"]
    dataset = gdal.Open(path)
    assert dataset.GetRasterBand(1).GetDescription() == "head 1"
    assert (dataset.RasterXSize, dataset.RasterYSize) == (192, 192)
    mean = run("attention", INPUT=[scene], HEADS="mean", RESOLUTION="patch", OUTPUT=str(tmp_path / "b.tif"))["OUTPUT"]
    assert (gdal.Open(mean).RasterCount, gdal.Open(mean).RasterXSize) == (1, 24)


def test_embeddings_have_a_band_per_component(run, scene, tmp_path):
    path = run("embeddings", INPUT=[scene], OUTPUT=str(tmp_path / "a.tif"))["OUTPUT"]
    assert (gdal.Open(path).RasterCount, gdal.Open(path).RasterXSize) == (3, 24)


def test_layers_of_the_project_and_temporary_outputs(run, scene):
    layer = QgsRasterLayer(scene, "my scene")
    QgsProject.instance().addMapLayer(layer)
    try:
        by_layer = run("segment", INPUT=[layer], OUTPUT="TEMPORARY_OUTPUT")["OUTPUT"]
        by_id = run("segment", INPUT=layer.id(), OUTPUT="TEMPORARY_OUTPUT")["OUTPUT"]
        assert by_layer != by_id and values(by_layer) == values(by_id)
    finally:
        QgsProject.instance().clear()


def test_a_file_of_each_polarisation(run, scene, tmp_path):
    for band, name in ((1, "a_VV.tif"), (2, "a_VH.tif")):
        gdal.Translate(str(tmp_path / name), scene, bandList=[band])
    one = run("segment", INPUT=[scene], OUTPUT=str(tmp_path / "one.tif"))["OUTPUT"]
    inputs = [str(tmp_path / "a_VH.tif"), str(tmp_path / "a_VV.tif")]
    two = run("segment", INPUT=inputs, OUTPUT=str(tmp_path / "two.tif"))["OUTPUT"]
    assert values(one) == values(two)


def test_a_virtual_raster_and_named_bands(run, scene, tmp_path):
    gdal.Translate(str(tmp_path / "turned.vrt"), scene, format="VRT", bandList=[2, 1])
    dataset = gdal.Open(str(tmp_path / "turned.vrt"), gdal.GA_Update)
    for band in (1, 2):
        dataset.GetRasterBand(band).SetDescription("")
    del dataset
    one = run("segment", INPUT=[scene], OUTPUT=str(tmp_path / "one.tif"))["OUTPUT"]
    other = run("segment", INPUT=[str(tmp_path / "turned.vrt")], BANDS="vh=1, VV=2", OUTPUT=str(tmp_path / "two.tif"))[
        "OUTPUT"
    ]
    assert values(one) == values(other)


def test_an_extent_in_another_crs_cuts_the_map(run, scene, tmp_path):
    rectangle, crs = rectangle_of(scene, 0.25, 0.25, 0.75, 0.75)
    lonlat = QgsCoordinateTransform(crs, LONLAT, QgsProject.instance()).transformBoundingBox(rectangle)
    path = run("segment", INPUT=[scene], EXTENT=QgsReferencedRectangle(lonlat, LONLAT), OUTPUT=str(tmp_path / "a.tif"))[
        "OUTPUT"
    ]
    assert 90 <= gdal.Open(path).RasterXSize <= 110


@pytest.mark.parametrize("crs", ["own", "EPSG:4326", "EPSG:3857"])
def test_cutline_and_mask_are_polygons_of_any_layer(run, scene, tmp_path, crs):
    left, own = rectangle_of(scene, 0, 0, 0.5, 1)
    layer = polygon_layer(left, own, own if crs == "own" else QgsCoordinateReferenceSystem(crs))
    inside = values(run("segment", INPUT=[scene], CUTLINE=layer, OUTPUT=str(tmp_path / "in.tif"))["OUTPUT"])
    outside = values(run("segment", INPUT=[scene], MASK=layer, OUTPUT=str(tmp_path / "out.tif"))["OUTPUT"])
    width = gdal.Open(str(tmp_path / "in.tif")).RasterXSize  # a cutline cuts the raster, too
    assert 95 <= width <= 97 and 0 not in inside[: width // 2]
    rows = [outside[start : start + 192] for start in range(0, len(outside), 192)]
    assert all(set(row[:94]) == {0} and 0 not in row[98:] for row in rows)


def test_a_raster_masks(run, scene, place, tmp_path):
    mask = str(tmp_path / "mask.tif")
    gdal.Translate(mask, str(place / "labels.tif"), scaleParams=[[0, 1, 1, 1]], outputType=gdal.GDT_Byte)
    with pytest.raises(QgsProcessingException, match="no valid pixel"):
        run("segment", INPUT=[scene], MASK=mask, OUTPUT=str(tmp_path / "a.tif"))
    assert not (tmp_path / "a.tif").exists()


def test_two_at_once(plugin, scene, tmp_path):
    from qgis.core import QgsApplication, QgsProcessingAlgRunnerTask, QgsProcessingContext

    contexts = [QgsProcessingContext() for _ in range(2)]
    ended = []
    for number, context in enumerate(contexts):
        algorithm = QgsApplication.processingRegistry().createAlgorithmById("sardino:segment")
        task = QgsProcessingAlgRunnerTask(
            algorithm, {"INPUT": [scene], "OUTPUT": str(tmp_path / f"{number}.tif")}, context
        )
        task.executed.connect(lambda successful, results: ended.append(successful))
        QgsApplication.taskManager().addTask(task)
    until = time.monotonic() + 60
    while len(ended) < 2 and time.monotonic() < until:
        QgsApplication.processEvents()
        time.sleep(0.01)
    assert ended == [True, True]
    assert values(tmp_path / "0.tif") == values(tmp_path / "1.tif")


def test_checkenvironment_reports(run, tmp_path):
    result = run("checkenvironment", OUTPUT_HTML=str(tmp_path / "report.html"))
    page = Path(result["OUTPUT_HTML"]).read_text(encoding="utf-8")
    assert result["READY"] is True
    assert all(name in page for name in ("numpy", "rasterio", "onnxruntime", "starter"))


def test_checkenvironment_runs_without_a_python(run, tmp_path, monkeypatch):
    monkeypatch.setenv("SARDINO_PYTHON", "/nowhere/python")
    result = run("checkenvironment", OUTPUT_HTML=str(tmp_path / "report.html"))
    assert result["READY"] is False
    assert "/nowhere/python" in (tmp_path / "report.html").read_text(encoding="utf-8")

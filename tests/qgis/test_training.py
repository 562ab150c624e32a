"""Training from QGIS: rasters in, a model file out that the next algorithm takes."""

from __future__ import annotations

import pytest
from osgeo import gdal
from qgis.core import QgsApplication, QgsProcessingContext

from sardino_core.contract.model_reader import read_spec
from tests.qgis.conftest import ROOT


def test_finetune_makes_a_model_that_maps(run, has_torch, place, tmp_path, feedback):
    model = str(tmp_path / "mine.safetensors")
    result = run(
        "finetune", IMAGES=[str(place / "scene.tif")], LABELS=[str(place / "labels.tif")], INIT_MODEL="scratch",
        CONFIG="finetune-tiny", SETTINGS="optimiser.steps=2 optimiser.batch_size=2 optimiser.warm_up=1", OUTPUT=model,
    )  # fmt: skip
    assert result == {"OUTPUT": model}
    assert read_spec(model).task == "segmentation"
    assert (tmp_path / "mine" / "metrics.csv").exists()
    assert any(line.startswith("accuracy") for line in feedback.said)
    output = run("segment", INPUT=[str(place / "scene.tif")], MODEL=model, OUTPUT=str(tmp_path / "map.tif"))["OUTPUT"]
    assert gdal.Open(output).RasterXSize == 192


@pytest.mark.parametrize("name", ["mine", "mine.v2"])
def test_a_model_without_its_ending_gets_it(run, has_torch, place, tmp_path, name):
    settings = "optimiser.steps=2 optimiser.batch_size=2 optimiser.warm_up=1"
    images, labels = ([str(place / f"{kind}.tif")] for kind in ("scene", "labels"))
    given = {"IMAGES": images, "LABELS": labels, "INIT_MODEL": "scratch", "SETTINGS": settings}
    result = run("finetune", **given, CONFIG="finetune-tiny", OUTPUT=str(tmp_path / name))
    assert result == {"OUTPUT": str(tmp_path / f"{name}.safetensors")}
    assert read_spec(result["OUTPUT"]).task == "segmentation"
    assert {path.name for path in tmp_path.iterdir()} == {name, f"{name}.safetensors", f"{name}.onnx"}


def test_classes_are_the_users_own(run, has_torch, place, tmp_path, feedback):
    labels = str(tmp_path / "mine.tif")
    source = gdal.Open(str(place / "labels.tif"))
    pixels = bytearray(source.ReadAsArray().astype("uint8").tobytes())
    gdal.GetDriverByName("GTiff").CreateCopy(labels, source)
    dataset = gdal.Open(labels, gdal.GA_Update)
    dataset.GetRasterBand(1).WriteRaster(0, 0, 192, 192, bytes(1 if value == 80 else 2 + value % 3 for value in pixels))
    dataset = None
    model = str(tmp_path / "mine.safetensors")
    table = [1, "", "lake, or sea", "#0000ff", 2, 7, "land", "", 3, 7, "", "", 4, 0, "", ""]
    run(
        "finetune", IMAGES=[str(place / "scene.tif")], LABELS=[labels], INIT_MODEL="scratch", CLASSES=table,
        CONFIG="finetune-tiny", SETTINGS="optimiser.steps=2 optimiser.batch_size=2 optimiser.warm_up=1", OUTPUT=model,
    )  # fmt: skip
    found = [(item.value, item.name, item.colour) for item in read_spec(model).classes]
    assert found == [(1, "lake, or sea", "#0000ff"), (7, "land", "#009e73")]
    assert any("sources.0.mapping={1: [1], 2: [7], 3: [7]}" in line for line in feedback.said)


def test_pretrain_makes_a_backbone_for_attention(run, has_torch, place, tmp_path):
    model = str(tmp_path / "backbone.safetensors")
    settings = "optimiser.steps=2 optimiser.batch_size=4 optimiser.warm_up=1 optimiser.freeze_last_layer=1"
    images = [str(place / "scene.tif")]
    run("pretrain", IMAGES=images, CONFIG="pretrain-tiny", SETTINGS=settings, OUTPUT=model)
    assert read_spec(model).task == "pretrained"
    run("attention", INPUT=[str(place / "scene.tif")], MODEL=model, HEADS="mean", OUTPUT=str(tmp_path / "a.tif"))
    assert gdal.Open(str(tmp_path / "a.tif")).RasterCount == 1
    algorithm = QgsApplication.processingRegistry().createAlgorithmById("sardino:segment")
    parameters = {"INPUT": [str(place / "scene.tif")], "MODEL": model, "OUTPUT": "TEMPORARY_OUTPUT"}
    suitable, message = algorithm.checkParameterValues(parameters, QgsProcessingContext())
    assert not suitable and "backbone without classes" in message


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"SETTINGS": "optimiser.steps"}, "key=value"),
        ({"INIT_MODEL": str(ROOT / "LICENSE")}, "not a whole model file"),
        ({"LABELS": []}, "no raster"),
        ({"CLASSES": ["x", "", "", ""]}, "'x' is no whole number"),
        ({"CLASSES": ["--1", "1", "", ""]}, "'--1' is no whole number"),
        ({"CLASSES": [1, 2, "", "", 1, 3, "", ""]}, "stands for two classes"),
        ({"CLASSES": [1, 2, ""]}, "a row has 4"),
    ],
)
def test_what_cannot_be_trained_with_is_refused(plugin, place, changed, reason):
    algorithm = QgsApplication.processingRegistry().createAlgorithmById("sardino:finetune")
    given = {"IMAGES": [str(place / "scene.tif")], "LABELS": [str(place / "labels.tif")], "OUTPUT": "a.safetensors"}
    suitable, message = algorithm.checkParameterValues({**given, **changed}, QgsProcessingContext())
    assert not suitable and reason in message

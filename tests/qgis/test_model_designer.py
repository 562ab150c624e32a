"""Chains of the model designer, saved as .model3, loaded, and run: with native tools, and of every algorithm."""

from __future__ import annotations

from pathlib import Path

import processing
from osgeo import gdal
from qgis.core import (
    QgsProcessing,
    QgsProcessingContext,
    QgsProcessingModelAlgorithm,
    QgsProcessingModelChildAlgorithm,
    QgsProcessingModelChildParameterSource,
    QgsProcessingModelOutput,
    QgsProcessingModelParameter,
    QgsProcessingParameterMultipleLayers,
    QgsProcessingParameterString,
)

from tests.qgis.calls import OUTPUTS, inputs, outputs
from tests.qgis.test_maps import values

Source = QgsProcessingModelChildParameterSource


def chain():
    """Scene and model -> map -> sieved map."""
    model = QgsProcessingModelAlgorithm("Sieved land cover", "tests")
    for parameter in (
        QgsProcessingParameterMultipleLayers("scene", "Scene", QgsProcessing.SourceType.TypeRaster),
        QgsProcessingParameterString("model", "Model", "starter"),
    ):
        model.addModelParameter(parameter, QgsProcessingModelParameter(parameter.name()))
    segment = QgsProcessingModelChildAlgorithm("sardino:segment")
    segment.setChildId("segment")
    segment.addParameterSources("INPUT", [Source.fromModelParameter("scene")])
    segment.addParameterSources("MODEL", [Source.fromModelParameter("model")])
    sieve = QgsProcessingModelChildAlgorithm("gdal:sieve")
    sieve.setChildId("sieve")
    sieve.addParameterSources("INPUT", [Source.fromChildOutput("segment", "OUTPUT")])
    sieve.addParameterSources("THRESHOLD", [Source.fromStaticValue(20)])
    for child, name in ((segment, "map"), (sieve, "sieved")):
        output = QgsProcessingModelOutput(name, name)
        output.setChildId(child.childId())
        output.setChildOutputName("OUTPUT")
        child.setModelOutputs({name: output})
        model.addChildAlgorithm(child)
    model.updateDestinationParameters()
    return model


def test_a_saved_model_runs(plugin, scene, tmp_path):
    path = str(tmp_path / "sieved.model3")
    assert chain().toFile(path)
    model = QgsProcessingModelAlgorithm()
    assert model.fromFile(path)
    outputs = {"segment:map": str(tmp_path / "map.tif"), "sieve:sieved": str(tmp_path / "sieved.tif")}
    assert {item.name() for item in model.destinationParameterDefinitions()} == set(outputs)
    results = processing.run(model, {"scene": [scene], "model": "starter", **outputs}, context=QgsProcessingContext())
    assert gdal.Open(results["sieve:sieved"]) is not None
    before, after = values(outputs["segment:map"]), values(outputs["sieve:sieved"])
    assert set(after) <= set(before) and before != after


# Of every algorithm, what comes from another one: parameter -> (algorithm, its output).
FROM = {
    "segment": {"MODEL": ("finetune", "OUTPUT")},
    "classify": {"MODEL": ("finetune", "OUTPUT")},
    "attention": {"MODEL": ("pretrain", "OUTPUT")},
    "embeddings": {"MODEL": ("pretrain", "OUTPUT")},
    "finetune": {"INIT_MODEL": ("pretrain", "OUTPUT")},
    "preflight": {"MODEL": ("finetune", "OUTPUT")},
    "mergeclasses": {"CLASSIFIED": ("segment", "OUTPUT")},
    "samplepoints": {"CLASSIFIED": ("mergeclasses", "OUTPUT")},
    "accuracy": {"CLASSIFIED": ("segment", "OUTPUT")},
    "hectares": {"MAP": ("mergeclasses", "OUTPUT")},
}


def test_every_algorithm_in_one_chain(plugin, has_torch, place, tmp_path):
    model = QgsProcessingModelAlgorithm("Everything", "tests")
    wanted = {}
    for name in OUTPUTS:
        child = QgsProcessingModelChildAlgorithm(f"sardino:{name}")
        child.setChildId(name)
        given = inputs(name, str(place / "scene.tif"), str(place / "labels.tif"))
        if name == "mergeclasses":
            given["CLASSES"] = [value for old in (10, 30, 60) for value in (old, 1, "land", "#1b7837")]
        if name == "accuracy":
            given["MAPPING"] = "40=30,90=30"  # the model's classes are coarser than the labels
        for key, value in given.items():
            child.addParameterSources(key, [Source.fromStaticValue(value)])
        for key, (other, output) in FROM.get(name, {}).items():
            child.addParameterSources(key, [Source.fromChildOutput(other, output)])
        finals = {}
        for key, path in outputs(name, tmp_path).items():
            final = QgsProcessingModelOutput(f"{name} {key}", f"{name} {key}")
            final.setChildId(name)
            final.setChildOutputName(key)
            finals[f"{name} {key}"] = final
            wanted[f"{name}:{name} {key}"] = path
        child.setModelOutputs(finals)
        model.addChildAlgorithm(child)
    model.updateDestinationParameters()
    assert model.toFile(str(tmp_path / "everything.model3"))
    loaded = QgsProcessingModelAlgorithm()
    assert loaded.fromFile(str(tmp_path / "everything.model3"))
    results = processing.run(loaded, wanted, context=QgsProcessingContext())
    assert {key: results[key] for key in wanted} == wanted
    assert all(Path(path).stat().st_size > 0 for path in wanted.values())
    assert results["CHILD_RESULTS"]["accuracy"]["OVERALL_ACCURACY"] >= 0

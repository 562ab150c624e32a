"""Segment in a chain of the model designer: saved as .model3, loaded, and run, with native tools behind it."""

from __future__ import annotations

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

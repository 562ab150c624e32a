"""Accuracy of a map."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from qgis.core import (
    QgsProcessing,
    QgsProcessingContext,
    QgsProcessingFeedback,
    QgsProcessingOutputNumber,
    QgsProcessingParameterDefinition,
    QgsProcessingParameterMapLayer,
    QgsProcessingParameterString,
    QgsRasterLayer,
)

from sar_dino_qgis.i18n import tr
from sar_dino_qgis.processing import parameters as declare
from sar_dino_qgis.processing.areas import geojson_of, geometry_check
from sar_dino_qgis.processing.base import Parameters, SardinoAlgorithm
from sar_dino_qgis.processing.rasters import file_of
from sardino_core.contract.errors import InputMissing, SettingInvalid
from sardino_core.contract.jobs import AccuracyJob
from sardino_core.contract.messages import Result

_NUMBERS = {"OVERALL_ACCURACY": "overall_accuracy", "HALF_WIDTH": "overall_accuracy_half_width"}


class Accuracy(SardinoAlgorithm):
    """A map against labelled sample points, or for mere agreement a raster or polygons."""

    NAME = "accuracy"
    TITLE = "Accuracy of a map"
    GROUP = ("quality", "Before and after a map")
    PAGE = "accuracy"
    TAGS = ("validation", "confusion matrix", "area", "Olofsson", "IoU", "F1")
    HELP = (
        "Against labelled sample points: accuracies and areas per class with 95 % confidence intervals, adjusted for "
        "the design (Olofsson et al. 2014). Against a reference raster or polygons: agreement, from which no interval "
        "follows. Tables lie beside the report."
    )

    def parameters(self) -> list[QgsProcessingParameterDefinition]:
        kinds = [
            QgsProcessing.SourceType.TypeVectorPoint,
            QgsProcessing.SourceType.TypeVectorPolygon,
            QgsProcessing.SourceType.TypeRaster,
        ]
        return [
            declare.class_map(),
            declare.helped(
                QgsProcessingParameterMapLayer("REFERENCE", tr("Reference"), types=kinds),
                tr("The labelled points of `Sample points for accuracy`, labelled polygons, or a raster of classes."),
            ),
            declare.helped(
                QgsProcessingParameterString("FIELD", tr("Field with the class"), "reference"),
                tr("Of points and polygons: class values, or names as in the map's legend."),
            ),
            declare.advanced(
                declare.helped(
                    QgsProcessingParameterString("MAPPING", tr("Reference values to classes"), "", optional=True),
                    tr("Such as 1=80,2=10; 0 leaves a value out. Values not named are classes already."),
                )
            ),
            declare.report_output(),
        ]

    def initAlgorithm(self, configuration: dict[str, Any] | None = None) -> None:
        super().initAlgorithm(configuration)
        self.addOutput(QgsProcessingOutputNumber("OVERALL_ACCURACY", tr("Overall accuracy, 0 to 1")))
        self.addOutput(QgsProcessingOutputNumber("HALF_WIDTH", tr("Half the width of its 95 % interval")))

    def check(self, parameters: Parameters, context: QgsProcessingContext) -> None:
        self.read_layers(parameters, context)
        parse_mapping(self.parameterAsString(parameters, "MAPPING", context))

    def read_layers(self, parameters: Parameters, context: QgsProcessingContext) -> None:
        classified = self.parameterAsRasterLayer(parameters, "CLASSIFIED", context)
        reference = self.parameterAsLayer(parameters, "REFERENCE", context)
        if classified is None or reference is None:
            missing = tr("land-cover map") if classified is None else tr("reference")
            raise InputMissing(f"The {missing} cannot be opened.", "Choose a layer that is a local file.")
        self._classified = file_of(classified)
        self._reference_raster = file_of(reference) if isinstance(reference, QgsRasterLayer) else None

    def job(
        self, parameters: Parameters, context: QgsProcessingContext, feedback: QgsProcessingFeedback
    ) -> AccuracyJob:
        reference = self._reference_raster
        if reference is None:
            source = self.parameterAsSource(parameters, "REFERENCE", context)
            check = geometry_check(parameters.get("REFERENCE"), context)
            reference = geojson_of(source, "reference", check, feedback, attributes=True)
        return AccuracyJob(
            self._classified,
            reference,
            str(Path(self.parameterAsFileOutput(parameters, "OUTPUT_HTML", context)).absolute()),
            mapping=parse_mapping(self.parameterAsString(parameters, "MAPPING", context)),
            field_name=self.parameterAsString(parameters, "FIELD", context) or "reference",
        )

    def finish(
        self, job: AccuracyJob, result: Result, context: QgsProcessingContext, feedback: QgsProcessingFeedback
    ) -> dict[str, Any]:
        for line in result.values["summary"]:
            feedback.pushInfo(line)
        numbers = {name: result.values[key] for name, key in _NUMBERS.items() if result.values.get(key) is not None}
        return {"OUTPUT_HTML": job.output, **numbers}


def parse_mapping(text: str) -> dict[int, int]:
    """`1=80,2=10` as numbers. Raises SettingInvalid."""
    try:
        pairs = [part.split("=") for part in text.split(",") if part.strip()]
        return {int(value): int(target) for value, target in pairs}
    except ValueError:
        raise SettingInvalid(f"The mapping {text!r} is not of the form 1=80,2=10.") from None

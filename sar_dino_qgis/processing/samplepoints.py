"""Sample points for an accuracy assessment."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from qgis.core import (
    QgsProcessing,
    QgsProcessingContext,
    QgsProcessingFeedback,
    QgsProcessingParameterDefinition,
    QgsProcessingParameterVectorDestination,
)

from sar_dino_qgis.i18n import tr
from sar_dino_qgis.layers.post_processor import announce
from sar_dino_qgis.processing import parameters as declare
from sar_dino_qgis.processing.base import Parameters, SardinoAlgorithm
from sardino_core.contract.errors import SettingInvalid
from sardino_core.contract.jobs import SamplePointsJob
from sardino_core.contract.messages import Result


class SamplePoints(SardinoAlgorithm):
    """A stratified random sample of a map, to be labelled by eye."""

    NAME = "samplepoints"
    TITLE = "Sample points for accuracy"
    GROUP = ("quality", "Before and after a map")
    PAGE = "accuracy"
    TAGS = ("accuracy", "validation", "stratified", "random", "reference")
    HELP = (
        "Draws a stratified random sample of a land-cover map. Open the points over better imagery, fill in the field "
        "`reference` with class names or values, and give them to `Accuracy of a map`: their design travels with them."
    )

    def parameters(self) -> list[QgsProcessingParameterDefinition]:
        points = QgsProcessingParameterVectorDestination(
            "OUTPUT", tr("Sample points"), QgsProcessing.SourceType.TypeVectorPoint
        )
        return [
            declare.class_map(),
            declare.whole_number("SIZE", tr("Points in all"), 500, 2, 100_000, tr("Shared out by area.")),
            declare.advanced(
                declare.whole_number(
                    "MINIMUM", tr("Points in every class"), 30, 2, 100_000, tr("At least, however small the class is.")
                )
            ),
            declare.advanced(
                declare.whole_number("SEED", tr("Seed"), 0, 0, None, tr("Another number draws other points."))
            ),
            declare.advanced(
                declare.flag(
                    "BLIND",
                    tr("Hide the map's class"),
                    False,
                    tr("What is not there cannot lead the interpreter."),
                )
            ),
            declare.helped(points, tr("GeoJSON, in the map's CRS, with weights and the field `reference`.")),
        ]

    def check(self, parameters: Parameters, context: QgsProcessingContext) -> None:
        self.class_map_file(parameters, context)
        if self.parameterAsInt(parameters, "MINIMUM", context) > self.parameterAsInt(parameters, "SIZE", context):
            raise SettingInvalid("There are fewer points in all than in every class.", "Draw more points in all.")

    def read_layers(self, parameters: Parameters, context: QgsProcessingContext) -> None:
        self._classified = self.class_map_file(parameters, context)

    def job(
        self, parameters: Parameters, context: QgsProcessingContext, feedback: QgsProcessingFeedback
    ) -> SamplePointsJob:
        self._destination = self.layer_destination(parameters, "OUTPUT", context, (".geojson", ".json"))
        return SamplePointsJob(
            self._classified,
            str(Path(self._destination).absolute()),
            size=self.parameterAsInt(parameters, "SIZE", context),
            minimum=self.parameterAsInt(parameters, "MINIMUM", context),
            seed=self.parameterAsInt(parameters, "SEED", context),
            blind=self.parameterAsBool(parameters, "BLIND", context),
        )

    def finish(
        self, job: SamplePointsJob, result: Result, context: QgsProcessingContext, feedback: QgsProcessingFeedback
    ) -> dict[str, Any]:
        feedback.pushInfo(", ".join(f"{item['name']} {item['points']}" for item in result.values["classes"]))
        title = self.parameterDefinition("OUTPUT").description()
        announce(context, self._destination, title, f"{title}, {Path(job.classified).stem}")
        return {"OUTPUT": self._destination}

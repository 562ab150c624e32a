"""Segment land cover."""

from __future__ import annotations

from qgis.core import QgsProcessingContext, QgsProcessingFeedback, QgsProcessingParameterDefinition

from sar_dino_qgis.i18n import tr
from sar_dino_qgis.processing import parameters as declare
from sar_dino_qgis.processing.base import Parameters
from sar_dino_qgis.processing.checks import require_classes
from sar_dino_qgis.processing.raster_algorithm import RasterAlgorithm
from sardino_core.contract.jobs import SEGMENT_OVERLAP, SegmentJob
from sardino_core.contract.model_spec import ModelSpec


class Segment(RasterAlgorithm):
    """A land-cover map of a scene."""

    NAME = "segment"
    TITLE = "Segment land cover"
    TAGS = ("classification", "map", "vision transformer")
    HELP = (
        "Makes a land-cover map from a Sentinel-1 scene. Where the model does not know, the pixel becomes `unsure` "
        "(254); where there is no data, 0. Large scenes are streamed, and Cancel leaves nothing behind."
    )
    OUTPUTS = {"OUTPUT": "classes", "CONFIDENCE": "confidence", "PROBABILITIES": "confidence"}

    def parameters(self) -> list[QgsProcessingParameterDefinition]:
        abstain = declare.flag(
            "ABSTAIN", tr("Say `unsure` where the model does not know"), True,
            tr("Off: every pixel gets a class, however improbable."),
        )  # fmt: skip
        return [
            declare.scene(),
            declare.model(),
            declare.extent(),
            declare.cutline(),
            declare.mask(),
            declare.overlap(SEGMENT_OVERLAP),
            *map(declare.advanced, [*declare.reading(), abstain, *declare.running()]),
            declare.raster_output("OUTPUT", tr("Land cover"), tr("The map, with its classes' names and colours.")),
            declare.advanced(
                declare.raster_output(
                    "CONFIDENCE", tr("Confidence"), tr("The highest class probability, 0 to 1."), by_default=False
                )
            ),
            declare.advanced(
                declare.raster_output(
                    "PROBABILITIES", tr("Probabilities"), tr("The probability of every class, one band each."),
                    by_default=False,
                )
            ),
        ]  # fmt: skip

    def check_model(self, spec: ModelSpec) -> None:
        require_classes(spec)

    def job(self, parameters: Parameters, context: QgsProcessingContext, feedback: QgsProcessingFeedback) -> SegmentJob:
        return SegmentJob(
            self.scene(parameters, context, feedback),
            self.run_options(parameters, context, SEGMENT_OVERLAP),
            self.output_path(parameters, "OUTPUT", context) or "",
            confidence=self.output_path(parameters, "CONFIDENCE", context),
            probabilities=self.output_path(parameters, "PROBABILITIES", context),
            abstain=self.parameterAsBool(parameters, "ABSTAIN", context),
        )

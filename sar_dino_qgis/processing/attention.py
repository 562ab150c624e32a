"""Attention maps."""

from __future__ import annotations

from qgis.core import QgsProcessingContext, QgsProcessingFeedback, QgsProcessingParameterDefinition

from sar_dino_qgis.i18n import tr
from sar_dino_qgis.processing import parameters as declare
from sar_dino_qgis.processing.base import Parameters
from sar_dino_qgis.processing.checks import check_layer
from sar_dino_qgis.processing.raster_algorithm import RasterAlgorithm
from sardino_core.contract.jobs import CONTEXT_OVERLAP, AttentionJob
from sardino_core.contract.model_spec import ModelSpec


class Attention(RasterAlgorithm):
    """Where the model looks, head by head."""

    NAME = "attention"
    TITLE = "Attention maps"
    TAGS = ("self-attention", "saliency", "vision transformer")
    HELP = (
        "Where the model's class token looks, one band per attention head; 1 is indifference. Attention is relative to "
        "one window: compare ranks, not values, across scenes. A pre-trained model without classes will do."
    )
    OUTPUTS = {"OUTPUT": "attention"}

    def parameters(self) -> list[QgsProcessingParameterDefinition]:
        return [
            declare.scene(),
            declare.model(),
            declare.extent(),
            declare.layer(),
            declare.choice(
                "HEADS", tr("Heads"), ["all", "mean", "max"], "all", tr("All, one band each; or their mean or highest.")
            ),
            declare.choice(
                "RESOLUTION", tr("Resolution"), ["pixel", "patch"], "pixel",
                tr("pixel: on the scene's own pixels; patch: one pixel per patch, as the network has it."),
            ),
            *map(declare.advanced, [*declare.reading(), *declare.running()]),
            declare.raster_output("OUTPUT", tr("Attention"), tr("Float32; one band per head.")),
        ]  # fmt: skip

    def check(self, parameters: Parameters, context: QgsProcessingContext) -> None:
        self._layer = self.parameterAsInt(parameters, "LAYER", context)
        super().check(parameters, context)

    def check_model(self, spec: ModelSpec) -> None:
        check_layer(self._layer, spec)

    def job(
        self, parameters: Parameters, context: QgsProcessingContext, feedback: QgsProcessingFeedback
    ) -> AttentionJob:
        return AttentionJob(
            self.scene(parameters, context, feedback),
            self.run_options(parameters, context, CONTEXT_OVERLAP),
            self.output_path(parameters, "OUTPUT", context) or "",
            layer=self.parameterAsInt(parameters, "LAYER", context),
            heads=self.parameterAsEnumString(parameters, "HEADS", context),
            resolution=self.parameterAsEnumString(parameters, "RESOLUTION", context),
        )

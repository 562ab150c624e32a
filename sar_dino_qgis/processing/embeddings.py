"""Token embeddings."""

from __future__ import annotations

from qgis.core import QgsProcessingContext, QgsProcessingFeedback, QgsProcessingParameterDefinition

from sar_dino_qgis.i18n import tr
from sar_dino_qgis.processing import parameters as declare
from sar_dino_qgis.processing.base import Parameters
from sar_dino_qgis.processing.raster_algorithm import RasterAlgorithm
from sardino_core.contract.errors import SettingInvalid
from sardino_core.contract.jobs import CONTEXT_OVERLAP, EmbedJob
from sardino_core.contract.model_spec import ModelSpec


class Embeddings(RasterAlgorithm):
    """The patch tokens of a scene, or their principal components."""

    NAME = "embeddings"
    TITLE = "Token embeddings"
    TAGS = ("features", "principal components", "vision transformer")
    HELP = (
        "The network's patch tokens as a raster, one pixel per patch: features for other algorithms. Three principal "
        "components give a picture, shown as red, green and blue. A pre-trained model without classes will do."
    )
    OUTPUTS = {"OUTPUT": "embeddings"}

    def parameters(self) -> list[QgsProcessingParameterDefinition]:
        return [
            declare.scene(),
            declare.model(),
            declare.extent(),
            declare.whole_number(
                "COMPONENTS", tr("Principal components (0: all dimensions)"), 3, 0, 4096,
                tr("Of the tokens' dimensions, by falling variance; fitted on this scene."),
            ),
            *map(declare.advanced, [*declare.reading(), *declare.running()]),
            declare.raster_output("OUTPUT", tr("Embeddings"), tr("One band per component, on the grid of patches.")),
        ]  # fmt: skip

    def check(self, parameters: Parameters, context: QgsProcessingContext) -> None:
        self._components = self.parameterAsInt(parameters, "COMPONENTS", context)
        super().check(parameters, context)

    def check_model(self, spec: ModelSpec) -> None:
        width = spec.backbone.width
        if self._components > width:
            raise SettingInvalid(f"{self._components} components are too many; the tokens have {width} dimensions.")

    def job(self, parameters: Parameters, context: QgsProcessingContext, feedback: QgsProcessingFeedback) -> EmbedJob:
        return EmbedJob(
            self.scene(parameters, context, feedback),
            self.run_options(parameters, context, CONTEXT_OVERLAP),
            self.output_path(parameters, "OUTPUT", context) or "",
            components=self.parameterAsInt(parameters, "COMPONENTS", context),
        )

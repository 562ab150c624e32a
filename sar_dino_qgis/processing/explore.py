"""What the network relates to one place."""

from __future__ import annotations

from typing import Any

from qgis.core import (
    NULL,
    QgsProcessingContext,
    QgsProcessingFeedback,
    QgsProcessingParameterDefinition,
    QgsProcessingParameterPoint,
    QgsProcessingParameterString,
)

from sar_dino_qgis.i18n import tr
from sar_dino_qgis.layers.styles import style_of_place
from sar_dino_qgis.processing import parameters as declare
from sar_dino_qgis.processing.base import Parameters
from sar_dino_qgis.processing.checks import check_head, check_layer, check_place
from sar_dino_qgis.processing.raster_algorithm import RasterAlgorithm
from sar_dino_qgis.processing.rasters import place_in_core
from sardino_core.contract.errors import SettingInvalid
from sardino_core.contract.jobs import SEGMENT_OVERLAP, ExploreJob
from sardino_core.contract.messages import Result
from sardino_core.contract.model_spec import ModelSpec


class Explore(RasterAlgorithm):
    """What the attention explorer shows of a click, as a raster."""

    NAME = "explore"
    TITLE = "Attention or similarity of one place"
    PAGE = "explorer"
    TAGS = ("self-attention", "explorer", "similarity", "click", "point", "tokens")
    HELP = (
        "What the attention explorer shows of a click, for scripts and models: where one place attends to within the "
        "window around it, where the class token of that window does, or what in the scene is similar to the place. "
        "Attention of 1 is indifference. A pre-trained model without classes will do."
    )
    OUTPUTS = {"OUTPUT": "attention"}

    def parameters(self) -> list[QgsProcessingParameterDefinition]:
        return [
            declare.scene(),
            declare.model(),
            declare.helped(
                QgsProcessingParameterPoint("AT", tr("Place")),
                tr("A click in the map, or x,y in any CRS, such as 16.37,48.21 [EPSG:4326]; without one, in the "
                   "scene's. It lies on pixels with data."),
            ),
            declare.choice(
                "MODE", tr("Shown"), ["attention", "class", "similarity"], "attention",
                tr("attention: where the place attends to; class: where the class token of its window attends to; "
                   "similarity: the cosine, -1 to 1, of its token with all others of the scene or extent."),
            ),
            declare.layer(tr("Not of similarity, which is that of the last layer.")),
            declare.helped(
                QgsProcessingParameterString("HEAD", tr("Head"), "mean"),
                tr("mean or max over all heads, or the number of one, from 1. Not of similarity."),
            ),
            declare.extent(),
            *map(declare.advanced, [*declare.reading(), *declare.running()]),
            declare.raster_output("OUTPUT", tr("Explored place"), tr("Float32, one band, one pixel per patch.")),
        ]  # fmt: skip

    def check(self, parameters: Parameters, context: QgsProcessingContext) -> None:
        self._depth = self.parameterAsInt(parameters, "LAYER", context)
        self._head = self._name_of_head(parameters, context)
        super().check(parameters, context)
        check_place(self._read_rasters(parameters, context), *self._place(parameters, context))

    def check_model(self, spec: ModelSpec) -> None:
        check_layer(self._depth, spec)
        check_head(self._head, spec)

    def read_layers(self, parameters: Parameters, context: QgsProcessingContext) -> None:
        super().read_layers(parameters, context)
        self._at = place_in_core(self._rasters[0], *self._place(parameters, context))

    def job(self, parameters: Parameters, context: QgsProcessingContext, feedback: QgsProcessingFeedback) -> ExploreJob:
        return ExploreJob(
            self.scene(parameters, context, feedback),
            self.run_options(parameters, context, SEGMENT_OVERLAP),
            self.output_path(parameters, "OUTPUT", context) or "",
            at=self._at,
            mode=self.parameterAsEnumString(parameters, "MODE", context),
            layer=self.parameterAsInt(parameters, "LAYER", context),
            head=self._name_of_head(parameters, context),
        )

    def finish(
        self, job: ExploreJob, result: Result, context: QgsProcessingContext, feedback: QgsProcessingFeedback
    ) -> dict[str, Any]:
        feedback.pushInfo(result.values["told"])
        self.OUTPUTS = {"OUTPUT": style_of_place(job.mode)}
        return super().finish(job, result, context, feedback)

    def _name_of_head(self, parameters: Parameters, context: QgsProcessingContext) -> str:
        return self.parameterAsString(parameters, "HEAD", context).strip().lower() or "mean"

    def _place(self, parameters: Parameters, context: QgsProcessingContext) -> tuple[float, float]:
        """AT in the CRS of the first raster. Raises SettingInvalid for what is no place."""
        given = parameters.get("AT")
        crs = self._read_rasters(parameters, context)[0].crs
        point = self.parameterAsPoint(parameters, "AT", context, crs)
        if given in (None, "", NULL) or point.isEmpty():
            raise SettingInvalid(
                f"The place {given!r} is none." if given not in (None, "", NULL) else "No place was given.",
                "Click in the map, or give x,y, with another CRS than the scene's as x,y [EPSG:4326].",
            )
        return point.x(), point.y()

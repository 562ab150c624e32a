"""Change between dates."""

from __future__ import annotations

from typing import Any

from qgis.core import (
    QgsProcessingContext,
    QgsProcessingFeedback,
    QgsProcessingParameterDefinition,
    QgsProcessingParameterNumber,
)

from sar_dino_qgis.i18n import tr
from sar_dino_qgis.processing import parameters as declare
from sar_dino_qgis.processing.base import Parameters
from sar_dino_qgis.processing.checks import model_of
from sar_dino_qgis.processing.dates_algorithm import DatesAlgorithm, dates, rasters
from sardino_core.contract.jobs import CONTEXT_OVERLAP, ChangeJob, RunOptions
from sardino_core.contract.messages import Result


class Change(DatesAlgorithm):
    """Where one date differs from reference dates."""

    NAME = "change"
    TITLE = "Change between dates"
    TAGS = ("change detection", "difference", "false alarm", "multitemporal")
    HELP = (
        "Marks where a new date's tokens lie farther from those of the reference dates than these lie from each other. "
        "The false-alarm rate is the share of unchanged patches that are marked nevertheless, over the "
        "whole scene; seasons and wet soil are change, too. All dates on one grid, of one relative orbit."
    )
    PAGE = "change"
    LAYERS = ("BEFORE", "AFTER")
    OUTPUTS = {"OUTPUT": "change"}

    def parameters(self) -> list[QgsProcessingParameterDefinition]:
        rate = QgsProcessingParameterNumber(
            "FALSE_ALARM", tr("False-alarm rate"), QgsProcessingParameterNumber.Type.Double, 0.01, False, 1e-6, 0.5
        )
        return [
            rasters("BEFORE", tr("Reference dates"), tr(
                "Rasters of three dates or more between which nothing has changed, best of the same season.")),
            rasters("AFTER", tr("New date"), tr("The raster, or the files of each polarisation, of one later date.")),
            declare.model(),
            declare.helped(rate, tr("Share of the unchanged patches that are marked nevertheless.")),
            declare.extent(),
            dates(tr("reference dates, then the new one")),
            *map(declare.advanced, [*declare.reading(), *declare.running()]),
            declare.raster_output("OUTPUT", tr("Change"), tr(
                "On the grid of patches: distance, p-value, and change (1) or none (0).")),
        ]  # fmt: skip

    def check(self, parameters: Parameters, context: QgsProcessingContext) -> None:
        model_of(self.model_name(parameters, context))
        super().check(parameters, context)

    def job(self, parameters: Parameters, context: QgsProcessingContext, feedback: QgsProcessingFeedback) -> ChangeJob:
        return ChangeJob(
            self.paths("BEFORE"),
            self.paths("AFTER"),
            RunOptions(
                model=self.model_name(parameters, context),
                overlap=CONTEXT_OVERLAP,
                batch_size=self.parameterAsInt(parameters, "BATCH_SIZE", context),
                device=self.parameterAsEnumString(parameters, "DEVICE", context) or "auto",
            ),
            self.output_path(parameters, "OUTPUT", context) or "",
            false_alarm=self.parameterAsDouble(parameters, "FALSE_ALARM", context),
            dates=self.dates(parameters, context),
            extent=self._extent,
            bands=self.bands(parameters, context),
            units=self.units(parameters, context),
        )

    def finish(
        self, job: ChangeJob, result: Result, context: QgsProcessingContext, feedback: QgsProcessingFeedback
    ) -> dict[str, Any]:
        feedback.pushInfo(result.values["summary"])
        return super().finish(job, result, context, feedback)

"""Preflight."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from qgis.core import (
    QgsProcessingContext,
    QgsProcessingFeedback,
    QgsProcessingOutputBoolean,
    QgsProcessingOutputNumber,
    QgsProcessingParameterDefinition,
)

from sar_dino_qgis.i18n import tr
from sar_dino_qgis.processing import parameters as declare
from sar_dino_qgis.processing.base import Parameters
from sar_dino_qgis.processing.raster_algorithm import RasterAlgorithm
from sardino_core.contract.findings import Finding
from sardino_core.contract.jobs import SEGMENT_OVERLAP, PreflightJob
from sardino_core.contract.messages import Result

_NUMBERS = {"WINDOWS": "windows", "SECONDS": "seconds", "MEMORY_MB": "memory_mb"}


class Preflight(RasterAlgorithm):
    """What a run would make of a scene, before it is made."""

    NAME = "preflight"
    TITLE = "Preflight of a scene"
    GROUP = ("quality", "Before and after a map")
    TAGS = ("check", "estimate", "memory", "time")
    HELP = (
        "Looks at a sample of a scene before it is mapped: are bands and units read rightly, does it resemble what the "
        "model was trained on, and how many windows, how much memory, time and disk space will the map take?"
    )

    def parameters(self) -> list[QgsProcessingParameterDefinition]:
        return [
            declare.scene(),
            declare.model(),
            declare.extent(),
            *map(declare.advanced, [*declare.reading(), *declare.running()]),
            declare.report_output(),
        ]

    def initAlgorithm(self, configuration: dict[str, Any] | None = None) -> None:
        super().initAlgorithm(configuration)
        self.addOutput(QgsProcessingOutputBoolean("SUITABLE", tr("Whether nothing speaks against the run")))
        self.addOutput(QgsProcessingOutputNumber("WINDOWS", tr("Windows")))
        self.addOutput(QgsProcessingOutputNumber("SECONDS", tr("Seconds, about")))
        self.addOutput(QgsProcessingOutputNumber("MEMORY_MB", tr("Memory in MB, about")))

    def job(
        self, parameters: Parameters, context: QgsProcessingContext, feedback: QgsProcessingFeedback
    ) -> PreflightJob:
        report = self.parameterAsFileOutput(parameters, "OUTPUT_HTML", context)
        return PreflightJob(
            self.scene(parameters, context, feedback),
            self.run_options(parameters, context, SEGMENT_OVERLAP),
            str(Path(report).absolute()),
        )

    def finish(
        self, job: PreflightJob, result: Result, context: QgsProcessingContext, feedback: QgsProcessingFeedback
    ) -> dict[str, Any]:
        for item in result.values["findings"]:
            finding = Finding(**item)
            (feedback.pushInfo if finding.ok else feedback.pushWarning)(finding.line())
        numbers = {name: result.values[key] for name, key in _NUMBERS.items()}
        return {"OUTPUT_HTML": job.output, "SUITABLE": result.values["suitable"], **numbers}

"""Clusters of token space."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from qgis.core import (
    QgsProcessingContext,
    QgsProcessingFeedback,
    QgsProcessingParameterDefinition,
    QgsProcessingParameterFile,
    QgsProcessingParameterFileDestination,
)

from sar_dino_qgis.i18n import tr
from sar_dino_qgis.processing import parameters as declare
from sar_dino_qgis.processing.base import Parameters
from sar_dino_qgis.processing.raster_algorithm import RasterAlgorithm
from sardino_core.contract.errors import InputMissing, SettingInvalid
from sardino_core.contract.jobs import MOST_CLUSTERS, SEGMENT_OVERLAP, ClusterJob
from sardino_core.contract.messages import Result


class Cluster(RasterAlgorithm):
    """A map of classes that nobody named."""

    NAME = "cluster"
    TITLE = "Clusters without labels"
    PAGE = "explore"
    TAGS = ("unsupervised", "classification", "k-means", "tokens")
    HELP = (
        "Divides a scene into classes without any label: clusters of the network's patch tokens, numbered from dark to "
        "bright. What they are on the ground is for you to say. A codebook gives neighbouring scenes the same classes. "
        "A pre-trained model without classes will do. New clusters need scikit-learn: the explore environment has it."
    )
    OUTPUTS = {"OUTPUT": "classes"}

    def parameters(self) -> list[QgsProcessingParameterDefinition]:
        codebook = QgsProcessingParameterFile("CODEBOOK", tr("Codebook"), extension="json", optional=True)
        saved = QgsProcessingParameterFileDestination(
            "SAVE_CODEBOOK", tr("Codebook to write"), tr("JSON files (*.json)"), None, True, False
        )
        return [
            declare.scene(),
            declare.model(),
            declare.whole_number(
                "CLUSTERS", tr("Clusters (0: chosen)"), 0, 0, MOST_CLUSTERS,
                tr("From 2 on. 0 takes the most, up to 12, on which two halves of a sample agree; the log says why."),
            ),
            declare.flag(
                "REFINE", tr("Borders on the raster's pixels"), False,
                tr("Smooth borders between the patches' centres; no detail is added. Off: one pixel per patch."),
            ),
            declare.extent(),
            declare.cutline(),
            declare.mask(),
            declare.overlap(SEGMENT_OVERLAP),
            *map(declare.advanced, [
                declare.helped(codebook, tr("Of an earlier run with this model: its clusters, not new ones.")),
                *declare.reading(),
                *declare.running(),
            ]),
            declare.raster_output("OUTPUT", tr("Clusters"), tr("The map, with its clusters' colours and backscatter.")),
            declare.advanced(declare.helped(saved, tr("The clusters, for other scenes: a JSON file."))),
        ]  # fmt: skip

    def check(self, parameters: Parameters, context: QgsProcessingContext) -> None:
        super().check(parameters, context)
        codebook = self.parameterAsFile(parameters, "CODEBOOK", context)
        clusters = self.parameterAsInt(parameters, "CLUSTERS", context)
        if clusters == 1:
            raise SettingInvalid("One cluster is no division.", f"Ask for 2 to {MOST_CLUSTERS}, or 0.")
        if codebook and clusters:
            raise SettingInvalid("A codebook has its clusters already.", "Set CLUSTERS to 0, or clear CODEBOOK.")
        if codebook and not Path(codebook).is_file():
            raise InputMissing(f"The codebook {codebook} does not exist.", "Check the path.")

    def job(self, parameters: Parameters, context: QgsProcessingContext, feedback: QgsProcessingFeedback) -> ClusterJob:
        self._saved = self.parameterAsFileOutput(parameters, "SAVE_CODEBOOK", context)
        return ClusterJob(
            self.scene(parameters, context, feedback),
            self.run_options(parameters, context, SEGMENT_OVERLAP),
            self.output_path(parameters, "OUTPUT", context) or "",
            clusters=self.parameterAsInt(parameters, "CLUSTERS", context),
            codebook=self.parameterAsFile(parameters, "CODEBOOK", context) or None,
            save_codebook=str(Path(self._saved).absolute()) if self._saved else None,
            refine=self.parameterAsBool(parameters, "REFINE", context),
        )

    def finish(
        self, job: ClusterJob, result: Result, context: QgsProcessingContext, feedback: QgsProcessingFeedback
    ) -> dict[str, Any]:
        written = super().finish(job, result, context, feedback)
        return {**written, "SAVE_CODEBOOK": self._saved} if self._saved else written

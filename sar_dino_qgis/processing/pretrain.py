"""Pre-train a backbone."""

from __future__ import annotations

from qgis.core import QgsProcessingContext, QgsProcessingFeedback, QgsProcessingParameterDefinition

from sar_dino_qgis.i18n import tr
from sar_dino_qgis.processing.base import Parameters
from sar_dino_qgis.processing.training import TrainingAlgorithm, ending, rasters
from sardino_core.contract.jobs import PretrainJob


class Pretrain(TrainingAlgorithm):
    """DINO on unlabelled rasters."""

    NAME = "pretrain"
    TITLE = "Pre-train a backbone (DINO)"
    TAGS = ("self-supervised", "self-distillation", "training")
    HELP = (
        "Learns from Sentinel-1 rasters without labels, by self-distillation: a backbone for fine-tuning, "
        "attention maps and embeddings. Needs torch, and hours to days on a GPU for anything but a trial."
    )

    def parameters(self) -> list[QgsProcessingParameterDefinition]:
        images = rasters("IMAGES", tr("Sentinel-1 rasters"), tr("The more places and dates, the better; no labels."))
        return [images, *ending("pretrain-laptop")]

    def job(
        self, parameters: Parameters, context: QgsProcessingContext, feedback: QgsProcessingFeedback
    ) -> PretrainJob:
        return PretrainJob(
            output=self.run_folder(parameters, context),
            images=self.files("IMAGES"),
            config=self.parameterAsString(parameters, "CONFIG", context),
            epochs=self.epochs(parameters, context),
            resume=self.parameterAsBool(parameters, "RESUME", context),
            settings=self.settings(parameters, context),
        )

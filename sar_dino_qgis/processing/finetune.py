"""Fine-tune a model."""

from __future__ import annotations

from qgis.core import (
    QgsProcessingContext,
    QgsProcessingFeedback,
    QgsProcessingParameterDefinition,
    QgsProcessingParameterMatrix,
)

from sar_dino_qgis.i18n import tr
from sar_dino_qgis.processing import parameters as declare
from sar_dino_qgis.processing.base import Parameters
from sar_dino_qgis.processing.checks import model_of
from sar_dino_qgis.processing.own_classes import COLUMNS, class_settings
from sar_dino_qgis.processing.training import TrainingAlgorithm, ending, rasters
from sardino_core.contract.jobs import SCRATCH, FinetuneJob


class Finetune(TrainingAlgorithm):
    """Labelled rasters to a land-cover model."""

    NAME = "finetune"
    TITLE = "Fine-tune a model"
    TAGS = ("training", "labels", "transfer learning", "classification")
    HELP = (
        "Makes a land-cover model from Sentinel-1 rasters and label rasters, starting from a pre-trained model. Labels "
        "are ESA WorldCover's codes, or what the table of classes says. Needs torch; a GPU makes it quick."
    )
    LAYERS = ("IMAGES", "LABELS")

    def parameters(self) -> list[QgsProcessingParameterDefinition]:
        init = declare.model(tr("Start from"), "INIT_MODEL")
        init.setHelp(tr("A model file whose backbone is trained on, `starter`, or `scratch` for random weights."))
        return [
            rasters("IMAGES", tr("Sentinel-1 rasters"), tr("Where there are labels.")),
            rasters("LABELS", tr("Label rasters"), tr("Class values, on any grid; ESA WorldCover, for example.")),
            init,
            declare.helped(
                QgsProcessingParameterMatrix("CLASSES", tr("Classes"), 1, False, list(COLUMNS), optional=True),
                tr("Your own classes, a row for each label value: the value in the label raster; the class value in "
                   "the map (empty: the same; 0: the label says nothing); name and colour, such as #1b7837, once for "
                   "each class. Empty: water, trees, built-up, low vegetation and bare, from WorldCover's codes."),
            ),
            *ending("finetune-laptop"),
        ]  # fmt: skip

    def check(self, parameters: Parameters, context: QgsProcessingContext) -> None:
        super().check(parameters, context)
        self._classes(parameters, context)
        init = self._init(parameters, context)
        if init != SCRATCH:
            model_of(init)

    def job(
        self, parameters: Parameters, context: QgsProcessingContext, feedback: QgsProcessingFeedback
    ) -> FinetuneJob:
        return FinetuneJob(
            output=self.run_folder(parameters, context),
            init=self._init(parameters, context),
            images=self.files("IMAGES"),
            labels=self.files("LABELS"),
            config=self.parameterAsString(parameters, "CONFIG", context),
            epochs=self.epochs(parameters, context),
            resume=self.parameterAsBool(parameters, "RESUME", context),
            settings=(*self._classes(parameters, context), *self.settings(parameters, context)),
        )

    def _classes(self, parameters: Parameters, context: QgsProcessingContext) -> tuple[str, ...]:
        return class_settings(self.parameterAsMatrix(parameters, "CLASSES", context))

    def _init(self, parameters: Parameters, context: QgsProcessingContext) -> str:
        named = self.parameterAsString(parameters, "INIT_MODEL", context).strip()
        return named if named == SCRATCH else self.model_name(parameters, context, "INIT_MODEL")

"""Classify land cover from a few labelled areas."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from qgis.core import (
    QgsProcessing,
    QgsProcessingContext,
    QgsProcessingFeedback,
    QgsProcessingOutputNumber,
    QgsProcessingParameterDefinition,
    QgsProcessingParameterEnum,
    QgsProcessingParameterFeatureSource,
    QgsProcessingParameterField,
    QgsProcessingParameterFile,
    QgsProcessingParameterFileDestination,
)

from sar_dino_qgis.i18n import tr
from sar_dino_qgis.processing import parameters as declare
from sar_dino_qgis.processing.areas import geojson_of, geometry_check
from sar_dino_qgis.processing.base import Parameters
from sar_dino_qgis.processing.raster_algorithm import RasterAlgorithm
from sardino_core.contract.errors import InputMissing, SettingInvalid
from sardino_core.contract.jobs import CONTEXT_OVERLAP, FEATURE_SETS, METHODS, ClassifyJob
from sardino_core.contract.messages import Result

_SKOPS = "skops (*.skops)"


class Classify(RasterAlgorithm):
    """A land-cover map from the user's own labelled areas."""

    NAME = "classify"
    TITLE = "Classify land cover from labelled areas"
    PAGE = "classify"
    TAGS = ("classification", "supervised", "training", "random forest", "few labels", "polygons")
    HELP = (
        "Makes a land-cover map from a few labelled polygons or points of your own, in minutes and without a GPU. A "
        "small classifier learns from backscatter, from backscatter filtered at several scales, and from what the "
        "model sees there: attention heads and tokens. Cross-validation holds out whole polygons, and the log and the "
        "report tell what it says. A classifier that is kept can be applied to other scenes without labels. Needs "
        "scikit-learn and skops in the worker's environment."
    )
    OUTPUTS = {"OUTPUT": "classes", "CONFIDENCE": "confidence"}

    def parameters(self) -> list[QgsProcessingParameterDefinition]:
        kinds = [QgsProcessing.SourceType.TypeVectorPolygon, QgsProcessing.SourceType.TypeVectorPoint]
        field = QgsProcessingParameterField("FIELD", tr("Field with the class"), None, "TRAINING", optional=True)
        features = QgsProcessingParameterEnum(
            "FEATURES", tr("Features"), list(FEATURE_SETS), True, list(FEATURE_SETS), True, True
        )
        return [
            declare.scene(),
            declare.model(),
            declare.helped(
                QgsProcessingParameterFeatureSource("TRAINING", tr("Labelled areas"), kinds, optional=True),
                tr("Polygons, or points, in any CRS: two or more of every class, in different places. Empty only where "
                   "a kept classifier is applied."),
            ),
            declare.helped(field, tr("Of the labelled areas: class values from 1 to 253, or names.")),
            declare.helped(
                features,
                tr("What the classifier is given: `bands`, the pixel's backscatter; `filtered`, its local means over "
                   "3, 7 and 15 pixels; `attention`, the last layer's heads; `tokens`, 16 principal components. "
                   "Without the last two the network is not run."),
            ),
            declare.choice(
                "METHOD", tr("Method"), METHODS, "forest",
                tr("A random forest, logistic regression, or the 15 nearest neighbours."),
            ),
            declare.extent(),
            declare.cutline(),
            declare.mask(),
            *map(declare.advanced, [self._kept(), *declare.reading(), *declare.running()]),
            declare.raster_output("OUTPUT", tr("Land cover"), tr("The map, with its classes' names and colours.")),
            declare.helped(
                QgsProcessingParameterFileDestination(
                    "REPORT", tr("Report"), tr("HTML files (*.html)"), None, True, False
                ),
                tr("What cross-validation over the labelled areas says; a page for a browser."),
            ),
            declare.advanced(
                declare.raster_output(
                    "CONFIDENCE", tr("Confidence"), tr("The highest class probability, 0 to 1; it is not calibrated."),
                    by_default=False,
                )
            ),
            declare.advanced(
                declare.helped(
                    QgsProcessingParameterFileDestination(
                        "SAVE_CLASSIFIER", tr("Keep the classifier"), tr(_SKOPS), None, True, False
                    ),
                    tr("A file to be applied to other scenes, with the same model."),
                )
            ),
        ]  # fmt: skip

    def initAlgorithm(self, configuration: dict[str, Any] | None = None) -> None:
        super().initAlgorithm(configuration)
        self.addOutput(
            QgsProcessingOutputNumber("ACCURACY", tr("Share of held-out training pixels that are right, 0 to 1"))
        )

    def check(self, parameters: Parameters, context: QgsProcessingContext) -> None:
        source = self.parameterAsSource(parameters, "TRAINING", context)
        if parameters.get("TRAINING") and source is None:
            raise InputMissing("The labelled areas cannot be opened.", "Choose a layer of polygons or points.")
        if (source is None) == (self._file(parameters, "CLASSIFIER", context) is None):
            found = (
                "No labelled areas and no classifier were" if source is None else "Labelled areas and a classifier were"
            )
            raise SettingInvalid(f"{found} given; one of them is needed.", "Choose TRAINING, or CLASSIFIER.")
        if source is not None and self._field(parameters, context) not in source.fields().names():
            held = ", ".join(source.fields().names()) or "none"
            raise SettingInvalid(
                f"The labelled areas have no field {self._field(parameters, context)!r}; their fields are {held}.",
                "Choose FIELD.",
            )
        super().check(parameters, context)

    def job(
        self, parameters: Parameters, context: QgsProcessingContext, feedback: QgsProcessingFeedback
    ) -> ClassifyJob:
        classifier = self._file(parameters, "CLASSIFIER", context)
        trained = classifier is None  # features and method are the kept one's otherwise
        return ClassifyJob(
            self.scene(parameters, context, feedback),
            self.run_options(parameters, context, CONTEXT_OVERLAP),
            self.output_path(parameters, "OUTPUT", context) or "",
            training=self._areas(parameters, context, feedback) if trained else None,
            field_name=self._field(parameters, context),
            features=tuple(self.parameterAsEnumStrings(parameters, "FEATURES", context)) if trained else (),
            method=self.parameterAsEnumString(parameters, "METHOD", context) if trained else None,
            classifier=classifier,
            save_classifier=self._destination(parameters, "SAVE_CLASSIFIER", context),
            confidence=self.output_path(parameters, "CONFIDENCE", context),
            report=self._destination(parameters, "REPORT", context),
        )

    def finish(
        self, job: ClassifyJob, result: Result, context: QgsProcessingContext, feedback: QgsProcessingFeedback
    ) -> dict[str, Any]:
        for line in result.values["summary"]:
            feedback.pushInfo(line)
        files = {"REPORT": job.report, "SAVE_CLASSIFIER": job.save_classifier}
        return {
            **super().finish(job, result, context, feedback),
            **{name: path for name, path in files.items() if path is not None},
            "ACCURACY": result.values["cross_validated_accuracy"],
        }

    def _kept(self) -> QgsProcessingParameterDefinition:
        kept = QgsProcessingParameterFile(
            "CLASSIFIER", tr("Apply a kept classifier"), optional=True, fileFilter=tr(_SKOPS)
        )
        return declare.helped(kept, tr("Instead of labelled areas; features and method are then its own."))

    def _areas(self, parameters: Parameters, context: QgsProcessingContext, feedback: QgsProcessingFeedback) -> str:
        source = self.parameterAsSource(parameters, "TRAINING", context)
        check = geometry_check(parameters.get("TRAINING"), context)
        return geojson_of(source, "training", check, feedback, attributes=True)

    def _field(self, parameters: Parameters, context: QgsProcessingContext) -> str:
        return self.parameterAsString(parameters, "FIELD", context) or "class"

    def _file(self, parameters: Parameters, name: str, context: QgsProcessingContext) -> str | None:
        text = self.parameterAsString(parameters, name, context).strip()
        return str(Path(text).expanduser().absolute()) if text else None

    def _destination(self, parameters: Parameters, name: str, context: QgsProcessingContext) -> str | None:
        path = self.parameterAsFileOutput(parameters, name, context)
        return str(Path(path).absolute()) if path else None

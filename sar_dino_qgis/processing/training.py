"""What pre-training and fine-tuning share: rasters in, a model file out, with the run's folder beside it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from qgis.core import (
    QgsProcessing,
    QgsProcessingContext,
    QgsProcessingFeedback,
    QgsProcessingParameterDefinition,
    QgsProcessingParameterFileDestination,
    QgsProcessingParameterMultipleLayers,
    QgsProcessingParameterNumber,
    QgsProcessingParameterString,
)

from sar_dino_qgis.i18n import tr
from sar_dino_qgis.processing import parameters as declare
from sar_dino_qgis.processing.base import Parameters, SardinoAlgorithm
from sar_dino_qgis.processing.rasters import file_of
from sardino_core.contract.errors import InputMissing, OutputUnwritable, SettingInvalid
from sardino_core.contract.messages import Result

_MODEL = ".safetensors"


class TrainingAlgorithm(SardinoAlgorithm):
    """Keeps what else the run leaves (checkpoint, metrics, TensorBoard events) in a folder named like the model."""

    GROUP = ("training", "Your own model")
    PAGE = "training"
    LAYERS: Sequence[str] = ("IMAGES",)

    def check(self, parameters: Parameters, context: QgsProcessingContext) -> None:
        self.read_layers(parameters, context)
        self.settings(parameters, context)

    def read_layers(self, parameters: Parameters, context: QgsProcessingContext) -> None:
        self._files = {name: self._files_of(parameters, name, context) for name in self.LAYERS}

    def files(self, name: str) -> tuple[str, ...]:
        """The files of a parameter's layers."""
        return self._files[name]

    def run_folder(self, parameters: Parameters, context: QgsProcessingContext) -> str:
        """Where the run works: the model's path without its ending. Remembers the model's path, which has one."""
        named = Path(self.parameterAsFileOutput(parameters, "OUTPUT", context)).absolute()
        self._model = named if named.suffix == _MODEL else named.with_name(named.name + _MODEL)
        return str(self._model.with_suffix(""))

    def epochs(self, parameters: Parameters, context: QgsProcessingContext) -> float | None:
        """Passes over the data; None: as the configuration says."""
        return self.parameterAsDouble(parameters, "EPOCHS", context) or None

    def settings(self, parameters: Parameters, context: QgsProcessingContext) -> tuple[str, ...]:
        """`key=value` pairs. Raises SettingInvalid."""
        words = self.parameterAsString(parameters, "SETTINGS", context).split()
        for word in words:
            if "=" not in word:
                raise SettingInvalid(f"The setting {word!r} is not of the form key=value.")
        return tuple(words)

    def finish(
        self, job: Any, result: Result, context: QgsProcessingContext, feedback: QgsProcessingFeedback
    ) -> dict[str, Any]:
        for name, value in result.values.items():
            feedback.pushInfo(f"{name}: {value:.4g}" if isinstance(value, float) else f"{name}: {value}")
        try:
            for role, suffix in (("model", _MODEL), ("export", ".onnx")):
                if role in result.outputs:
                    _copy(result.outputs[role], self._model.with_suffix(suffix))
        except OSError as error:
            raise OutputUnwritable(
                f"{self._model} cannot be written ({error.strerror}).", f"The model lies in {job.output}."
            ) from error
        return {"OUTPUT": str(self._model)}

    def _files_of(self, parameters: Parameters, name: str, context: QgsProcessingContext) -> tuple[str, ...]:
        layers = self.parameterAsLayerList(parameters, name, context)
        if not layers:
            title = self.parameterDefinition(name).description()
            raise InputMissing(f"{title}: there is no raster that can be opened.", "Choose local files.")
        return tuple(file_of(layer) for layer in layers)


def _copy(source: str, target: Path) -> None:
    """Copy a file whole or not at all. Raises OSError."""
    aside = target.with_name(f".{target.name}.part")
    try:
        shutil.copyfile(source, aside)
        os.replace(aside, target)
    finally:
        aside.unlink(missing_ok=True)


def rasters(name: str, title: str, help_text: str) -> QgsProcessingParameterDefinition:
    """Several rasters."""
    return declare.helped(
        QgsProcessingParameterMultipleLayers(name, title, QgsProcessing.SourceType.TypeRaster), help_text
    )


def ending(config: str) -> list[QgsProcessingParameterDefinition]:
    """CONFIG, EPOCHS, RESUME, SETTINGS and OUTPUT."""
    epochs = QgsProcessingParameterNumber(
        "EPOCHS", tr("Epochs (0: as configured)"), QgsProcessingParameterNumber.Type.Double, 0, False, 0, 100_000
    )
    model = QgsProcessingParameterFileDestination("OUTPUT", tr("Model"), tr("Models (*.safetensors)"))
    return [
        declare.helped(
            QgsProcessingParameterString("CONFIG", tr("Configuration"), config),
            tr("A configuration that ships, or the path of a YAML file: network, classes, optimiser and the rest."),
        ),
        declare.helped(epochs, tr("Passes over the data; a part of one will do.")),
        declare.advanced(
            declare.flag("RESUME", tr("Go on from the last checkpoint"), False, tr("Of a run that was stopped."))
        ),
        declare.advanced(
            declare.helped(
                QgsProcessingParameterString("SETTINGS", tr("Other settings"), "", optional=True),
                tr("Over the configuration's, as key=value with blanks between: optimiser.lr=0.001 seed=3."),
            )
        ),
        declare.helped(model, tr("The model file. The run's own files are kept in a folder of that name beside it.")),
    ]

"""What every algorithm does alike: judge its parameters, build a job, have a worker do it, say how to repeat it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from qgis.core import (
    QgsProcessingAlgorithm,
    QgsProcessingContext,
    QgsProcessingException,
    QgsProcessingFeedback,
    QgsProcessingParameterDefinition,
)
from qgis.PyQt.QtGui import QIcon

from sar_dino_qgis.help import MANUAL, page_url
from sar_dino_qgis.i18n import tr
from sar_dino_qgis.icons import icon, icon_path
from sar_dino_qgis.processing.feedback import FeedbackListener
from sar_dino_qgis.processing.rasters import file_of
from sar_dino_qgis.processing.repeat import qgis_process_call, shell_line
from sar_dino_qgis.processing.wording import in_qgis_terms, refusal
from sar_dino_qgis.settings import problem_with_python
from sardino_core.contract.command_line import command_line
from sardino_core.contract.errors import Cancelled, InputMissing, SardinoError, SettingInvalid
from sardino_core.contract.jobs import Job
from sardino_core.contract.messages import Result
from sardino_core.contract.model_reader import STARTER

Parameters = Mapping[str, Any]
_SWITCHED_OFF = "The run was stopped, for the plugin was switched off. Run it again."
_QUOTED = re.compile(r"`([^`]+)`")  # as the texts quote words; the help panel is HTML


class SardinoAlgorithm(QgsProcessingAlgorithm):
    """Subclasses name themselves, declare parameters, check them, build a job, and name its outputs."""

    NAME = ""
    TITLE = ""
    GROUP = ("", "")  # id and name
    TAGS: tuple[str, ...] = ()
    HELP = ""
    PAGE = MANUAL  # of the help, see docs/

    # What a subclass says -------------------------------------------------------------------------------------------

    def parameters(self) -> list[QgsProcessingParameterDefinition]:
        """The parameters, in the dialog's order."""
        raise NotImplementedError

    def check(self, parameters: Parameters, context: QgsProcessingContext) -> None:
        """Judge the parameters before any work. Raises SardinoError."""

    def read_layers(self, parameters: Parameters, context: QgsProcessingContext) -> None:
        """Take what is needed from layers: the one step in the main thread, so a short one. Raises SardinoError."""

    def job(self, parameters: Parameters, context: QgsProcessingContext, feedback: QgsProcessingFeedback) -> Job:
        """What the worker shall do. Raises SardinoError."""
        raise NotImplementedError

    def finish(
        self, job: Any, result: Result, context: QgsProcessingContext, feedback: QgsProcessingFeedback
    ) -> dict[str, Any]:
        """The algorithm's outputs by name."""
        raise NotImplementedError

    # What QGIS asks -------------------------------------------------------------------------------------------------

    def createInstance(self) -> QgsProcessingAlgorithm:
        return type(self)()

    def name(self) -> str:
        return self.NAME

    def displayName(self) -> str:
        return tr(self.TITLE)

    def groupId(self) -> str:
        return self.GROUP[0]

    def group(self) -> str:
        return tr(self.GROUP[1])

    def tags(self) -> list[str]:
        return ["SAR", "radar", "Sentinel-1", "DINO", *self.TAGS]

    def icon(self) -> QIcon:
        return icon()

    def svgIconPath(self) -> str:
        return icon_path()

    def shortHelpString(self) -> str:
        described = [f"<li><b>{item.description()}</b>: {item.help()}</li>" for item in self.parameterDefinitions()]
        return _QUOTED.sub(r"<i>\1</i>", f"<p>{tr(self.HELP)}</p><ul>{''.join(described)}</ul>")

    def helpUrl(self) -> str:
        return page_url(self.PAGE)

    def initAlgorithm(self, configuration: dict[str, Any] | None = None) -> None:
        for parameter in self.parameters():
            self.addParameter(parameter)

    def canExecute(self) -> tuple[bool, str]:
        problem = problem_with_python()
        return not problem, problem

    def checkParameterValues(self, parameters: Parameters, context: QgsProcessingContext) -> tuple[bool, str]:
        try:
            self.check(parameters, context)
        except SardinoError as error:
            return False, self.worded(str(error))
        suitable, message = super().checkParameterValues(parameters, context)
        return suitable, message and (refusal(self.parameterDefinitions(), parameters, context) or message)

    def prepareAlgorithm(
        self, parameters: Parameters, context: QgsProcessingContext, feedback: QgsProcessingFeedback
    ) -> bool:
        try:
            self.read_layers(parameters, context)
        except SardinoError as error:
            raise QgsProcessingException(self.worded(str(error))) from error
        self._pool = self.provider().pool  # the provider may be gone when the run begins
        return True

    def processAlgorithm(
        self, parameters: Parameters, context: QgsProcessingContext, feedback: QgsProcessingFeedback
    ) -> dict[str, Any]:
        if self._pool.closed:
            raise QgsProcessingException(tr(_SWITCHED_OFF))
        try:
            job = self.job(parameters, context, feedback)
            feedback.pushInfo(tr("The same from a command line:"))
            feedback.pushCommandInfo(shell_line(command_line(job)))
            feedback.pushCommandInfo(qgis_process_call(self.id(), parameters, self.parameterDefinitions()))
            result = self._pool.run(job, FeedbackListener(feedback, self.worded))
            return self.finish(job, result, context, feedback)
        except Cancelled as error:
            if not feedback.isCanceled():
                raise QgsProcessingException(tr(_SWITCHED_OFF)) from error
            return {}  # QGIS's own way to tell a run that was stopped
        except SardinoError as error:
            raise QgsProcessingException(self.worded(str(error))) from error

    def worded(self, text: str) -> str:
        """A message of the core as a user of this algorithm understands it."""
        return in_qgis_terms(text, [item.name() for item in self.parameterDefinitions()])

    # Parameters as the core takes them ------------------------------------------------------------------------------

    def model_name(self, parameters: Parameters, context: QgsProcessingContext, name: str = "MODEL") -> str:
        """The model as the worker takes it: `starter`, or an absolute path."""
        text = self.parameterAsString(parameters, name, context).strip()
        return text if text in ("", STARTER) else str(Path(text).expanduser().absolute())

    def layer_destination(
        self,
        parameters: Parameters,
        name: str,
        context: QgsProcessingContext,
        endings: Sequence[str] = (".tif", ".tiff"),
    ) -> str:
        """The path of a layer to write, as QGIS knows it; empty where it was not asked for.

        Asks QGIS, and does so once: a temporary output has another name each time. Raises SettingInvalid.
        """
        path = self.parameterAsOutputLayer(parameters, name, context)
        if path and Path(path).suffix.lower() not in endings:
            title = self.parameterDefinition(name).description()
            raise SettingInvalid(
                f"{title}: {path} does not end in {endings[0]}, the one format that is written.",
                f"Give it a name that ends in {endings[0]}.",
            )
        return path

    def class_map_file(self, parameters: Parameters, context: QgsProcessingContext) -> str:
        """The file of CLASSIFIED. Raises InputMissing, or SettingInvalid for a layer that is no file."""
        layer = self.parameterAsRasterLayer(parameters, "CLASSIFIED", context)
        if layer is None:
            raise InputMissing("The land-cover map cannot be opened.", "Choose a raster that is a local file.")
        return file_of(layer)

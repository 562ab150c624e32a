"""Check the environment."""

from __future__ import annotations

import html
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from qgis.core import (
    Qgis,
    QgsProcessingContext,
    QgsProcessingException,
    QgsProcessingFeedback,
    QgsProcessingOutputBoolean,
    QgsProcessingParameterDefinition,
    QgsProcessingParameterFileDestination,
)

from sar_dino_qgis.i18n import tr
from sar_dino_qgis.processing.base import Parameters, SardinoAlgorithm
from sar_dino_qgis.processing.feedback import FeedbackListener
from sar_dino_qgis.processing.parameters import helped
from sar_dino_qgis.settings import worker_python
from sar_dino_qgis.worker import environment
from sardino_core import __version__
from sardino_core.contract.errors import Cancelled, EnvironmentFailed, EnvironmentMissing
from sardino_core.contract.findings import Finding


class CheckEnvironment(SardinoAlgorithm):
    """What works in the worker's Python, and the remedy for what does not. Runs where nothing else does."""

    NAME = "checkenvironment"
    TITLE = "Check the environment"
    GROUP = ("setup", "Set-up")
    TAGS = ("python", "GPU", "CUDA", "install", "diagnosis")
    HELP = (
        "Looks at the Python that does the work: packages, devices, memory and disk, and names the remedy for what is "
        "missing. Nothing is installed or changed."
    )

    def parameters(self) -> list[QgsProcessingParameterDefinition]:
        report = QgsProcessingParameterFileDestination(
            "OUTPUT_HTML", tr("Report"), tr("HTML files (*.html)"), None, optional=True
        )
        return [helped(report, tr("The findings as a page; they are in the log, too."))]

    def initAlgorithm(self, configuration: Any = None) -> None:
        super().initAlgorithm(configuration)
        self.addOutput(QgsProcessingOutputBoolean("READY", tr("Whether everything that maps need is there")))

    def canExecute(self) -> tuple[bool, str]:
        return True, ""

    def processAlgorithm(
        self, parameters: Parameters, context: QgsProcessingContext, feedback: QgsProcessingFeedback
    ) -> dict[str, Any]:
        report = self.parameterAsFileOutput(parameters, "OUTPUT_HTML", context)
        feedback.setProgressText(tr("Asking the worker's Python; torch may take its time"))
        try:
            found = _findings(feedback)
            if report:
                Path(report).write_text(_page(found), encoding="utf-8")
        except Cancelled:
            return {}
        except OSError as error:
            reason = f"{report} cannot be written ({error.strerror}). Choose another place for the report."
            raise QgsProcessingException(reason) from error
        for finding in found:
            (feedback.pushInfo if finding.ok else feedback.pushWarning)(finding.line())
        ready = all(finding.ok for finding in found)
        return {"READY": ready, **({"OUTPUT_HTML": report} if report else {})}


def _findings(feedback: QgsProcessingFeedback) -> list[Finding]:
    ours = Finding("plugin", True, f"SAR land cover (DINO) {__version__} in QGIS {Qgis.QGIS_VERSION}")
    try:
        python = worker_python()
        return [ours, Finding("worker", True, python), *environment.check(python, FeedbackListener(feedback))]
    except (EnvironmentMissing, EnvironmentFailed) as error:
        return [ours, Finding("worker", False, error.message, error.hint)]


def _page(found: Sequence[Finding]) -> str:
    rows = "".join(
        f"<tr><td>{'✓' if item.ok else '✗'}</td><th>{html.escape(item.name)}</th><td>{html.escape(item.found)}</td>"
        f"<td>{html.escape(item.fix)}</td></tr>\n"
        for item in found
    )
    title = "SAR land cover (DINO): environment"
    style = "body{font-family:sans-serif}th{text-align:left}td,th{padding:.3em .8em;border-bottom:1px solid #ddd}"
    return (
        f'<!doctype html><html><head><meta charset="utf-8"><title>{title}</title><style>{style}</style></head>'
        f"<body><h1>{title}</h1><table><tr><th></th><th>what</th><th>found</th><th>remedy</th></tr>\n{rows}</table>"
        "</body></html>\n"
    )

"""A job's progress and log, as QGIS shows them; QGIS's Cancel, as a job hears it."""

from __future__ import annotations

import re
from collections.abc import Callable

from qgis.core import QgsProcessingFeedback
from qgis.PyQt.QtCore import QCoreApplication, QThread

from sardino_core.contract.listener import Listener

_COUNTED = re.compile(r"^(\w+) \d+ of (\d+)$")


class FeedbackListener(Listener):
    """Passes everything on to a Processing feedback."""

    def __init__(self, feedback: QgsProcessingFeedback, worded: Callable[[str], str] = str) -> None:
        """`worded` turns the core's log lines into what the user shall read."""
        self._feedback, self._worded = feedback, worded
        self._stage = ""

    def progress(self, fraction: float, message: str) -> None:
        self._feedback.setProgress(100.0 * fraction)
        stage = _COUNTED.sub(r"\2 \1s", message)  # "window 3 of 100" is one stage: QGIS keeps every text as a line
        if stage != self._stage:
            self._stage = stage
            self._feedback.setProgressText(stage)

    def log(self, level: str, message: str) -> None:
        if level == "warning":
            self._feedback.pushWarning(self._worded(message))
        else:
            self._feedback.pushInfo(self._worded(message))

    def cancelled(self) -> bool:
        application = QCoreApplication.instance()
        if application is not None and QThread.currentThread() is application.thread():
            application.processEvents()  # a batch runs in the main thread: its window, and Cancel, stay alive
        return bool(self._feedback.isCanceled())

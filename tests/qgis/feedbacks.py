"""A Processing feedback that keeps what it hears, and cancels on request."""

from __future__ import annotations

from qgis.core import QgsProcessingFeedback


class Feedback(QgsProcessingFeedback):
    """`said` holds every line; with `cancel_at`, cancels when progress passes that percentage."""

    def __init__(self, cancel_at=None):
        super().__init__(False)
        self.said = []
        self.percentages = []
        self._cancel_at = cancel_at
        self.progressChanged.connect(self._hear_progress)

    def _hear_progress(self, percentage):
        self.percentages.append(percentage)
        if self._cancel_at is not None and percentage > self._cancel_at:
            self.cancel()

    def pushInfo(self, text):
        self.said.append(text)

    def pushWarning(self, text):
        self.said.append(text)

    def pushCommandInfo(self, text):
        self.said.append(text)

    def setProgressText(self, text):
        self.said.append(text)

    def reportError(self, text, fatalError=False):
        self.said.append(text)

"""Texts that a user reads, in the user's language."""

from __future__ import annotations

from qgis.PyQt.QtCore import QCoreApplication


def tr(text: str) -> str:
    """The text, translated where there is a translation."""
    return QCoreApplication.translate("SarDino", text)

"""The plugin's pictures."""

from __future__ import annotations

from pathlib import Path

from qgis.PyQt.QtGui import QIcon


def icon(name: str = "sardino") -> QIcon:
    """The picture NAME.svg of this folder."""
    return QIcon(icon_path(name))


def icon_path(name: str = "sardino") -> str:
    """Where it lies."""
    return str(Path(__file__).parent / f"{name}.svg")

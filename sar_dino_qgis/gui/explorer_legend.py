"""The colours of the explorer's picture, with the values at their ends."""

from __future__ import annotations

from qgis.PyQt.QtGui import QColor
from qgis.PyQt.QtWidgets import QHBoxLayout, QLabel, QWidget


class Legend(QWidget):
    """Empty until something is shown."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.low, self.ramp, self.high = QLabel(self), QLabel(self), QLabel(self)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(self.low)
        row.addWidget(self.ramp, 1)
        row.addWidget(self.high)

    def show_ramp(self, ramp: tuple[tuple[float, QColor], ...]) -> None:
        """Values and their colours, upwards."""
        last = len(ramp) - 1
        stops = ", ".join(f"stop:{number / last:g} {colour.name()}" for number, (_, colour) in enumerate(ramp))
        self.ramp.setStyleSheet(f"background: qlineargradient(x1:0, y1:0, x2:1, y2:0, {stops})")
        self.low.setText(f"{ramp[0][0]:.3g}")
        self.high.setText(f"{ramp[-1][0]:.3g}")

    def clear(self) -> None:
        """Nothing is shown."""
        self.ramp.setStyleSheet("")
        self.low.clear()
        self.high.clear()

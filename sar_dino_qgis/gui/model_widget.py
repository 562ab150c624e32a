"""The list of models in algorithm dialogs: what ships, what lies in the models folder, and any other file."""

from __future__ import annotations

import html
from pathlib import Path
from typing import Any

from processing.gui.wrappers import DIALOG_MODELER, WidgetWrapper
from qgis.core import (
    QgsProcessingModelChildParameterSource,
    QgsProcessingOutputFile,
    QgsProcessingOutputString,
    QgsProcessingParameterFile,
    QgsProcessingParameterString,
)
from qgis.PyQt.QtCore import Qt
from qgis.PyQt.QtWidgets import QComboBox, QFileDialog, QHBoxLayout, QSizePolicy, QToolButton, QWidget

from sar_dino_qgis.i18n import tr
from sar_dino_qgis.settings import known_models, models_folder
from sardino_core.contract.errors import SardinoError
from sardino_core.contract.model_reader import read_spec, resolve_model


class ModelChooser(QWidget):
    """An editable list with a button that looks for a file; its tooltip is the chosen model's card."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.list = QComboBox(self)
        self.list.setEditable(True)
        self.list.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.list.setMinimumContentsLength(24)
        for number, name in enumerate(known_models()):
            self.list.addItem(Path(name).stem, name)
            self.list.setItemData(number, card(name), Qt.ItemDataRole.ToolTipRole)
        self.browse = QToolButton(self)
        self.browse.setText("…")
        self.browse.setToolTip(tr("Choose a model file"))
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.list)
        layout.addWidget(self.browse)
        self.browse.clicked.connect(self._choose)
        self.list.currentTextChanged.connect(self._describe)
        self._describe()

    def value(self) -> str | QgsProcessingModelChildParameterSource:
        """`starter`, a path, or one of what was offered."""
        text, index = self.list.currentText(), self.list.currentIndex()
        if self.list.itemText(index) != text:  # typed; else it is the chosen one of several that are called so
            index = self.list.findText(text)
        return self.list.itemData(index) if index >= 0 else text.strip()

    def set_value(self, value: str | QgsProcessingModelChildParameterSource) -> None:
        """Choose what is in the list, or any other model."""
        known = [number for number in range(self.list.count()) if self.list.itemData(number) == value]
        if known:
            self.list.setCurrentIndex(known[0])
        elif isinstance(value, str):
            self.list.setEditText(value)

    def offer(self, text: str, source: QgsProcessingModelChildParameterSource) -> None:
        """In the model designer: an input of the model, or what another of its algorithms makes."""
        self.list.addItem(text, source)

    def _choose(self) -> None:
        chosen = self.value()
        known = Path(chosen) if isinstance(chosen, str) else models_folder()
        folder = known.parent if known.is_file() else models_folder()
        path, _ = QFileDialog.getOpenFileName(self, tr("Model"), str(folder), tr("Models (*.safetensors)"))
        if path:
            self.set_value(path)

    def _describe(self) -> None:
        chosen = self.value()
        self.list.setToolTip(card(chosen) if isinstance(chosen, str) else "")


class ModelWidget(WidgetWrapper):
    """The chooser in Processing's dialogs; in the model designer also the model's own inputs, and models made in it."""

    def createWidget(self) -> QWidget:
        self._chooser = ModelChooser()
        if self.dialogType == DIALOG_MODELER:
            inputs = [QgsProcessingParameterString, QgsProcessingParameterFile]
            made = [QgsProcessingOutputString, QgsProcessingOutputFile]
            for source in self.dialog.getAvailableValuesOfType(inputs, made):
                self._chooser.offer(self.dialog.resolveValueDescription(source), source)
        self._chooser.list.currentTextChanged.connect(lambda: self.widgetValueHasChanged.emit(self))
        return self._chooser

    def setValue(self, value: Any) -> None:
        if isinstance(value, QgsProcessingModelChildParameterSource):
            self._chooser.set_value(value)
        elif value is not None:
            self._chooser.set_value(str(value))

    def value(self) -> Any:
        return self._chooser.value()


def card(name: str) -> str:
    """What a model is, in a few lines for a tooltip; or why it is none."""
    try:
        spec = read_spec(resolve_model(name))
    except SardinoError as error:
        return html.escape(error.message)
    low, high = spec.inputs.spacing_m
    lines = [
        f"<b>{html.escape(spec.name)}</b>",
        f"{', '.join(band.key for band in spec.inputs.bands)}; {low:g} to {high:g} m",
        html.escape(", ".join(item.name for item in spec.classes) or tr("pre-trained, without classes")),
        html.escape(f"{tr('Not good for')}: {spec.limits}") if spec.limits else "",
        html.escape(spec.licence),
    ]
    return "<br>".join(filter(None, lines))

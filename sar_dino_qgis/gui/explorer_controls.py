"""The explorer's form: which layer, which model, what is asked. What becomes of it is the dock's business."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

from qgis.core import QgsMapLayerProxyModel
from qgis.gui import QgsCollapsibleGroupBox, QgsMapLayerComboBox, QgsOpacityWidget
from qgis.PyQt.QtCore import pyqtSignal
from qgis.PyQt.QtWidgets import QComboBox, QFormLayout, QLineEdit, QSpinBox, QWidget

from sar_dino_qgis.gui.model_widget import ModelChooser
from sar_dino_qgis.i18n import tr
from sar_dino_qgis.processing.checks import model_of, parse_bands
from sar_dino_qgis.processing.rasters import Raster, rasters_of
from sardino_core.contract.errors import InputMissing, SardinoError
from sardino_core.contract.jobs import Units
from sardino_core.contract.model_reader import STARTER

_OPACITY = 0.7


class Controls(QWidget):
    """`asked`: another answer is wanted about the same place; `reset`: it would be one of another scene or model."""

    asked = pyqtSignal()
    reset = pyqtSignal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.layer, self.second = QgsMapLayerComboBox(self), QgsMapLayerComboBox(self)
        for box in (self.layer, self.second):
            box.setFilters(QgsMapLayerProxyModel.Filter.RasterLayer)
            # Signal to signal: a project that closes hands on a layer that is gone, which Python must not touch.
            box.layerChanged.connect(self.reset)
        self.second.setAllowEmptyLayer(True)
        self.second.setLayer(None)
        self.second.setToolTip(tr("Where VV and VH are files of their own: the other one"))
        self.model = ModelChooser(self)
        self.model.list.currentTextChanged.connect(self._take_model)
        self.mode = QComboBox(self)
        self.mode.addItem(tr("where this place attends to"), "attention")
        self.mode.addItem(tr("where the class token attends to"), "class")
        self.mode.addItem(tr("what is similar to this place"), "similarity")
        self.mode.currentIndexChanged.connect(self._take_mode)
        self.depth, self.head = QSpinBox(self), QSpinBox(self)
        self.depth.setToolTip(tr("0 is the layer next to the pixels; the last one decides"))
        self.head.setSpecialValueText(tr("all, mean"))
        for spin in (self.depth, self.head):
            spin.setKeyboardTracking(False)
            spin.valueChanged.connect(self.asked)
        self.opacity = QgsOpacityWidget(self)
        self.opacity.setOpacity(_OPACITY)
        self._lay_out()
        self._take_model()

    def rasters(self) -> list[Raster]:
        """The chosen layers as files. Raises SettingInvalid, or InputMissing."""
        layers = [layer for layer in (self.layer.currentLayer(), self.second.currentLayer()) if layer is not None]
        if not layers:
            raise InputMissing("No raster layer is chosen.", "Load a Sentinel-1 raster with VV and VH first.")
        return rasters_of(layers)

    def model_name(self) -> str:
        """`starter`, or an absolute path."""
        text = str(self.model.value()).strip()
        return text if text in ("", STARTER) else str(Path(text).expanduser().absolute())

    def head_name(self) -> str:
        """As the core takes it."""
        return str(self.head.value()) if self.head.value() else "mean"

    def bands_given(self) -> dict[str, int]:
        """Band numbers by name, empty where they are recognised. Raises SettingInvalid."""
        return parse_bands(self.bands.text())

    def _lay_out(self) -> None:
        form = QFormLayout(self)
        form.setContentsMargins(0, 0, 0, 0)
        for text, widget in (
            (tr("Layer"), self.layer),
            (tr("with"), self.second),
            (tr("Model"), self.model),
            (tr("Show"), self.mode),
            (tr("Network layer"), self.depth),
            (tr("Head"), self.head),
            (tr("Opacity"), self.opacity),
        ):
            form.addRow(text, widget)
        reading = QgsCollapsibleGroupBox(tr("How the layer is read"), self)
        self.units, self.bands = QComboBox(reading), QLineEdit(reading)
        self.units.addItems(get_args(Units))
        self.bands.setPlaceholderText(tr("recognised; else VV=1,VH=2"))
        inner = QFormLayout(reading)
        inner.addRow(tr("Units"), self.units)
        inner.addRow(tr("Bands"), self.bands)
        reading.setCollapsed(True)
        form.addRow(reading)
        self.units.currentIndexChanged.connect(self.reset)
        self.bands.editingFinished.connect(self.reset)

    def _take_model(self) -> None:
        """Offer the layers and heads that this model has."""
        try:
            backbone = model_of(self.model_name()).backbone
        except SardinoError:  # half of a path is being typed; a question tells it
            return
        for spin, most, value in ((self.depth, backbone.depth - 1, backbone.depth - 1), (self.head, backbone.heads, 0)):
            spin.blockSignals(True)
            spin.setRange(0, most)
            spin.setValue(value)
            spin.blockSignals(False)
        self.reset.emit()

    def _take_mode(self) -> None:
        """Tokens are those after the last layer, of all heads together."""
        of_attention = self.mode.currentData() != "similarity"
        self.depth.setEnabled(of_attention)
        self.head.setEnabled(of_attention)
        self.asked.emit()

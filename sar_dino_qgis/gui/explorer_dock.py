"""The explorer: a click in the map, and over it where that place attends to, or what is similar to it.

The worker answers, one question at a time; whoever asks meanwhile replaces the question that waits. What is shown is
no layer: it goes with the dock, the layer, the project or the plugin, whichever goes first.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from qgis.core import QgsPointXY, QgsProject
from qgis.gui import QgsMapCanvas, QgsMapTool, QgsMapToolEmitPoint
from qgis.PyQt.QtCore import Qt
from qgis.PyQt.QtGui import QCloseEvent
from qgis.PyQt.QtWidgets import (
    QAction,
    QDockWidget,
    QFileDialog,
    QHBoxLayout,
    QLabel,
    QProgressBar,
    QPushButton,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from sar_dino_qgis.gui.background import Background
from sar_dino_qgis.gui.explorer_answer import Picture, ask, save, styled_layer
from sar_dino_qgis.gui.explorer_controls import Controls
from sar_dino_qgis.gui.explorer_legend import Legend
from sar_dino_qgis.gui.explorer_overlay import Overlay
from sar_dino_qgis.gui.explorer_question import Questions
from sar_dino_qgis.i18n import tr
from sar_dino_qgis.icons import icon
from sar_dino_qgis.layers.post_processor import dress, layer_name
from sar_dino_qgis.processing.wording import in_qgis_terms
from sar_dino_qgis.worker.process import WorkerPool
from sardino_core.contract.errors import EnvironmentFailed, EnvironmentMissing, SardinoError
from sardino_core.contract.jobs import ExploreJob

_NOTE = (
    "Attention reaches over the window around the place (the dashed frame), and 1 is indifference; similarity reaches "
    "over what is visible."
)
_CONTROLS = ("Units", "Bands")  # what the core calls --units and --bands


class ExplorerDock(QDockWidget):
    """For one canvas; `show_environment` opens the window that makes the worker's Python."""

    def __init__(
        self,
        canvas: QgsMapCanvas,
        pool: WorkerPool,
        show_environment: Callable[[], None],
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(tr("Attention explorer"), parent)
        self.setObjectName("SarDinoExplorer")
        self._canvas, self._pool = canvas, pool
        self._place: QgsPointXY | None = None  # in the map's CRS
        self._work: Background | None = None
        self._then: Callable[[Any], None] = self._show_picture  # what becomes of the work's result
        self._asked: ExploreJob | None = None  # the question under way; None: nobody wants its answer any more
        self._next: ExploreJob | None = None
        self.picture: Picture | None = None
        self.overlay = Overlay(canvas)
        self.tool = QgsMapToolEmitPoint(canvas)
        self.tool.setParent(self)
        self.tool.canvasClicked.connect(lambda point, button: self.look_at(point))
        self._tool_before: QgsMapTool | None = None
        self._lay_out(show_environment)
        self._questions = Questions(canvas, self.controls)
        self.overlay.fade(self.controls.opacity.opacity())
        self.controls.opacity.opacityChanged.connect(self.overlay.fade)
        self.controls.asked.connect(self._ask)
        self.controls.reset.connect(self.forget)
        canvas.destinationCrsChanged.connect(self.forget)
        QgsProject.instance().cleared.connect(self.forget)

    # What is shown --------------------------------------------------------------------------------------------------

    def _lay_out(self, show_environment: Callable[[], None]) -> None:
        body = QWidget(self)
        self.controls, self.legend = Controls(body), Legend(body)
        self.click_action = QAction(icon(), tr("Click in the map"), self)
        self.click_action.setCheckable(True)
        self.click_action.triggered.connect(self.take_clicks)
        self.tool.setAction(self.click_action)
        self.click_button = QToolButton(body)
        self.click_button.setDefaultAction(self.click_action)
        self.click_button.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        self.save_button = QPushButton(tr("Save as raster…"), body)
        self.save_button.setEnabled(False)
        self.save_button.clicked.connect(self._save)
        self.status, note = QLabel(body), QLabel(tr(_NOTE), body)
        for label in (self.status, note):
            label.setWordWrap(True)
            label.setTextFormat(Qt.TextFormat.PlainText)
        self.status.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.bar, self.stop_button = QProgressBar(body), QPushButton(tr("Stop"), body)
        self.stop_button.clicked.connect(self._stop)
        self.environment_button = QPushButton(tr("Environment…"), body)
        self.environment_button.clicked.connect(show_environment)
        self.environment_button.hide()
        layout = QVBoxLayout(body)
        layout.addWidget(self.controls)
        layout.addLayout(_row(self.click_button, self.save_button))
        layout.addWidget(self.legend)
        layout.addLayout(_row(self.bar, self.stop_button))
        for widget in (self.status, self.environment_button, note):
            layout.addWidget(widget)
        layout.addStretch(1)
        self.setWidget(body)
        self._show_work(False)

    def take_clicks(self) -> None:
        """From now on clicks in the map are places to look at."""
        if self._canvas.mapTool() is not self.tool:
            self._tool_before = self._canvas.mapTool()
        self._canvas.setMapTool(self.tool)
        self._tell(tr("Click on the layer."))

    def _show_picture(self, picture: Picture) -> None:
        self.picture = picture
        self.overlay.show(picture)
        self.legend.show_ramp(picture.ramp)
        self._tell(picture.told[:1].upper() + picture.told[1:] + ".")
        self.save_button.setEnabled(True)

    def _show_work(self, busy: bool) -> None:
        self.bar.setRange(0, 0)  # moving, until a fraction is known
        self.bar.setVisible(busy)
        self.stop_button.setVisible(busy)

    def _show_progress(self, fraction: float, message: str) -> None:
        if fraction > 0:
            self.bar.setRange(0, 100)
            self.bar.setValue(round(100 * fraction))
            self.bar.setFormat(f"%p % {message}")

    def _tell(self, line: str) -> None:
        self.status.setText(line)
        self.environment_button.hide()

    def _tell_error(self, error: SardinoError) -> None:
        self._tell(in_qgis_terms(str(error), _CONTROLS))
        self.environment_button.setVisible(isinstance(error, (EnvironmentMissing, EnvironmentFailed)))

    # Questions ------------------------------------------------------------------------------------------------------

    def look_at(self, place: QgsPointXY) -> None:
        """Ask about a place, in the map's CRS."""
        self._place = QgsPointXY(place)  # a signal's own point does not outlive it
        self.overlay.mark(self._place)
        self._ask()

    def _ask(self) -> None:
        if self._place is None:
            return
        try:
            job = self._questions.about(self._place)
        except SardinoError as error:
            self._tell_error(error)
            return
        if self._work is None:
            self._answer(job)
            return
        self._next = job
        if self._asked is not None and (self._asked.scene, self._asked.run) != (job.scene, job.run):
            self._work.stop()  # else what is computed for the one serves the other

    def _answer(self, job: ExploreJob) -> None:
        crs, pool = self._canvas.mapSettings().destinationCrs(), self._pool
        self._run(job, lambda listener: ask(pool, job, crs, listener), self._show_picture)

    def _save(self) -> None:
        path, _ = QFileDialog.getSaveFileName(self, tr("Save as raster"), "", tr("GeoTIFF (*.tif)"))
        if not path or self.picture is None or self._work is not None:
            return
        path = path if path.lower().endswith((".tif", ".tiff")) else f"{path}.tif"
        job, pool = replace(self.picture.job, output=str(Path(path).absolute())), self._pool
        self._run(job, lambda listener: save(pool, job, listener), self._add_saved)

    def _add_saved(self, job: ExploreJob) -> None:
        layer = styled_layer(job.output, layer_name(tr("Explored"), job))
        dress(layer, layer.name())
        QgsProject.instance().addMapLayer(layer)
        self._tell(tr("Saved: {}").format(job.output))

    # Beside the window ----------------------------------------------------------------------------------------------

    def _run(self, job: ExploreJob, work: Callable[[Any], Any], then: Callable[[Any], None]) -> None:
        self._asked, self._then, self._work = job, then, Background(work)
        self._work.progressed.connect(self._show_progress)
        self._work.done.connect(self._take)
        self._work.failed.connect(self._fail)
        self._work.finished.connect(self._rest)
        self._show_work(True)
        self._work.start()

    def _take(self, found: Any) -> None:
        if self._asked is not None and self._next is None:
            self._then(found)

    def _fail(self, error: SardinoError) -> None:
        if self._asked is not None and self._next is None:
            self._tell_error(error)

    def _rest(self) -> None:
        self._work = self._asked = None
        self._show_work(False)
        if self._next is not None:
            job, self._next = self._next, None
            self._answer(job)
        elif self.picture is None:
            self._questions.remove_answers()

    def _stop(self) -> None:
        self._next = None
        if self._work is not None:
            self._work.stop()

    # The end --------------------------------------------------------------------------------------------------------

    def forget(self) -> None:
        """Take away what is shown; what is under way interests nobody any more."""
        self._stop()
        self._asked = self._place = self.picture = None
        self.overlay.clear()
        self.legend.clear()
        self.save_button.setEnabled(False)
        self._tell("")
        self._questions.forget()
        if self._work is None:
            self._questions.remove_answers()

    def leave(self) -> None:
        """Give the map its tool back, and forget."""
        if self._canvas.mapTool() is self.tool:
            self._canvas.unsetMapTool(self.tool)
            if self._tool_before is not None:
                with suppress(RuntimeError):  # that tool may be gone
                    self._canvas.setMapTool(self._tool_before)
        self._tool_before = None
        self.forget()

    def closeEvent(self, event: QCloseEvent) -> None:
        self.leave()
        super().closeEvent(event)


def _row(*widgets: QWidget) -> QHBoxLayout:
    """Widgets side by side, the first one as wide as it can be."""
    row = QHBoxLayout()
    for widget in widgets:
        row.addWidget(widget, widget is widgets[0])
    return row

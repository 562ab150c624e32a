"""The plugin's life in QGIS: `unload` takes back what `initGui` (or, without a window, `initProcessing`) brought."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from qgis.core import QgsApplication
from qgis.gui import QgisInterface
from qgis.PyQt.QtCore import Qt, QUrl
from qgis.PyQt.QtGui import QDesktopServices
from qgis.PyQt.QtWidgets import QAction, QDialog, QDockWidget, QFileDialog

from sar_dino_qgis.help import MANUAL, page_url
from sar_dino_qgis.i18n import tr
from sar_dino_qgis.icons import icon
from sar_dino_qgis.processing.provider import SardinoProvider
from sar_dino_qgis.settings import choose_models_folder, models_folder, worker_python
from sar_dino_qgis.worker.process import WorkerPool

MENU = "SAR land cover (DINO)"


class SarDinoPlugin:
    """Made by QGIS: `iface` is None in qgis_process and in tests without a window."""

    def __init__(self, iface: QgisInterface | None) -> None:
        """Nothing happens here: a plugin that is switched off costs nothing."""
        self.iface = iface
        self.provider: SardinoProvider | None = None
        self.pool: WorkerPool | None = None
        self.actions: list[QAction] = []
        self.dialog: QDialog | None = None
        self.explorer: QDockWidget | None = None

    def initProcessing(self) -> None:
        """Register the provider; qgis_process calls this alone."""
        self.pool = WorkerPool(worker_python)
        self.provider = SardinoProvider(self.pool)
        QgsApplication.processingRegistry().addProvider(self.provider)
        self.provider.complete_models()

    def initGui(self) -> None:
        self.initProcessing()
        if self.iface is not None:
            self._add_action(tr("Attention explorer"), self.show_explorer)
            self.iface.addToolBarIcon(self.actions[0])
            self._add_action(tr("Environment…"), self.show_environment)
            self._add_action(tr("Models folder…"), self.ask_models_folder)
            if page_url(MANUAL):
                self._add_action(tr("Help"), lambda: QDesktopServices.openUrl(QUrl(page_url(MANUAL))))

    def show_environment(self) -> None:
        """Open the window in which the worker's Python is chosen, made and checked."""
        from sar_dino_qgis.gui.environment_dialog import EnvironmentDialog  # not before it is needed

        if self.dialog is None and self.pool is not None:
            self.dialog = EnvironmentDialog(self.pool.dismiss, None if self.iface is None else self.iface.mainWindow())
        if self.dialog is not None:
            self.dialog.show()
            self.dialog.raise_()

    def show_explorer(self) -> None:
        """Open the dock in which a click in the map shows what a place attends to."""
        from sar_dino_qgis.gui.explorer_dock import ExplorerDock

        if self.explorer is None and self.pool is not None and self.iface is not None:
            window, canvas = self.iface.mainWindow(), self.iface.mapCanvas()
            self.explorer = ExplorerDock(canvas, self.pool, self.show_environment, window)
            self.iface.addDockWidget(Qt.DockWidgetArea.RightDockWidgetArea, self.explorer)
        if self.explorer is not None:
            self.explorer.show()
            self.explorer.raise_()
            self.explorer.take_clicks()

    def ask_models_folder(self) -> None:
        """Let the user choose the folder whose model files every list of models offers."""
        folder = models_folder()
        title = tr("Folder of model files (now: {})").format(folder)
        start = next(str(place) for place in (folder, *folder.parents) if place.is_dir())
        chosen = QFileDialog.getExistingDirectory(None if self.iface is None else self.iface.mainWindow(), title, start)
        if chosen:
            choose_models_folder(chosen)

    def _add_action(self, text: str, act: Callable[[], Any]) -> None:
        action = QAction(icon(), text, self.iface.mainWindow())
        action.triggered.connect(lambda checked: act())
        self.iface.addPluginToMenu(MENU, action)
        self.actions.append(action)

    def unload(self) -> None:
        """Stop the workers and take menu and provider away. Runs that are under way end as cancelled."""
        if self.dialog is not None:
            self.dialog.reject()
            self.dialog.deleteLater()
            self.dialog = None
        if self.explorer is not None:
            self.explorer.leave()
            self.iface.removeDockWidget(self.explorer)
            self.explorer.deleteLater()
            self.explorer = None
        for action in self.actions:
            self.iface.removePluginMenu(MENU, action)
            self.iface.removeToolBarIcon(action)
            action.deleteLater()
        self.actions.clear()
        if self.pool is not None:
            self.pool.close()
            self.pool = None
        if self.provider is not None:
            QgsApplication.processingRegistry().removeProvider(self.provider)
            self.provider = None

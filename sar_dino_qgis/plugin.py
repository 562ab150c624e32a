"""The plugin's life in QGIS: `unload` takes back what `initGui` (or, without a window, `initProcessing`) brought."""

from __future__ import annotations

from qgis.core import QgsApplication
from qgis.gui import QgisInterface
from qgis.PyQt.QtWidgets import QAction, QDialog

from sar_dino_qgis.i18n import tr
from sar_dino_qgis.icons import icon
from sar_dino_qgis.processing.provider import SardinoProvider
from sar_dino_qgis.settings import worker_python
from sar_dino_qgis.worker.process import WorkerPool

MENU = "SAR land cover (DINO)"


class SarDinoPlugin:
    """Made by QGIS: `iface` is None in qgis_process and in tests without a window."""

    def __init__(self, iface: QgisInterface | None) -> None:
        """Nothing happens here: a plugin that is switched off costs nothing."""
        self.iface = iface
        self.provider: SardinoProvider | None = None
        self.pool: WorkerPool | None = None
        self.action: QAction | None = None
        self.dialog: QDialog | None = None

    def initProcessing(self) -> None:
        """Register the provider; qgis_process calls this alone."""
        self.pool = WorkerPool(worker_python)
        self.provider = SardinoProvider(self.pool)
        QgsApplication.processingRegistry().addProvider(self.provider)

    def initGui(self) -> None:
        self.initProcessing()
        if self.iface is not None:
            self.action = QAction(icon(), tr("Environment…"), self.iface.mainWindow())
            self.action.triggered.connect(self.show_environment)
            self.iface.addPluginToMenu(MENU, self.action)

    def show_environment(self) -> None:
        """Open the window in which the worker's Python is chosen, made and checked."""
        from sar_dino_qgis.gui.environment_dialog import EnvironmentDialog  # not before it is needed

        if self.dialog is None and self.pool is not None:
            self.dialog = EnvironmentDialog(self.pool.dismiss, None if self.iface is None else self.iface.mainWindow())
        if self.dialog is not None:
            self.dialog.show()
            self.dialog.raise_()

    def unload(self) -> None:
        """Stop the workers and take menu and provider away. Runs that are under way end as cancelled."""
        if self.dialog is not None:
            self.dialog.reject()
            self.dialog.deleteLater()
            self.dialog = None
        if self.action is not None and self.iface is not None:
            self.iface.removePluginMenu(MENU, self.action)
            self.action.deleteLater()
            self.action = None
        if self.pool is not None:
            self.pool.close()
            self.pool = None
        if self.provider is not None:
            QgsApplication.processingRegistry().removeProvider(self.provider)
            self.provider = None

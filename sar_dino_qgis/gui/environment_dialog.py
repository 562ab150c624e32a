"""The window in which the worker's Python is chosen, made, checked, repaired and removed.

Nothing is installed without a click on what says what it will do. Everything that takes time runs beside the window.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from qgis.gui import QgsFileWidget
from qgis.PyQt.QtCore import Qt
from qgis.PyQt.QtGui import QFontDatabase, QShowEvent
from qgis.PyQt.QtWidgets import (
    QComboBox,
    QDialog,
    QFormLayout,
    QGroupBox,
    QHBoxLayout,
    QLabel,
    QMessageBox,
    QPlainTextEdit,
    QProgressBar,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from sar_dino_qgis.gui.background import Background
from sar_dino_qgis.i18n import tr
from sar_dino_qgis.network import qgis_proxy
from sar_dino_qgis.settings import (
    PYTHON_VARIABLE,
    choose_python,
    chosen_python,
    environment_folder,
    problem_with_python,
    worker_python,
)
from sar_dino_qgis.worker import environment
from sar_dino_qgis.worker.environment_maker import Plan, create, describe, repair
from sar_dino_qgis.worker.pythons import Interpreter, advice, find_pythons
from sar_dino_qgis.worker.requirements import KINDS
from sardino_core.contract.errors import Cancelled, SardinoError
from sardino_core.contract.listener import Listener

_LOG_LINES = 5000


class EnvironmentDialog(QDialog):
    """`dismiss` lets the warm worker go, and says whether no other is at work: a folder in use is not replaced."""

    def __init__(self, dismiss: Callable[[], bool], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle(tr("SAR land cover (DINO): environment"))
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose, False)
        self.resize(840, 700)
        self._dismiss = dismiss
        self._work: Background | None = None
        layout = QVBoxLayout(self)
        layout.addWidget(self._status_box())
        layout.addWidget(self._existing_box())
        layout.addWidget(self._own_box())
        layout.addWidget(self._log_box(), 1)
        self._refresh()
        self._start(lambda listener: find_pythons(), self._list_pythons, tr("Looking for Pythons …"))

    # What is shown --------------------------------------------------------------------------------------------------

    def _status_box(self) -> QGroupBox:
        box = QGroupBox(tr("In use"), self)
        self.status = QLabel(box)
        self.status.setWordWrap(True)
        self.status.setTextFormat(Qt.TextFormat.PlainText)
        self.status.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.check_button = QPushButton(tr("Check"), box)
        self.check_button.setToolTip(tr("Look at packages, devices and memory; nothing is changed"))
        self.check_button.clicked.connect(self._check)
        row = QHBoxLayout(box)
        row.addWidget(self.status, 1)
        row.addWidget(self.check_button)
        return box

    def _existing_box(self) -> QGroupBox:
        box = QGroupBox(tr("Use an existing Python, with the packages in it"), self)
        self.existing = QgsFileWidget(box)
        self.existing.setDialogTitle(tr("A Python interpreter"))
        self.existing.setFilePath(chosen_python())
        self.use_button = QPushButton(tr("Use it"), box)
        self.use_button.setToolTip(tr("Empty: the plugin's own environment"))
        self.use_button.clicked.connect(self._use_existing)
        row = QHBoxLayout(box)
        row.addWidget(self.existing, 1)
        row.addWidget(self.use_button)
        return box

    def _own_box(self) -> QGroupBox:
        box = QGroupBox(tr("The plugin's own environment"), self)
        self.kind = QComboBox(box)
        for kind in KINDS.values():
            self.kind.addItem(f"{kind.name}: {tr(kind.purpose)}", kind.name)
        self.python = QComboBox(box)
        self.wheels = QgsFileWidget(box)
        self.wheels.setStorageMode(QgsFileWidget.StorageMode.GetDirectory)
        self.wheels.setToolTip(tr("For machines without a network: a folder with the packages as wheel files"))
        self.plan = QLabel(box)
        self.plan.setWordWrap(True)
        self.plan.setTextFormat(Qt.TextFormat.PlainText)
        form = QFormLayout(box)
        form.addRow(tr("For"), self.kind)
        form.addRow(tr("Made with"), self.python)
        form.addRow(tr("Wheels (offline)"), self.wheels)
        form.addRow(self.plan)
        self.create_button = QPushButton(tr("Create …"), box)
        self.repair_button = QPushButton(tr("Repair …"), box)
        self.remove_button = QPushButton(tr("Remove …"), box)
        row = QHBoxLayout()
        for button, act in (
            (self.create_button, self._create),
            (self.repair_button, self._repair),
            (self.remove_button, self._remove),
        ):
            button.clicked.connect(act)
            row.addWidget(button)
        form.addRow(row)
        self.kind.currentIndexChanged.connect(self._describe)
        self.python.currentIndexChanged.connect(self._describe)
        self.wheels.fileChanged.connect(self._describe)
        return box

    def _log_box(self) -> QWidget:
        box = QWidget(self)
        self.log = QPlainTextEdit(box)
        self.log.setReadOnly(True)
        self.log.setMaximumBlockCount(_LOG_LINES)
        self.log.setFont(QFontDatabase.systemFont(QFontDatabase.SystemFont.FixedFont))
        self.bar = QProgressBar(box)
        self.bar.setRange(0, 100)
        self.cancel_button = QPushButton(tr("Stop"), box)
        self.cancel_button.clicked.connect(self._cancel)
        self.shut_button = QPushButton(tr("Close"), box)
        self.shut_button.clicked.connect(self.reject)
        row = QHBoxLayout()
        row.addWidget(self.bar, 1)
        row.addWidget(self.cancel_button)
        row.addWidget(self.shut_button)
        layout = QVBoxLayout(box)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.log, 1)
        layout.addLayout(row)
        return box

    def _refresh(self) -> None:
        """Show what is, and offer what can be done."""
        busy = self._work is not None
        problem, record = problem_with_python(), environment.read_record(environment_folder())
        self.status.setText(problem or f"{worker_python()}\n{_source(record)}")
        self.check_button.setEnabled(not busy and not problem)
        self.use_button.setEnabled(not busy)
        self.create_button.setEnabled(not busy and self.python.currentData() is not None)
        self.repair_button.setEnabled(not busy and record is not None)
        self.remove_button.setEnabled(not busy and record is not None)
        self.cancel_button.setEnabled(busy)
        self._describe()

    def _list_pythons(self, found: list[Interpreter]) -> None:
        self._tell("info", tr("{} found.").format(sum(item.usable for item in found)))
        self.python.clear()
        for number, item in enumerate(found):
            self.python.addItem(item.line(), item.path if item.usable else None)
            if not item.usable:
                self.python.model().item(number).setEnabled(False)
        if not any(item.usable for item in found):
            self.python.setCurrentIndex(-1)
            self._tell("warning", tr("There is no suitable Python on this machine.") + " " + advice())

    def _describe(self) -> None:
        plan = self._plan()
        self.plan.setText("" if plan is None else "\n".join(describe(plan)))

    def _plan(self) -> Plan | None:
        """What would be made by what is chosen now; None while that cannot be."""
        python = self.python.currentData()
        if python is None:
            return None
        try:
            return Plan(environment_folder(), python, self.kind.currentData(), self.wheels.filePath(), qgis_proxy())
        except SardinoError as error:
            self._tell("warning", str(error))
            return None

    # What can be done -----------------------------------------------------------------------------------------------

    def _check(self) -> None:
        python = worker_python()
        self._start(lambda listener: environment.check(python, listener), self._tell_findings, tr("Checking …"))

    def _use_existing(self) -> None:
        path = self.existing.filePath().strip()
        choose_python(path)
        self._dismiss()
        self._refresh()
        if path and not problem_with_python():
            self._check()

    def _create(self) -> None:
        plan = self._plan()
        if plan is not None and self._agreed(describe(plan), tr("Create")):
            self._replace(lambda listener: create(plan, listener), tr("Creating the environment …"))

    def _repair(self) -> None:
        folder, wheels, proxy = environment_folder(), self.wheels.filePath(), qgis_proxy()
        record = environment.read_record(folder)
        if record is None:
            return
        plan = Plan(folder, record.python, record.kind, wheels, proxy)
        if self._agreed([tr("It is made anew:"), *describe(plan)], tr("Repair")):
            self._replace(lambda listener: repair(folder, listener, wheels, proxy), tr("Repairing the environment …"))

    def _remove(self) -> None:
        folder = environment_folder()
        if self._agreed([tr("This folder is removed with all that is in it:"), str(folder)], tr("Remove")):
            self._replace(lambda listener: environment.remove(folder), tr("Removing the environment …"))

    def _agreed(self, lines: list[str], verb: str) -> bool:
        box = QMessageBox(QMessageBox.Icon.Question, self.windowTitle(), "\n\n".join(lines), parent=self)
        box.setTextFormat(Qt.TextFormat.PlainText)  # a path is no HTML, whatever it is called
        agree = box.addButton(verb, QMessageBox.ButtonRole.AcceptRole)
        box.addButton(QMessageBox.StandardButton.Cancel)
        box.exec()
        return box.clickedButton() is agree

    def _replace(self, work: Callable[[Listener], Any], text: str) -> None:
        if self._dismiss():
            self._start(work, self._tell_findings, text)
        else:
            self._tell("warning", tr("A run of an algorithm is under way: wait for its end, or cancel it."))

    # Beside the window ----------------------------------------------------------------------------------------------

    def _start(self, work: Callable[[Listener], Any], done: Callable[[Any], None], text: str) -> None:
        self._work = Background(work)
        self._work.progressed.connect(self._show_progress)
        self._work.said.connect(self._tell)
        self._work.done.connect(done)
        self._work.failed.connect(self._tell_error)
        self._work.finished.connect(self._rest)
        self._tell("info", text)
        self.bar.setRange(0, 0)  # moving, until a fraction is known
        self._refresh()
        self._work.start()

    def _rest(self) -> None:
        self._work = None
        self.bar.setRange(0, 100)
        self.bar.setValue(0)
        self.bar.setFormat("")
        self._refresh()

    def _cancel(self) -> None:
        if self._work is not None:
            self._work.stop()
            self.cancel_button.setEnabled(False)

    def _show_progress(self, fraction: float, message: str) -> None:
        self.bar.setRange(0, 100)
        self.bar.setValue(round(100 * fraction))
        self.bar.setFormat(f"%p % {message}")

    def _tell(self, level: str, line: str) -> None:
        self.log.appendPlainText(f"{tr('Warning')}: {line}" if level == "warning" else line)

    def _tell_error(self, error: SardinoError) -> None:
        self._tell("info" if isinstance(error, Cancelled) else "warning", str(error))

    def _tell_findings(self, found: Any) -> None:
        for item in found or ():
            self._tell("info", item.line())
        self._tell("info", tr("Done."))

    def showEvent(self, event: QShowEvent) -> None:
        """What is in use may have changed since the window was shown last."""
        self._refresh()
        super().showEvent(event)

    def reject(self) -> None:
        """Closing the window stops what is going on."""
        self._cancel()
        super().reject()


def _source(record: environment.Record | None) -> str:
    """Why it is this Python that is in use, and none of the others."""
    if os.environ.get(PYTHON_VARIABLE):
        return tr("named by the environment variable {}, which comes first").format(PYTHON_VARIABLE)
    if chosen_python():
        return tr("chosen below; the plugin's own environment is not used")
    if record is not None and record.outdated:
        return tr("the plugin's own environment; the plugin has come to need other packages: repair it")
    return tr("the plugin's own environment")

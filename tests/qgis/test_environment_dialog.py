"""The environment's window: what it shows, and that nothing is made without consent."""

from __future__ import annotations

import os
import time
from itertools import pairwise

import pytest
from qgis.PyQt.QtCore import Qt, QTimer
from qgis.PyQt.QtWidgets import QApplication, QMessageBox

from sar_dino_qgis.worker import environment
from tests.worker.wheels import write_wheels

LONG_MS = 120_000


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Where the plugin's own environment would be."""
    monkeypatch.setattr("sar_dino_qgis.gui.environment_dialog.environment_folder", lambda: tmp_path / "environment")
    return tmp_path / "environment"


@pytest.fixture
def dialog(plugin, folder, qtbot):
    """The window, after it has looked around."""
    from sar_dino_qgis.gui.environment_dialog import EnvironmentDialog

    dismissed, idle = [], [True]

    def dismiss():
        dismissed.append(True)
        return idle[0]

    window = EnvironmentDialog(dismiss)
    window.dismissed, window.idle = dismissed, idle
    qtbot.addWidget(window)
    window.show()
    wait_until_idle(window, qtbot)
    return window


def wait_until_idle(window, qtbot):
    qtbot.waitUntil(lambda: not window.cancel_button.isEnabled() and window.shut_button.isEnabled(), timeout=LONG_MS)
    qtbot.waitUntil(lambda: window._work is None, timeout=LONG_MS)


def answer(role):
    """Click a button of the next question, and keep its text."""
    asked = []

    def click():
        box = QApplication.activeModalWidget()
        if not isinstance(box, QMessageBox):
            QTimer.singleShot(50, click)
            return
        asked.append(box.text())
        next(button for button in box.buttons() if box.buttonRole(button) == role).click()

    QTimer.singleShot(50, click)
    return asked


def test_it_shows_what_is_in_use_and_what_could_be(dialog):
    assert dialog.status.text().splitlines()[0] == os.environ["SARDINO_PYTHON"]
    assert "SARDINO_PYTHON" in dialog.status.text().splitlines()[1]
    assert dialog.python.count() > 0 and dialog.python.currentData()
    assert dialog.create_button.isEnabled()
    assert not dialog.repair_button.isEnabled() and not dialog.remove_button.isEnabled()
    assert "300 MB" in dialog.plan.text()
    assert [dialog.kind.itemData(row) for row in range(dialog.kind.count())] == ["light", "explore", "full"]
    dialog.kind.setCurrentIndex(1)
    assert "scikit-learn" in dialog.plan.text() and "torch" not in dialog.plan.text()
    dialog.kind.setCurrentIndex(2)
    assert "torch" in dialog.plan.text() and "scikit-learn" in dialog.plan.text()


def test_checking_lists_what_works_and_never_blocks_the_window(dialog, qtbot):
    ticks = [time.monotonic()]
    timer = QTimer(dialog)
    timer.timeout.connect(lambda: ticks.append(time.monotonic()))
    timer.start(10)
    qtbot.mouseClick(dialog.check_button, Qt.MouseButton.LeftButton)
    assert dialog.cancel_button.isEnabled() and not dialog.create_button.isEnabled()
    wait_until_idle(dialog, qtbot)
    assert "GDAL: " in dialog.log.toPlainText()
    assert max(after - before for before, after in pairwise(ticks)) < 1.0  # 0.1 s on a quiet machine


def test_without_consent_nothing_is_made(dialog, folder, qtbot):
    asked = answer(QMessageBox.ButtonRole.RejectRole)
    qtbot.mouseClick(dialog.create_button, Qt.MouseButton.LeftButton)
    assert str(folder) in asked[0] and "numpy" in asked[0] and "MB" in asked[0]
    assert not folder.exists() and not dialog.dismissed


def test_create_stop_and_remove(dialog, folder, qtbot, tmp_path):
    (tmp_path / "wheels").mkdir()
    dialog.wheels.setFilePath(str(write_wheels(tmp_path / "wheels")))
    answer(QMessageBox.ButtonRole.AcceptRole)
    qtbot.mouseClick(dialog.create_button, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(folder.exists, timeout=LONG_MS)
    qtbot.mouseClick(dialog.cancel_button, Qt.MouseButton.LeftButton)
    wait_until_idle(dialog, qtbot)
    assert not folder.exists()

    answer(QMessageBox.ButtonRole.AcceptRole)
    qtbot.mouseClick(dialog.create_button, Qt.MouseButton.LeftButton)
    wait_until_idle(dialog, qtbot)
    assert "Successfully installed" in dialog.log.toPlainText()
    assert len(dialog.dismissed) == 2
    assert dialog.repair_button.isEnabled()

    answer(QMessageBox.ButtonRole.AcceptRole)
    qtbot.mouseClick(dialog.remove_button, Qt.MouseButton.LeftButton)
    wait_until_idle(dialog, qtbot)
    assert not folder.exists() and not dialog.remove_button.isEnabled()


def test_an_environment_in_which_a_run_is_under_way_is_not_touched(dialog, folder, qtbot):
    folder.mkdir()
    environment.write_record(folder, environment.Record(True, "light", "python3", (), {}))
    dialog.hide()
    dialog.show()  # looks again
    dialog.idle[0] = False
    for button in (dialog.create_button, dialog.repair_button, dialog.remove_button):
        assert button.isEnabled()
        answer(QMessageBox.ButtonRole.AcceptRole)
        qtbot.mouseClick(button, Qt.MouseButton.LeftButton)
    assert dialog.log.toPlainText().count("is under way") == 3
    assert environment.read_record(folder).ready


def test_an_existing_python_is_used_and_forgotten(dialog, qtbot, worker):
    from sar_dino_qgis.settings import chosen_python

    try:
        dialog.existing.setFilePath(worker)
        qtbot.mouseClick(dialog.use_button, Qt.MouseButton.LeftButton)
        wait_until_idle(dialog, qtbot)
        assert chosen_python() == worker
    finally:
        dialog.existing.setFilePath("")
        qtbot.mouseClick(dialog.use_button, Qt.MouseButton.LeftButton)
    assert chosen_python() == ""


def test_closing_in_the_midst_stops_and_harms_nothing(dialog, qtbot):
    qtbot.mouseClick(dialog.check_button, Qt.MouseButton.LeftButton)
    dialog.reject()
    wait_until_idle(dialog, qtbot)
    assert "Stopped" in dialog.log.toPlainText()


def test_the_plugin_opens_one_window_and_takes_it_with_it(plugin, folder, qtbot):
    plugin.show_environment()
    window = plugin.dialog
    assert window.isVisible()
    wait_until_idle(window, qtbot)
    window.reject()
    plugin.show_environment()
    assert plugin.dialog is window and window.isVisible()
    plugin.unload()
    try:
        assert plugin.dialog is None and not window.isVisible()
    finally:
        plugin.initProcessing()


@pytest.mark.parametrize(
    ("values", "url"),
    [
        ({"proxyEnabled": False, "proxyHost": "proxy"}, ""),
        ({"proxyEnabled": True, "proxyHost": "proxy", "proxyPort": "3128"}, "http://proxy:3128"),
        (
            {"proxyEnabled": True, "proxyHost": "p", "proxyUser": "me", "proxyPassword": "a@b"},
            "http://me:a%40b@p",
        ),
    ],
)
def test_qgis_proxy_is_taken_over(qapp, values, url):
    from qgis.core import QgsSettings

    from sar_dino_qgis.network import qgis_proxy

    try:
        for name, value in values.items():
            QgsSettings().setValue(f"proxy/{name}", value)
        assert qgis_proxy() == url
    finally:
        QgsSettings().remove("proxy")

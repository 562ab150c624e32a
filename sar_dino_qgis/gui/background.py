"""Long work beside the window: a function with a listener in a thread, its progress and end as Qt signals."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from qgis.PyQt.QtCore import QThread, pyqtSignal

from sardino_core.contract.errors import SardinoError
from sardino_core.contract.listener import Listener

_running: set[Background] = set()  # a QThread that is deleted while it runs takes QGIS with it


class Background(QThread):
    """Runs `work(listener)`. Exactly one of `done` and `failed` follows; both arrive in the window's own thread."""

    progressed = pyqtSignal(float, str)
    said = pyqtSignal(str, str)  # level, line
    done = pyqtSignal(object)
    failed = pyqtSignal(object)  # a SardinoError

    def __init__(self, work: Callable[[Listener], Any]) -> None:
        super().__init__()
        self._work = work
        self._stop = False
        _running.add(self)
        self.finished.connect(self._forget)

    def stop(self) -> None:
        """Let it end soon; it then fails as cancelled."""
        self._stop = True

    def run(self) -> None:
        try:
            self.done.emit(self._work(_Voice(self)))
        except SardinoError as error:
            self.failed.emit(error)
        except Exception as error:  # a defect must not end in a window that waits for ever
            self.failed.emit(SardinoError(f"Unexpected {type(error).__name__}: {error}.", "This is a defect."))

    def _forget(self) -> None:
        """In the window's thread: a thread must not delete itself."""
        _running.discard(self)

    def stopping(self) -> bool:
        """Whether it was asked to end."""
        return self._stop


class _Voice(Listener):
    def __init__(self, thread: Background) -> None:
        self._thread = thread

    def progress(self, fraction: float, message: str) -> None:
        self._thread.progressed.emit(fraction, message)

    def log(self, level: str, message: str) -> None:
        self._thread.said.emit(level, message)

    def cancelled(self) -> bool:
        return self._thread.stopping()

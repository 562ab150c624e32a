"""The plugin's latencies in a real QGIS without a window, as JSON: run by `make bench` with QGIS's own Python.

usage: bench_plugin.py SCENE_SMALL SCENE_LARGE, with the worker's Python in SARDINO_PYTHON.
"""

from __future__ import annotations

import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

os.environ["QT_QPA_PLATFORM"] = "offscreen"
os.environ["QGIS_CUSTOM_CONFIG_PATH"] = tempfile.mkdtemp(prefix="sardino-bench-")
os.environ.setdefault("XDG_RUNTIME_DIR", os.environ["QGIS_CUSTOM_CONFIG_PATH"])
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
sys.path.append("/usr/share/qgis/python/plugins")

from qgis.core import (
    QgsApplication,
    QgsProcessingAlgRunnerTask,
    QgsProcessingContext,
    QgsProcessingFeedback,
)
from qgis.PyQt.QtCore import QTimer

_REPEATS = 5
_TICK_MS = 5


class Pulse:
    """A timer in the main thread: the longest gap between its ticks is how long the window did not answer."""

    def __init__(self) -> None:
        self.longest_s, self._last = 0.0, time.perf_counter()
        self._timer = QTimer()
        self._timer.setInterval(_TICK_MS)
        self._timer.timeout.connect(self._tick)
        self._timer.start()

    def _tick(self) -> None:
        now = time.perf_counter()
        self.longest_s, self._last = max(self.longest_s, now - self._last), now


class Run:
    """An algorithm under way in a task, as the Toolbox runs it."""

    def __init__(self, **parameters: object) -> None:
        self.context, self.feedback, self.ended = QgsProcessingContext(), QgsProcessingFeedback(False), False
        algorithm = QgsApplication.processingRegistry().createAlgorithmById("sardino:segment")
        self._task = QgsProcessingAlgRunnerTask(algorithm, parameters, self.context, self.feedback)
        self._task.executed.connect(self._end)
        QgsApplication.taskManager().addTask(self._task)

    def _end(self, successful: bool, results: object) -> None:
        self.ended, self.successful = True, successful

    def until(self, condition: Callable[[], bool]) -> float:
        """Let QGIS go on until the condition holds; how long that took, in seconds."""
        started = time.perf_counter()
        while not condition():
            QgsApplication.processEvents()
            time.sleep(0.001)
        return time.perf_counter() - started

    def until_ended(self) -> float:
        """Seconds until it has ended."""
        return self.until(lambda: self.ended)


def main() -> None:
    """Measure, and print."""
    small, large = sys.argv[1:]
    application = QgsApplication([], True)
    application.initQgis()
    started = time.perf_counter()
    import sar_dino_qgis

    plugin = sar_dino_qgis.classFactory(None)
    plugin.initProcessing()
    load_s = time.perf_counter() - started
    pulse = Pulse()
    with tempfile.TemporaryDirectory() as folder:
        output = f"{folder}/map.tif"
        cold_s = Run(INPUT=[small], OUTPUT=output).until_ended()
        warm_s = [Run(INPUT=[small], OUTPUT=output).until_ended() for _ in range(_REPEATS)]
        cancel_s = [cancelled(large, output) for _ in range(_REPEATS)]
    plugin.unload()
    found = {
        "load": load_s,
        "cold": cold_s,
        "warm": statistics.median(warm_s),
        "cancel": statistics.median(cancel_s),
        "cancel_longest": max(cancel_s),
        "blocked": pulse.longest_s,
    }
    print(json.dumps(found))
    application.exitQgis()


def cancelled(scene: str, output: str) -> float:
    """Seconds from Cancel, in the midst of a run, to its end."""
    run = Run(INPUT=[scene], OUTPUT=output)
    run.until(lambda: run.feedback.progress() > 1)
    run.feedback.cancel()
    return run.until_ended()


if __name__ == "__main__":
    main()

"""What goes wrong while a run is under way: it ends in one line or silently, leaves nothing, and the next run works."""

from __future__ import annotations

import gc
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest
from osgeo import gdal
from qgis.core import (
    QgsApplication,
    QgsProcessingAlgRunnerTask,
    QgsProcessingContext,
    QgsProject,
    QgsRasterLayer,
)

from sardino_core.contract.model_reader import resolve_model
from tests.qgis.feedbacks import Feedback


@pytest.fixture
def large(scene, tmp_path):
    """A scene that takes minutes: the small one, magnified."""
    path = str(tmp_path / "large.vrt")
    box = QgsRasterLayer(scene).extent()
    bounds = [box.xMinimum(), box.yMaximum(), box.xMinimum() + 40960, box.yMaximum() - 40960]
    gdal.Translate(path, scene, format="VRT", width=4096, height=4096, outputBounds=bounds)
    return path


class Run:
    """An algorithm under way in a task, as the Toolbox runs it."""

    def __init__(self, begin=True, **parameters):
        self.context, self.feedback, self.ended = QgsProcessingContext(), Feedback(), []
        self.context.setProject(QgsProject.instance())
        algorithm = QgsApplication.processingRegistry().createAlgorithmById("sardino:segment")
        self._task = QgsProcessingAlgRunnerTask(algorithm, parameters, self.context, self.feedback)
        self._task.executed.connect(lambda successful, results: self.ended.append((successful, results)))
        if begin:
            self.begin()

    def begin(self):
        QgsApplication.taskManager().addTask(self._task)

    def until(self, condition, seconds=40):
        end = time.monotonic() + seconds
        while not condition() and time.monotonic() < end:
            QgsApplication.processEvents()
            time.sleep(0.01)
        assert condition()

    def until_predicting(self):
        self.until(lambda: any(text.endswith("windows") for text in self.feedback.said))

    def until_ended(self):
        self.until(lambda: bool(self.ended))
        return self.ended[0]


def workers():
    """Process ids of this process's children."""
    threads = Path(f"/proc/{os.getpid()}/task").iterdir()
    return {int(pid) for thread in threads for pid in (thread / "children").read_text().split()}


def nothing_but(folder, *names):
    """Whether a folder holds these files alone."""
    return {path.name for path in folder.iterdir()} == set(names)


@pytest.fixture
def output(tmp_path):
    """A map to be, in a folder of its own."""
    (tmp_path / "maps").mkdir()
    return tmp_path / "maps" / "a.tif"


def test_a_killed_worker_is_an_error_and_the_next_run_starts_a_new_one(plugin, large, scene, output, run):
    started = Run(INPUT=[large], OUTPUT=str(output))
    started.until_predicting()
    for pid in workers():
        os.kill(pid, signal.SIGKILL)
    successful, _ = started.until_ended()
    assert not successful
    assert any("memory" in line for line in started.feedback.said)
    assert nothing_but(output.parent)
    run("segment", INPUT=[scene], OUTPUT=str(output))
    assert output.exists()


def test_the_plugin_unloaded_and_loaded_again_mid_run(plugin, large, scene, output):
    started = Run(INPUT=[large], OUTPUT=str(output))
    started.until_predicting()
    plugin.unload()
    successful, _ = started.until_ended()
    assert not successful and "switched off" in started.feedback.said[-1]
    plugin.initProcessing()
    assert nothing_but(output.parent)
    again = Run(INPUT=[scene], OUTPUT=str(output))
    assert again.until_ended()[0] and output.exists()


def test_the_plugin_unloaded_before_a_run_begins(plugin, scene, output):
    """A task may wait for others, while its algorithm is prepared already."""
    started = Run(INPUT=[scene], OUTPUT=str(output), begin=False)
    plugin.unload()
    gc.collect()
    started.begin()
    successful, _ = started.until_ended()
    plugin.initProcessing()
    assert not successful and "switched off" in started.feedback.said[-1]
    assert nothing_but(output.parent)


def test_the_project_closed_mid_run(plugin, large, output):
    layer = QgsRasterLayer(large, "large")
    QgsProject.instance().addMapLayer(layer)
    started = Run(INPUT=[layer.id()], OUTPUT=str(output), EXTENT=layer.extent().scaled(0.1))
    started.until_predicting()
    QgsProject.instance().clear()
    assert started.until_ended()[0] and output.exists()


def test_the_model_deleted_mid_run(plugin, large, output, tmp_path):
    for suffix in (".safetensors", ".onnx"):
        shutil.copy(resolve_model("starter").with_suffix(suffix), tmp_path / f"mine{suffix}")
    started = Run(INPUT=[large], MODEL=str(tmp_path / "mine.safetensors"), OUTPUT=str(output))
    started.until_predicting()
    for suffix in (".safetensors", ".onnx"):
        (tmp_path / f"mine{suffix}").unlink()
    started.feedback.cancel()
    started.until_ended()
    assert nothing_but(output.parent)


@pytest.fixture
def small_disk(tmp_path):
    """A disk of 600 kB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=600k", "tmpfs", str(disk)], capture_output=True).returncode:
        pytest.skip("no disk can be mounted here")
    yield disk
    subprocess.run(["umount", "-l", str(disk)], check=True)


def test_a_full_disk_is_told_and_nothing_stays(plugin, large, scene, small_disk, run):
    started = Run(INPUT=[large], OUTPUT=str(small_disk / "map.tif"), PROBABILITIES=str(small_disk / "p.tif"))
    successful, _ = started.until_ended()
    assert not successful
    assert any("Free disk space" in line for line in started.feedback.said)
    assert nothing_but(small_disk)
    run("segment", INPUT=[scene], OUTPUT=str(small_disk / "map.tif"))
    assert (small_disk / "map.tif").exists()


def test_cancel_takes_effect_at_once_and_leaves_nothing(plugin, large, output):
    started = Run(INPUT=[large], OUTPUT=str(output))
    started.until_predicting()
    before = time.monotonic()
    started.feedback.cancel()
    started.until_ended()
    assert time.monotonic() - before < 5  # two seconds, on a machine that has nothing else to do
    assert nothing_but(output.parent)

"""One QGIS without a window, with a profile of its own; a simulated scene; the worker's Python from SARDINO_PYTHON."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PROCESSING = "/usr/share/qgis/python/plugins"

if importlib.util.find_spec("qgis") is None:  # another Python collects the suite
    collect_ignore_glob = ["test_*.py"]
else:
    _profile = tempfile.mkdtemp(prefix="sardino-qgis-")
    os.environ["QT_QPA_PLATFORM"] = "offscreen"
    os.environ["QGIS_CUSTOM_CONFIG_PATH"] = _profile
    os.environ.setdefault("XDG_RUNTIME_DIR", _profile)
    os.environ.setdefault("SARDINO_PYTHON", str(ROOT / ".venv" / "bin" / "python"))
    sys.path.append(PROCESSING)


@pytest.fixture(scope="session")
def worker() -> str:
    """The Python that does the work."""
    python = os.environ["SARDINO_PYTHON"]
    if not Path(python).exists():
        pytest.skip(f"the worker's Python {python} is not there; name one with SARDINO_PYTHON")
    return python


@pytest.fixture(scope="session")
def qapp(worker):
    """QGIS, with Processing; pytest-qt takes it for its own application."""
    from qgis.core import QgsApplication

    application = QgsApplication([], True)
    application.initQgis()
    from processing.core.Processing import Processing

    Processing.initialize()
    return application


@pytest.fixture(scope="session")
def plugin(qapp):
    """The plugin, loaded as QGIS loads it, until the session's end."""
    import sar_dino_qgis

    loaded = sar_dino_qgis.classFactory(None)
    loaded.initProcessing()
    yield loaded
    loaded.unload()


@pytest.fixture(scope="session")
def place(worker, tmp_path_factory) -> Path:
    """A folder with scene.tif (VV and VH in dB, a field and a town beside water) and labels.tif."""
    folder = tmp_path_factory.mktemp("place")
    command = [worker, "-m", "sardino_core", "simulate", "--output", str(folder), "--size", "192", "--seed", "7"]
    subprocess.run(command, check=True, cwd=ROOT, capture_output=True)
    return folder


@pytest.fixture(scope="session")
def scene(place) -> str:
    """Path of the scene."""
    return str(place / "scene.tif")


@pytest.fixture(scope="session")
def has_torch(worker):
    """Training needs torch in the worker's Python."""
    if subprocess.run([worker, "-c", "import torch, timm"], capture_output=True).returncode:
        pytest.skip("the worker's Python has no torch")


@pytest.fixture
def feedback():
    """Keeps what an algorithm says."""
    from tests.qgis.feedbacks import Feedback

    return Feedback()


@pytest.fixture
def run(plugin, feedback):
    """Run an algorithm of the provider, as a script does."""
    import processing

    def run_algorithm(name, **parameters):
        return processing.run(f"sardino:{name}", parameters, feedback=feedback)

    return run_algorithm

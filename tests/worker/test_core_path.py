"""Installed from the zip, the plugin and its worker use the core in the plugin's own folder, whatever its path."""

import shutil
import subprocess
import sys
import textwrap

from tests.worker.conftest import ROOT


def test_an_installed_plugin_uses_its_own_core(tmp_path):
    plugins = tmp_path / "Ä profile with spaces" / "plugins"
    unneeded = shutil.ignore_patterns("__pycache__", "starter", "analysis", "training")
    shutil.copytree(ROOT / "sar_dino_qgis" / "worker", plugins / "sar_dino_qgis" / "worker", ignore=unneeded)
    shutil.copytree(ROOT / "sardino_core", plugins / "sar_dino_qgis" / "sardino_core", ignore=unneeded)
    script = """
        import sys; sys.path[:] = [path for path in sys.path if "site-packages" not in path] + [sys.argv[1]]
        from sar_dino_qgis.worker.process import WorkerPool
        import sardino_core
        from sardino_core.contract.jobs import SimulateJob
        from sardino_core.contract.listener import Listener
        print(sardino_core.__file__)
        WorkerPool(lambda: sys.executable).run(SimulateJob(sys.argv[2], 16), Listener())
        print("processing" in sys.modules, [path for path in sys.path if "sar_dino_qgis" in path])
    """
    command = [sys.executable, "-X", "utf8", "-c", textwrap.dedent(script), str(plugins), str(tmp_path / "place")]
    # A core that stands beside it, as the repository's does for this test, must not be taken.
    said = subprocess.run(command, capture_output=True, text=True, encoding="utf-8", cwd=tmp_path, check=True).stdout
    assert said.splitlines() == [
        str(plugins / "sar_dino_qgis" / "sardino_core" / "__init__.py"),
        "False []",  # QGIS's own `processing` is not hidden by the plugin's
    ]
    assert (tmp_path / "place" / "scene.tif").exists()

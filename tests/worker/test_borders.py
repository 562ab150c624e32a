"""The plugin's worker package stands on plain Python 3.9: no QGIS, nothing heavy, nothing newer."""

import ast
import subprocess
import sys
import textwrap

import pytest

from sar_dino_qgis.worker.pythons import OLDEST, find_pythons
from tests.worker.conftest import ROOT

MODULES = sorted((ROOT / "sar_dino_qgis" / "worker").glob("*.py"))


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.name)
def test_it_keeps_to_python_3_9(path):
    tree = ast.parse(path.read_text(encoding="utf-8"), feature_version=(3, 9))
    assert any(isinstance(node, ast.ImportFrom) and node.module == "__future__" for node in tree.body) or not any(
        isinstance(node, (ast.FunctionDef, ast.ClassDef)) for node in tree.body
    ), "without it annotations such as `str | None` fail there"


def test_it_imports_the_contract_alone():
    script = (
        "import sys; sys.path.insert(0, sys.argv[1]);"
        "import sar_dino_qgis.worker.process, sar_dino_qgis.worker.environment_maker, sar_dino_qgis.worker.pythons;"
        "print(*(name for name in sys.modules if name.partition('.')[0] in"
        " {'qgis', 'PyQt5', 'PyQt6', 'numpy', 'torch', 'rasterio', 'sardino_core'}))"
    )
    command = [sys.executable, "-I", "-c", script, str(ROOT)]
    loaded = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    assert loaded and all(name == "sardino_core" or name.startswith("sardino_core.contract") for name in loaded)


def test_it_works_on_an_older_python_than_the_core():
    """QGIS 3.22 has Python 3.9 on Windows; the worker's Python is another one, and says so when it is not."""
    older = [found.path for found in find_pythons() if (3, 9) <= found.version < OLDEST]
    if not older:
        pytest.skip("there is no Python 3.9 or 3.10 here")
    script = f"""
        import sys; sys.path.insert(0, {str(ROOT)!r})
        from sar_dino_qgis.worker import environment, environment_maker, process
        from sardino_core.contract import errors, jobs, listener
        job = jobs.SegmentJob(jobs.SceneOptions(("nothing.tif",)), jobs.RunOptions("starter"), {str(ROOT / "a.tif")!r})
        for python in ({sys.executable!r}, sys.executable):
            pool = process.WorkerPool(lambda: python)
            try:
                pool.run(job, listener.Listener())
            except errors.SardinoError as error:
                print(type(error).__name__, error)
            pool.close()
    """
    command = [older[-1], "-I", "-c", textwrap.dedent(script)]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    assert said[0].startswith("InputMissing")
    assert said[1].startswith("EnvironmentFailed") and "3.11 or newer is needed" in said[1]

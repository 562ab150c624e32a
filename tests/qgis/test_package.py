"""The zip, as a new user has it: unpacked into an empty profile, run by qgis_process without the repository."""

from __future__ import annotations

import configparser
import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.qgis.calls import OUTPUTS, inputs, outputs
from tests.qgis.conftest import ROOT
from tests.qgis.test_maps import values

QGIS_PROCESS = shutil.which("qgis_process.bin") or shutil.which("qgis_process")


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    """The zip."""
    folder = tmp_path_factory.mktemp("dist")
    subprocess.run(
        [sys.executable, str(ROOT / "scripts" / "plugin" / "package_plugin.py"), "--output", str(folder)],
        check=True, capture_output=True,
    )  # fmt: skip
    (path,) = folder.iterdir()
    return path


@pytest.fixture(scope="module")
def qgis_process(archive, worker, tmp_path_factory):
    """Call qgis_process in a profile that holds this plugin and nothing else; returns what it says."""
    home = tmp_path_factory.mktemp("home")
    zipfile.ZipFile(archive).extractall(home / "plugins")
    environment = {
        **{key: value for key, value in os.environ.items() if not key.startswith(("PYTHON", "QGIS"))},
        "QT_QPA_PLATFORM": "offscreen",
        "QGIS_CUSTOM_CONFIG_PATH": str(home / "profile"),
        "QGIS_PLUGINPATH": str(home / "plugins"),
        "XDG_RUNTIME_DIR": str(home),
        "SARDINO_PYTHON": worker,
    }

    def call(*arguments):
        found = subprocess.run(
            [QGIS_PROCESS, *arguments], capture_output=True, text=True, env=environment, cwd=home, timeout=120
        )
        assert found.returncode == 0, found.stdout + found.stderr
        return found.stdout

    call("plugins", "enable", "sar_dino_qgis")
    return call


def test_the_zip_is_one_folder_with_all_that_is_needed(archive):
    names = zipfile.ZipFile(archive).namelist()
    assert {name.partition("/")[0] for name in names} == {"sar_dino_qgis"}
    inside = {name.partition("/")[2] for name in names}
    assert {"metadata.txt", "LICENSE", "__init__.py", "icons/sardino.svg", "sardino_core/worker.py"} <= inside
    assert "sardino_core/starter/starter.safetensors" in inside
    assert not [name for name in inside if "__pycache__" in name or "test" in name.rpartition("/")[2]]
    assert archive.stat().st_size < 20e6


def test_its_help_pages_are_whole(archive):
    files = zipfile.ZipFile(archive)
    pages = [name for name in files.namelist() if name.startswith("sar_dino_qgis/help/") and name.endswith(".html")]
    assert {Path(name).stem for name in pages} >= {"plugin", "preparing", "accuracy", "training"}
    for page in pages:
        text = files.read(page).decode("utf-8")
        for target in re.findall(r'(?:href|src)="(?!https?:)([^"#]+)"', text):
            assert f"sar_dino_qgis/help/{target}" in files.namelist(), f"{page} leads to {target}"
    assert b"<graph id=" in files.read("sar_dino_qgis/help/preparing.html").replace(b"&lt;", b"<")
    assert b"COPERNICUS/S1_GRD" in files.read("sar_dino_qgis/help/preparing.html")


def test_the_core_is_unchanged(archive):
    files = zipfile.ZipFile(archive)
    for path in (ROOT / "sardino_core").rglob("*.py"):
        name = f"sar_dino_qgis/sardino_core/{path.relative_to(ROOT / 'sardino_core').as_posix()}"
        assert files.read(name) == path.read_bytes()


def test_the_metadata_are_what_qgis_asks_for(archive):
    from sardino_core import __version__

    metadata = configparser.ConfigParser()
    metadata.read_string(zipfile.ZipFile(archive).read("sar_dino_qgis/metadata.txt").decode("utf-8"))
    general = metadata["general"]
    assert general["version"] == __version__ and archive.name == f"sar_dino_qgis-{__version__}.zip"
    assert (general["qgisMinimumVersion"], general["hasProcessingProvider"]) == ("3.22", "yes")
    assert all(general[key] for key in ("name", "description", "about", "author", "icon", "tags"))


def test_it_runs_from_the_zip(qgis_process, scene, tmp_path):
    output = tmp_path / "map.tif"
    said = json.loads(qgis_process("--json", "run", "sardino:segment", "--", f"INPUT={scene}", f"OUTPUT={output}"))
    assert said["results"] == {"OUTPUT": str(output)}
    assert output.stat().st_size > 0 and output.with_suffix(".qml").exists()


@pytest.mark.parametrize("name", sorted(OUTPUTS))
def test_every_algorithm_runs_from_the_zip(qgis_process, has_torch, place, tmp_path, name):
    given = inputs(name, str(place / "scene.tif"), str(place / "labels.tif"))
    wanted = outputs(name, tmp_path)
    words = [f"{key}={word}" for key, value in (given | wanted).items() for word in _words(value)]
    said = json.loads(qgis_process("--json", "run", f"sardino:{name}", "--", *words))
    assert {key: said["results"][key] for key in wanted} == wanted
    assert all(Path(path).stat().st_size > 0 for path in wanted.values())


def _words(value):
    """Each of several files; a table is one text."""
    if isinstance(value, list) and not all(str(item).endswith(".tif") for item in value):
        return [",".join(map(str, value))]
    return value if isinstance(value, list) else [value]


def test_a_relative_output_lies_where_it_was_asked_for(qgis_process, scene, tmp_path, monkeypatch):
    said = json.loads(
        qgis_process("--json", "run", "sardino:attention", "--", f"INPUT={scene}", "HEADS=mean", "OUTPUT=attention.tif")
    )
    assert said["results"] == {"OUTPUT": "attention.tif"}


def test_a_table_is_one_text(qgis_process, scene, place, tmp_path):
    labels, output = place / "labels.tif", tmp_path / "merged.tif"
    before = sorted(set(values(labels)) - {0})
    first, second = int(before[0]), int(before[1])
    table = f"{first},1,dry land,#1b7837,{second},1,,"
    call = ("--json", "run", "sardino:mergeclasses", "--", f"CLASSIFIED={labels}", f"CLASSES={table}")
    assert json.loads(qgis_process(*call, f"OUTPUT={output}"))["results"] == {"OUTPUT": str(output)}
    assert set(values(output)) - {0} == {1, *before[2:]}
    assert 'label="dry land"' in output.with_suffix(".qml").read_text(encoding="utf-8")


def test_it_tells_its_parameters(qgis_process):
    told = json.loads(qgis_process("--json", "help", "sardino:segment"))
    assert {"INPUT", "MODEL", "EXTENT", "CUTLINE", "MASK", "OVERLAP", "OUTPUT"} <= set(told["parameters"])

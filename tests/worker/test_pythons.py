"""Finding Pythons: on a PATH made for the test, with real and false ones on it."""

import json
import os
import shlex
import sys
from pathlib import Path

import pytest

from sar_dino_qgis.worker import python_places
from sar_dino_qgis.worker.pythons import Interpreter, advice, find_pythons, try_all, try_python

pytestmark = pytest.mark.skipif(os.name == "nt", reason="the tests' interpreters are shell scripts")


@pytest.fixture
def pretend(tmp_path):
    """An interpreter that claims something about itself."""

    def make(name, answer):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"#!/bin/sh\necho {shlex.quote(answer)}\n")
        path.chmod(0o755)
        return path

    return make


def claim(path, version, bits=64, implementation="CPython", venv=True):
    return json.dumps({"path": path, "version": version, "bits": bits, "implementation": implementation, "venv": venv})


def test_this_python_is_tried_out():
    found = try_python(sys.executable)
    assert found.usable
    assert found.version == sys.version_info[:3]
    assert os.path.realpath(found.path) == os.path.realpath(sys._base_executable)


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        (claim("p", [3, 9, 5]), "too old; 3.11 or newer"),
        (claim("p", [3, 12, 0], bits=32), "32 bit"),
        (claim("p", [3, 12, 0], implementation="PyPy"), "PyPy"),
        (claim("p", [3, 12, 0], venv=False), "lacks venv"),
    ],
)
def test_what_will_not_do_is_listed_with_the_reason(pretend, answer, problem):
    found = try_python(str(pretend("python", answer)))
    assert not found.usable
    assert problem in found.problem and problem in found.line()


@pytest.mark.parametrize("answer", ["Welcome!", "{}", "[]", ""])
def test_what_is_no_python_is_not_listed(pretend, answer):
    assert try_python(str(pretend("python", answer))) is None


def test_what_does_not_answer_is_given_up(tmp_path, monkeypatch):
    monkeypatch.setattr("sar_dino_qgis.worker.pythons._TIMEOUT_S", 0.3)
    (tmp_path / "python").write_text("#!/bin/sh\nsleep 600\n")
    (tmp_path / "python").chmod(0o755)
    assert try_python(str(tmp_path / "python")) is None
    assert try_python(str(tmp_path / "none")) is None


def test_the_most_suitable_comes_first(pretend):
    versions = {"a": [3, 9, 1], "b": [3, 11, 4], "c": [3, 99, 0], "d": [3, 13, 2], "e": [3, 12, 9]}
    paths = [str(pretend(name, claim(f"/there/{name}", version))) for name, version in versions.items()]
    assert [Path(found.path).name for found in try_all(paths)] == ["d", "e", "b", "c", "a"]


def test_each_installation_is_listed_once(pretend, tmp_path):
    same = claim("/there/python3.12", [3, 12, 0])
    paths = [pretend("a/python3", same), pretend("b/python3", same)]
    assert try_all([*map(str, paths), str(paths[0])]) == [Interpreter("/there/python3.12", (3, 12, 0))]


def test_what_is_on_the_path_or_in_conda_is_found(pretend, tmp_path, monkeypatch):
    home = tmp_path / "home"
    pretend("bin/python3.12", claim("/path/python", [3, 12, 1]))
    pretend("home/miniforge3/bin/python3", claim("/base/python", [3, 12, 2]))
    pretend("home/miniforge3/envs/radar/bin/python3", claim("/radar/python", [3, 12, 3]))
    elsewhere = pretend("elsewhere/bin/python3", claim("/elsewhere/python", [3, 12, 4]))
    (home / ".conda").mkdir()
    (home / ".conda" / "environments.txt").write_text(f"{elsewhere.parent.parent}\n")
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    found = [item.path for item in find_pythons()]
    assert {"/path/python", "/base/python", "/radar/python", "/elsewhere/python"} <= set(found)


def test_the_running_program_is_never_a_candidate(monkeypatch, tmp_path):
    """Inside QGIS it is QGIS."""
    monkeypatch.setattr(sys, "executable", str(tmp_path / "qgis"))
    assert sys.executable not in set(python_places.candidates())


def test_windows_launcher_is_read(monkeypatch):
    listing = " -V:3.12 *        C:\\Users\\A B\\Python312\\python.exe\r\n -V:3.9          D:\\py\\python.exe\r\n"
    monkeypatch.setattr(python_places, "ask", lambda command, timeout_s: listing)
    assert list(python_places._known_to_windows()) == ["C:\\Users\\A B\\Python312\\python.exe", "D:\\py\\python.exe"]


def test_without_a_python_there_is_advice(monkeypatch):
    for platform, words in (("win32", "python.org"), ("darwin", "brew"), ("linux", "python3-venv")):
        monkeypatch.setattr("sar_dino_qgis.worker.pythons.sys.platform", platform)
        assert words in advice()

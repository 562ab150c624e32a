"""The worker's environment: made from a folder of wheels (small ones under the real names), tried out, removed."""

import os
import sys
import tomllib
import tracemalloc
from pathlib import Path

import pytest

from sar_dino_qgis.worker import environment as env
from sar_dino_qgis.worker.environment_maker import Plan, create, describe, repair
from sar_dino_qgis.worker.requirements import EXPLORE, KINDS, LIGHT, TRAINING
from sardino_core.contract.errors import Cancelled, EnvironmentFailed, EnvironmentMissing, SettingInvalid
from sardino_core.contract.leftovers import try_lock
from tests.worker.conftest import ROOT, Recorder, gone
from tests.worker.wheels import CONTENTS, write_wheel, write_wheels


@pytest.fixture(scope="module")
def wheels(tmp_path_factory):
    return write_wheels(tmp_path_factory.mktemp("wheels"))


@pytest.fixture(scope="module")
def made(wheels, tmp_path_factory):
    """An environment, made where an earlier attempt had been broken off; and what was heard meanwhile."""
    folder, listener = tmp_path_factory.mktemp("profile") / "sardino" / "environment", Recorder()
    folder.mkdir(parents=True)
    env.write_record(folder, env.Record(False, "light", sys.executable, LIGHT, {}))
    (folder / "half").write_text("an earlier attempt")
    assert not env.is_ready(folder)
    found = repair(folder, listener, str(wheels))
    return folder, listener, found


def test_what_was_made_is_ready_and_runs(made):
    folder, listener, found = made
    assert env.is_ready(folder) and not (folder / "half").exists()
    assert env.worker_python("", "", folder) == str(env.python_of(folder))
    record = env.read_record(folder)
    assert not record.outdated
    assert record.found["numpy"] == "99.0" and record.found["GDAL"] == "99.9"
    assert {item.name for item in found} >= set(KINDS["light"].needed)
    assert any("Successfully installed" in line for line in listener.logs)
    fractions = [fraction for fraction, _ in listener.progresses]
    assert fractions == sorted(fractions) and fractions[-1] == 1.0


def test_nothing_lies_outside_its_folder(made):
    folder = made[0]
    assert {path.name for path in folder.parent.iterdir()} == {"environment", ".environment.lock"}
    assert not list(folder.rglob("sardino_core"))  # the worker takes the plugin's own


def test_an_environment_of_older_requirements_is_outdated(made):
    record = env.read_record(made[0])
    older = env.Record(True, record.kind, record.python, record.requirements[1:], {})
    assert older.outdated


def test_a_package_that_is_missing_is_named_and_no_folder_stays(wheels, tmp_path):
    (tmp_path / "few").mkdir()
    for wheel in wheels.glob("*.whl"):
        if not wheel.name.startswith("onnxruntime"):
            (tmp_path / "few" / wheel.name).write_bytes(wheel.read_bytes())
    with pytest.raises(EnvironmentFailed, match=r"onnxruntime.*folder of wheels"):
        create(Plan(tmp_path / "environment", sys.executable, wheels=str(tmp_path / "few")), Recorder())
    assert not (tmp_path / "environment").exists()


def test_an_environment_that_does_not_work_is_not_kept(wheels, tmp_path):
    for name, source in CONTENTS.items():
        write_wheel(tmp_path, name, "raise ImportError('DLL load failed')" if name == "rasterio" else source)
    with pytest.raises(EnvironmentFailed, match=r"does not work: GDAL: .*DLL load failed"):
        create(Plan(tmp_path / "environment", sys.executable, wheels=str(tmp_path)), Recorder())
    assert not (tmp_path / "environment").exists()


def test_cancelling_leaves_no_folder(wheels, tmp_path):
    class Impatient(Recorder):
        def progress(self, fraction, message):
            self.stop.set()

    with pytest.raises(Cancelled):
        create(Plan(tmp_path / "environment", sys.executable, wheels=str(wheels)), Impatient())
    assert not (tmp_path / "environment").exists()


def test_somebody_elses_folder_is_left_alone(wheels, tmp_path):
    (tmp_path / "letters").mkdir()
    (tmp_path / "letters" / "a.txt").write_text("dear")
    for attempt in (
        lambda: create(Plan(tmp_path / "letters", sys.executable, wheels=str(wheels)), Recorder()),
        lambda: env.remove(tmp_path / "letters"),
    ):
        with pytest.raises(EnvironmentFailed, match="no environment of this plugin"):
            attempt()
    with pytest.raises(EnvironmentMissing):
        repair(tmp_path / "letters", Recorder())
    assert (tmp_path / "letters" / "a.txt").read_text() == "dear"


def test_removing_takes_all_and_needs_nothing(tmp_path):
    folder = tmp_path / "environment"
    env.remove(folder)
    (folder / "lib" / "deep").mkdir(parents=True)
    (folder / "lib64").symlink_to("lib")
    env.write_record(folder, env.Record(True, "light", "python", LIGHT, {}))
    env.remove(folder)
    assert not folder.exists()


def test_two_do_not_build_into_one_folder(wheels, tmp_path):
    with open(tmp_path / ".environment.lock", "a+b") as lock:
        assert try_lock(lock)
        with pytest.raises(EnvironmentFailed, match="Another QGIS"):
            create(Plan(tmp_path / "environment", sys.executable, wheels=str(wheels)), Recorder())


def test_a_disk_without_room_is_told_before_anything_is_done(wheels, tmp_path, monkeypatch):
    from collections import namedtuple

    usage = namedtuple("usage", "free")
    monkeypatch.setattr("sar_dino_qgis.worker.environment_maker.shutil.disk_usage", lambda path: usage(5e6))
    with pytest.raises(EnvironmentFailed, match="360 MB are needed, and 5 MB are free"):
        create(Plan(tmp_path / "environment", sys.executable, wheels=str(wheels)), Recorder())


def test_a_python_that_is_not_there(wheels, tmp_path):
    with pytest.raises(EnvironmentMissing, match="cannot be started"):
        create(Plan(tmp_path / "environment", str(tmp_path / "python"), wheels=str(wheels)), Recorder())
    assert not (tmp_path / "environment").exists()


@pytest.mark.parametrize("settings", [{"kind": "huge"}, {"wheels": "/no/such/folder"}])
def test_a_plan_that_cannot_be_is_refused(settings):
    with pytest.raises(SettingInvalid):
        Plan(Path("environment"), "python", **settings)


def test_the_plan_says_what_where_and_how_big(tmp_path):
    text = "\n".join(describe(Plan(tmp_path / "environment", "/usr/bin/python3", "full")))
    for part in ("/usr/bin/python3", str(tmp_path / "environment"), "torch", "GB", "index"):
        assert part in text
    assert "index" not in "\n".join(describe(Plan(tmp_path / "environment", "python", wheels=str(tmp_path))))


def test_which_python_is_used(tmp_path):
    nowhere = tmp_path / "environment"
    assert env.worker_python(sys.executable, "/no/such/python", nowhere) == sys.executable
    assert env.worker_python("", sys.executable, nowhere) == sys.executable
    with pytest.raises(EnvironmentMissing, match="SARDINO_PYTHON"):
        env.worker_python("/no/such/python", sys.executable, nowhere)
    with pytest.raises(EnvironmentMissing, match="setting"):
        env.worker_python("", "/no/such/python", nowhere)
    with pytest.raises(EnvironmentMissing, match="not been made"):
        env.worker_python("", "", nowhere)


def test_checking_tells_what_broke_since(made):
    python, (package,) = str(env.python_of(made[0])), made[0].rglob("rasterio/__init__.py")
    assert {item.name: item.ok for item in env.check(python)}["GDAL"]
    try:
        package.write_text("raise ImportError('DLL load failed')")
        broken = {item.name: item for item in env.check(python)}["GDAL"]
    finally:
        package.write_text(CONTENTS["rasterio"])
    assert not broken.ok and "DLL load failed" in broken.found and broken.fix


def test_checking_what_cannot_run_the_core(tmp_path):
    script = tmp_path / "python"
    script.write_text("#!/bin/sh\necho no core here >&2\nexit 4\n")
    script.chmod(0o755)
    with pytest.raises(EnvironmentFailed, match="exit code 4: no core here"):
        env.check(str(script))


def test_the_lists_are_those_of_the_package():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert list(LIGHT) == project["dependencies"]
    assert list(TRAINING) == project["optional-dependencies"]["torch"]
    assert set(EXPLORE) <= set(project["optional-dependencies"]["explore"])


def test_a_python_is_named_by_a_relative_path(tmp_path, monkeypatch):
    """Workers are started in another folder."""
    monkeypatch.chdir(Path(sys.executable).parent)
    relative = f".{os.sep}{Path(sys.executable).name}"
    assert env.worker_python(relative, "", tmp_path) == str(Path(sys.executable).parent / Path(sys.executable).name)
    assert env.worker_python("", relative, tmp_path) == env.worker_python(relative, "", tmp_path)


def test_what_talks_for_ever_fills_no_memory(interpreter, monkeypatch):
    monkeypatch.setattr(env, "_CHECK_S", 2.0)
    chatterbox = interpreter("while True: print('garbage' * 100)")
    tracemalloc.start()
    try:
        with pytest.raises(EnvironmentFailed, match="did not answer within 2 s: garbage"):
            env.check(chatterbox)
        assert tracemalloc.get_traced_memory()[1] < 10e6
    finally:
        tracemalloc.stop()
    assert gone(interpreter.pids()[0])


def test_a_linked_folder_is_emptied_and_the_link_stays(tmp_path):
    (tmp_path / "large disk").mkdir()
    folder = tmp_path / "environment"
    folder.symlink_to(tmp_path / "large disk", target_is_directory=True)
    env.remove(folder)  # nothing is there yet
    env.write_record(folder, env.Record(True, "light", sys.executable, LIGHT, {}))
    (folder / "lib").mkdir()
    (folder / "lib" / "module.py").touch()
    env.remove(folder)
    assert folder.is_symlink() and list((tmp_path / "large disk").iterdir()) == []


@pytest.mark.parametrize(
    "text", ["", "[]", '{"ready": true, "kind": ["x"], "python": 5, "requirements": [], "found": {}}']
)
def test_a_record_that_is_damaged_is_none(tmp_path, text):
    (tmp_path / "sardino-environment.json").write_text(text)
    assert env.read_record(tmp_path) is None

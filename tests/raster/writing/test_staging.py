"""Outputs appear complete or not at all."""

import os
import signal
import subprocess
import sys
import tempfile
import textwrap
from pathlib import Path

import pytest

from sardino_core.contract.errors import OutputUnwritable
from sardino_core.contract.leftovers import PREFIX
from sardino_core.raster.writing.staging import staged


def leftovers(folder):
    return [path.name for path in folder.iterdir() if path.name.startswith(PREFIX)]


def test_a_finished_block_publishes_and_tidies_up(tmp_path):
    with staged() as staging:
        staging.path(tmp_path / "a.txt").write_text("new")
        assert not (tmp_path / "a.txt").exists()
    assert (tmp_path / "a.txt").read_text() == "new"
    assert leftovers(tmp_path) == []


def test_a_failed_block_keeps_what_was_there(tmp_path):
    (tmp_path / "a.txt").write_text("old")
    with pytest.raises(ValueError), staged() as staging:
        staging.path(tmp_path / "a.txt").write_text("half")
        raise ValueError
    assert (tmp_path / "a.txt").read_text() == "old"
    assert leftovers(tmp_path) == []


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(OutputUnwritable, match="does not exist"), staged() as staging:
        staging.path(tmp_path / "nowhere" / "a.txt")


def test_a_folder_in_the_way_is_named(tmp_path):
    with pytest.raises(OutputUnwritable, match="is a folder"), staged() as staging:
        staging.path(tmp_path)


@pytest.mark.skipif(os.name == "nt", reason="rights of POSIX")
def test_a_read_only_folder_is_named():
    """In a process of its own: root writes everywhere, so rights are given up first."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o555)
        child = os.fork()
        if child == 0:
            try:
                if os.geteuid() == 0:
                    os.setuid(65534)
                with staged() as staging:
                    staging.path(f"{folder}/a.txt")
            except OutputUnwritable as error:
                os._exit(7 if "cannot be written to" in str(error) else 1)
            finally:
                os._exit(1)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
        Path(folder).chmod(0o755)


@pytest.mark.skipif(os.name == "nt", reason="pipes")
def test_a_pipe_is_never_replaced(tmp_path):
    os.mkfifo(tmp_path / "pipe.tif")
    with pytest.raises(OutputUnwritable, match="device or a pipe"), staged() as staging:
        staging.path(tmp_path / "pipe.tif")


@pytest.mark.skipif(os.name == "nt", reason="links need rights there")
def test_a_link_keeps_pointing_and_its_target_is_written(tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "link.txt").symlink_to(tmp_path / "elsewhere" / "target.txt")
    with staged() as staging:
        staging.path(tmp_path / "link.txt").write_text("new")
    assert (tmp_path / "link.txt").is_symlink()
    assert (tmp_path / "elsewhere" / "target.txt").read_text() == "new"


def test_a_new_raster_does_not_keep_the_old_ones_companions(tmp_path):
    for name in ("a.tif", "a.tif.aux.xml", "a.tif.ovr", "a.qml", "b.qml"):
        (tmp_path / name).write_text("old")
    with staged() as staging:
        staging.path(tmp_path / "a.tif").write_text("new")
        staging.path(tmp_path / "a.qml").write_text("new")
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {
        "a.tif": "new", "a.qml": "new", "b.qml": "old",
    }  # fmt: skip


@pytest.mark.skipif(os.name == "nt", reason="kill -9")
def test_what_a_killed_run_left_is_removed_by_the_next_but_a_living_one_is_left_alone(tmp_path):
    script = """
        import sys, time
        from sardino_core.raster.writing.staging import staged
        with staged() as staging:
            staging.path(sys.argv[1]).write_text("half")
            print("ready", flush=True)
            time.sleep(60)
    """
    process = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(script), str(tmp_path / "a.txt")], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout.readline() == "ready\n"
    with staged() as staging:
        staging.path(tmp_path / "b.txt").write_text("b")
    assert len(leftovers(tmp_path)) == 1  # still in use
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not (tmp_path / "a.txt").exists()
    with staged() as staging:
        staging.path(tmp_path / "c.txt").write_text("c")
    assert leftovers(tmp_path) == []

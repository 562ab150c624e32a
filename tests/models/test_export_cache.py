"""An export is made when it is first needed: beside the model, or in the user's cache; whole, and never twice."""

from __future__ import annotations

import multiprocessing
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from sardino_core.contract.errors import OutputUnwritable
from sardino_core.models import export_cache
from sardino_core.models.export_cache import cache_folder, usable_graph
from sardino_core.models.export_file import export_path, problem_with_export
from sardino_core.models.model_file import load_weights, read_spec, save_model, weights_hash, write_aside
from sardino_core.models.predictor_onnx import OnnxPredictor
from tests.models.networks import noise


@pytest.fixture
def alone(model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A model file without its export, and an empty cache."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(sys, "platform", "linux")
    (tmp_path / "models").mkdir()
    return Path(shutil.copy(model, tmp_path / "models" / "alone.safetensors"))


@pytest.fixture
def made(model: Path, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Exporting is quick here: the export of the fixture `model`, whose weights are the same. What was exported."""
    asked: list[Path] = []

    def exported(path: Path) -> bytes:
        asked.append(path)
        return export_path(model).read_bytes()

    monkeypatch.setattr("sardino_core.models.export.exported", exported)
    return asked


def test_a_missing_export_is_made_and_kept_beside_the_model(alone: Path, caplog: pytest.LogCaptureFixture) -> None:
    spec = read_spec(alone)
    first = OnnxPredictor(alone, spec).tokens(noise(spec))
    assert problem_with_export(alone) is None
    assert sorted(item.name for item in alone.parent.iterdir()) == ["alone.onnx", "alone.safetensors"]
    np.testing.assert_array_equal(OnnxPredictor(alone, spec).tokens(noise(spec)), first)
    assert caplog.text.count("is exported for ONNX Runtime, once (alone.onnx is not beside it)") == 1


def test_a_stale_export_is_made_again(alone: Path, model: Path) -> None:
    shutil.copy(export_path(model), export_path(alone))
    weights = {name: value * np.float32(0.5) for name, value in load_weights(alone).items()}
    save_model(alone, read_spec(alone), weights)
    assert problem_with_export(alone) == "alone.onnx belongs to other weights"
    usable_graph(alone)
    assert problem_with_export(alone) is None


def test_a_folder_that_cannot_be_written_to_leaves_the_cache(
    alone: Path, made: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    def read_only(path: Path, content: bytes) -> None:
        if path.parent == alone.parent:
            raise OutputUnwritable("Read-only.")
        write_aside(path, content)

    monkeypatch.setattr(export_cache, "write_aside", read_only)
    graph = usable_graph(alone)
    assert [item.name for item in alone.parent.iterdir()] == ["alone.safetensors"]
    assert [item.name for item in cache_folder().iterdir()] == [f"{weights_hash(alone)}.onnx"]
    assert usable_graph(alone) == graph and made == [alone]


def test_where_nothing_can_be_written_it_runs_all_the_same(alone: Path, made: list[Path], tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("in the way")
    export_path(alone).mkdir()
    assert usable_graph(alone) == usable_graph(alone)
    assert made == [alone, alone]


@pytest.mark.parametrize("content", [b"somebody's own graph", b"\x08\x0a"])
def test_a_file_of_that_name_that_is_no_export_of_ours_stays(alone: Path, made: list[Path], content: bytes) -> None:
    export_path(alone).write_bytes(content)
    graph = usable_graph(alone)
    assert export_path(alone).read_bytes() == content
    assert usable_graph(alone) == graph and made == [alone]


def test_a_damaged_export_in_the_cache_is_not_used(alone: Path, made: list[Path]) -> None:
    export_path(alone).write_bytes(b"somebody's own graph")
    graph = usable_graph(alone)
    (cached,) = cache_folder().iterdir()
    cached.write_bytes(graph[:1000])
    assert usable_graph(alone) == graph and len(made) == 2


def _write(path: Path, letter: str, times: int) -> None:
    for _ in range(times):
        write_aside(path, letter.encode() * 300_000)


def test_two_processes_that_write_one_file_leave_it_whole(tmp_path: Path) -> None:
    path, fork = tmp_path / "m.onnx", multiprocessing.get_context("spawn")
    writers = [fork.Process(target=_write, args=(path, letter, 40)) for letter in "ab"]
    for writer in writers:
        writer.start()
    while any(writer.is_alive() for writer in writers):
        if path.exists():
            content = path.read_bytes()
            assert len(content) == 300_000 and len(set(content)) == 1
    assert [writer.exitcode for writer in writers] == [0, 0]
    assert [item.name for item in tmp_path.iterdir()] == ["m.onnx"]


KILLED = """
import os, sys
from pathlib import Path
from sardino_core.models import model_file
Path.replace = lambda self, target: os._exit(9)
model_file.write_aside(Path(sys.argv[1]), b"whole")
"""


def test_what_a_killed_process_left_aside_is_removed_by_the_next(tmp_path: Path) -> None:
    path = tmp_path / "m.onnx"
    done = subprocess.run([sys.executable, "-c", KILLED, str(path)], cwd=Path(__file__).parents[2], check=False)
    assert done.returncode == 9 and not path.exists() and len(list(tmp_path.iterdir())) == 1
    write_aside(path, b"whole")
    assert [item.name for item in tmp_path.iterdir()] == ["m.onnx"]


@pytest.mark.parametrize(
    ("platform", "variable", "end"),
    [("linux", "XDG_CACHE_HOME", "x/sardino/exports"), ("win32", "LOCALAPPDATA", "x/sardino/exports"),
     ("darwin", "HOME", "x/Library/Caches/sardino/exports")],
)  # fmt: skip
def test_the_cache_is_where_the_system_has_caches(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, platform: str, variable: str, end: str
) -> None:
    monkeypatch.setattr(sys, "platform", platform)
    monkeypatch.setenv(variable, str(tmp_path / "x"))
    assert cache_folder() == tmp_path / end

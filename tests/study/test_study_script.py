"""scripts/study.py as a user calls it: interrupted, resumed, with an arm that fails."""

from __future__ import annotations

import csv
import signal
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from sardino_core.study.config import ArmConfig, load_study_config
from sardino_core.study.records import FOLDER
from sardino_core.training.settings.yaml_config import dump_config
from tests.study.studies import ended, lakes, script


def shortened():
    """study-tiny with fewer cells and steps, and an arm that cannot be trained."""
    config = load_study_config("study-tiny")
    kept = [arm for arm in config.arms if arm.name in ("dino-full", "scratch-full", "dino-frozen", "unet", "forest")]
    arms = tuple(replace(arm, tried=arm.tried[:1]) for arm in kept)
    finetune, pretrain = config.finetune, config.pretrain
    return replace(
        config,
        arms=(*arms, ArmConfig("hopeless", (1e30,))),
        compare=(("dino-full", "scratch-full"), ("scratch-full", "hopeless")),
        places=replace(config.places, train=6, validation=2, test=4, size=64),
        seeds=(0,),
        pretrain=replace(pretrain, optimiser=replace(pretrain.optimiser, steps=6)),
        finetune=replace(finetune, optimiser=replace(finetune.optimiser, steps=6)),
    )


def cells(out: Path) -> dict[str, int]:
    return {path.name: path.stat().st_mtime_ns for path in (out / FOLDER).glob("*.json")}


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    """A study that was stopped after its first cells, and then went on to its end."""
    folder = tmp_path_factory.mktemp("study")
    config, out = folder / "study.yaml", folder / "out"
    config.write_text(dump_config(shortened()))
    process = script("--config", config, "--out", out)
    while (process.poll() is None and not (out / FOLDER).exists()) or not cells(out):
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    stopped, early = ended(process), cells(out)
    return SimpleNamespace(
        config=config, out=out, stopped=stopped, early=early, ended=ended(script("--config", config, "--out", out))
    )


@pytest.mark.slow
def test_a_stopped_study_says_so_in_one_line_and_goes_on_where_it_was(done):
    status, _, error = done.stopped
    assert status == 1
    assert error.splitlines()[-1] == (
        "error: The study was stopped among the trials. The same command goes on from there."
    )
    assert "Traceback" not in error
    failed = {"hopeless_0.2_try-1e+30.json", "hopeless_1_try-1e+30.json"}
    after = cells(done.out)
    assert {name: after[name] for name in done.early if name not in failed}.items() <= done.early.items()
    assert 0 < len(done.early) < len(after) == 6 * 2 * 2


@pytest.mark.slow
def test_the_others_go_on_when_an_arm_fails_and_the_report_marks_it(done):
    status, told, error = done.ended
    assert status == 0, error
    assert told.strip() == str(done.out / "study.md")
    page = (done.out / "study.md").read_text()
    assert "- `hopeless_1_seed-0`: every trial of this arm and share failed" in page
    assert "has diverged" in page
    assert "simulation alone" in page
    with open(done.out / "cells.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert {row["arm"] for row in rows if row["status"] == "failed"} == {"hopeless"}
    assert sum(row["status"] == "done" for row in rows) == 5 * 2 * 2
    with open(done.out / "differences.csv", newline="") as file:
        assert {row["second"] for row in csv.DictReader(file)} == {"scratch-full"}


@pytest.mark.slow
def test_what_is_done_is_not_done_again_but_what_failed_is_tried(done):
    before, model = cells(done.out), next(done.out.glob("pretrain-*/model.safetensors")).stat().st_mtime_ns
    status, _, error = ended(script("--config", done.config, "--out", done.out))
    assert status == 0, error
    after = cells(done.out)
    assert {name for name in after if after[name] != before[name]} == {
        f"hopeless_{share}_{end}.json" for share in ("0.2", "1") for end in ("try-1e+30", "seed-0")
    }
    assert next(done.out.glob("pretrain-*/model.safetensors")).stat().st_mtime_ns == model
    assert "24 cells, 4 of them to be done" in error


@pytest.mark.slow
def test_the_report_can_be_written_again(done):
    page = (done.out / "study.md").read_text()
    (done.out / "study.md").unlink()
    status, told, error = ended(script("--out", done.out, "--report"))
    assert status == 0, error
    assert told.strip() == str(done.out / "study.md")
    assert (done.out / "study.md").read_text() == page


def test_a_dry_run_lists_the_cells_and_writes_nothing(tmp_path):
    status, told, error = ended(script("--config", "study-tiny", "--out", tmp_path / "out", "--dry-run"))
    assert status == 0, error
    assert len(told.split()) == 6 * 2 * (2 + 2)
    assert "48 cells, 48 of them to be done: about" in error
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["--config", "study-tiny", "seedz=[0]"], "'seedz'"),
        (["--config", "nowhere"], "nowhere"),
        (["--report"], "holds no study"),
    ],
)
def test_what_is_wrong_is_one_line(tmp_path, arguments, named):
    status, _, error = ended(script("--out", tmp_path / "out", *arguments))
    assert status == 1
    assert error.startswith("error: ")
    assert len(error.splitlines()) == 1
    assert named in error


def test_a_single_place_is_one_line(tmp_path):
    images, labels = lakes(tmp_path, 1)
    status, _, error = ended(
        script("--config", "study-tiny", "--out", tmp_path / "out", "--images", images, "--labels", labels)
    )
    assert (status, len(error.splitlines())) == (1, 1)
    assert "no geographic split is possible" in error


@pytest.mark.slow
def test_two_studies_do_not_share_a_folder(done):
    from sardino_core.contract.leftovers import try_lock

    with open(done.out / ".lock", "w+b") as lock:
        assert try_lock(lock)
        status, _, error = ended(script("--config", done.config, "--out", done.out))
    assert status == 1
    assert "Another study is at work" in error.splitlines()[-1]

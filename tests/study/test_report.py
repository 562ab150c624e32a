from __future__ import annotations

import csv
from dataclasses import replace

import numpy as np
import pytest

from sardino_core.contract.errors import InputMissing
from sardino_core.study.basis import Basis, read_basis, write_basis
from sardino_core.study.bootstrap import miou
from sardino_core.study.config import PlacesConfig
from sardino_core.study.records import FOLDER, Outcome, Record, write_record
from sardino_core.study.report import write_report
from sardino_core.study.study import report_study
from sardino_core.study.tables import choose
from tests.study.studies import basis, study

MEMBERS = ((), (80,), (10,), (30,), (10, 30))
GOOD = {"dino-full": 90, "scratch-full": 70, "forest": 80}  # pixels in a hundred that are right


def outcome(job, right: int) -> Outcome:
    """`right` of 100 pixels of each class at every place, a few less at each further one."""
    counts = {}
    for number, source in enumerate(job.evaluate):
        hits = right - number
        matrix = np.full((3, 3), 0) + np.eye(3, dtype=int) * hits
        matrix[np.arange(3), (np.arange(3) + 1) % 3] += 100 - hits
        rows = [[0, 0, 0], *matrix.tolist(), [0, 7, 0]]
        counts[source.name] = tuple(map(tuple, rows))
    return Outcome({"water": 5, "trees": 6, "low": 0}, 0.25, 1, MEMBERS, counts)


def stored(found: Basis) -> Basis:
    """A study whose cells are made up: the second value of each arm is the better one; a seed is a pixel better."""
    (found.out / FOLDER).mkdir()
    write_basis(found)
    for job in found.trials():
        right = GOOD[job.cell.arm] + (3 if job.value == job.arm.tried[1] else 0)
        write_record(found.out, Record(job.cell, job.settings, job.value, "done", "", 1.5, outcome(job, right)))
    for job in found.finals(choose(found.config, found.records())):
        record = Record(job.cell, job.settings, job.value, "done", "", 2.5)
        write_record(found.out, replace(record, outcome=outcome(job, GOOD[job.cell.arm] + job.cell.seed)))
    return found


def rows(path):
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture
def found(tmp_path):
    return stored(basis(study(places=PlacesConfig(train=4, validation=1, test=6, size=64)), tmp_path, weights="w"))


def test_of_two_places_there_is_no_interval(tmp_path):
    found = stored(basis(study(), tmp_path, weights="w"))
    write_report(found)
    page = (found.out / "study.md").read_text()
    assert "| dino-full less scratch-full | +0." in page and " to " not in page.split("## Scores")[1]
    for name in ("scores.csv", "differences.csv"):
        assert {(row["low"], row["high"]) for row in rows(found.out / name)} == {("", "")}


def test_without_pre_training_none_is_told(tmp_path):
    arms = tuple(arm for arm in study().arms if arm.init != "pretrained")
    found = stored(basis(study(arms=arms, compare=(("scratch-full", "forest"),)), tmp_path))
    write_report(found)
    assert "pre-training once" not in (found.out / "study.md").read_text()
    assert {row["in pre-training"] for row in rows(found.out / "places.csv")} == {"0"}


def test_trials_choose_what_is_best_on_validation_places(found):
    assert choose(found.config, found.records()) == {
        (arm.name, fraction): arm.tried[1] for arm in found.config.arms for fraction in found.config.fractions
    }


def test_the_tables_are_those_of_the_cells(found):
    write_report(found)
    scores = {(r["group"], r["fraction"], r["arm"], r["score"]): r for r in rows(found.out / "scores.csv")}
    assert {key[0] for key in scores} == {"unseen", "seen unlabelled", "all"}
    jobs = [j for j in found.finals(choose(found.config, found.records())) if j.cell.arm == "forest"]
    seeds = [np.array([np.array(c)[1:4] for c in outcome(j, 80 + j.cell.seed).counts.values()]) for j in jobs[::2]]
    row = scores["all", "0.25", "forest", "mIoU"]
    assert float(row["value"]) == pytest.approx(np.mean([miou(each.sum(axis=0)) for each in seeds]), abs=1e-6)
    assert float(row["low"]) <= float(row["value"]) <= float(row["high"])
    assert (row["seeds"], row["places"]) == ("2", "6")

    water = [r for r in rows(found.out / "classes.csv") if (r["arm"], r["name"]) == ("forest", "water")]
    assert [r["fraction"] for r in water] == ["0.25", "1.0"]
    matrices = [each.sum(axis=0) for each in seeds]
    f1 = [2 * m[0, 0] / (m[0].sum() + m[:, 0].sum()) for m in matrices]
    assert float(water[0]["f1"]) == pytest.approx(np.mean(f1), abs=1e-6)
    assert (float(water[0]["lowest"]), float(water[0]["highest"])) == pytest.approx((min(f1), max(f1)), abs=1e-6)

    differences = rows(found.out / "differences.csv")
    assert {row["average"] for row in differences} == {"one matrix", "mean over places"}
    (paired,) = [
        row
        for row in differences
        if (row["group"], row["fraction"], row["second"], row["score"], row["average"])
        == ("all", "1.0", "scratch-full", "accuracy", "one matrix")
    ]
    assert float(paired["value"]) == pytest.approx(0.2)
    assert float(paired["low"]) == pytest.approx(0.2)


def test_the_page_and_its_pictures_need_the_folder_alone(found):
    write_report(found)
    first = (found.out / "study.md").read_text()
    (found.out / "study.md").unlink()
    report_study(found.out)
    assert (found.out / "study.md").read_text() == first
    assert "simulation alone" in first
    assert "failed" not in first
    assert "| dino-full less scratch-full | **+0." in first
    for name in ("scores.png", "differences.png"):
        assert (found.out / name).read_bytes().startswith(b"\x89PNG")
    listed = [row["in pre-training"] for row in rows(found.out / "places.csv")]
    assert listed[:5] == list("11110") and sorted(listed[5:]) == list("000111")
    assert len(rows(found.out / "cells.csv")) == 24


def test_a_cell_that_failed_is_marked_and_told_and_left_out(found):
    (job, *_) = [j for j in found.finals(choose(found.config, found.records())) if j.cell.name == "forest_1_seed-1"]
    write_record(found.out, Record(job.cell, job.settings, job.value, "failed", "The disk is full."))
    page = write_report(found)["study.md"].read_text()
    assert "- `forest_1_seed-1`: The disk is full." in page
    assert page.count("*1 of 2 seeds failed*") == 3 * 3 + 2 * 3
    (row,) = [r for r in rows(found.out / "scores.csv") if (r["arm"], r["fraction"], r["score"], r["group"]) == (
        "forest", "1.0", "mIoU", "all")]  # fmt: skip
    assert row["seeds"] == "1"


def test_an_unfinished_study_says_so(found):
    (found.out / FOLDER / "dino-full_1_seed-0.json").unlink()
    page = write_report(found)["study.md"].read_text()
    assert "1 of 12; the same command goes on." in page
    assert "*1 of 2 seeds missing*" in page


def test_cells_of_other_settings_are_not_reported(found):
    longer = replace(found.config.finetune.optimiser, steps=9)
    other = replace(found, config=replace(found.config, finetune=replace(found.config.finetune, optimiser=longer)))
    assert other.records() == {}
    page = write_report(other)["study.md"].read_text()
    assert "12 of 12; the same command goes on." in page


def test_a_basis_comes_back_as_it_was(found):
    again = read_basis(found.out)
    assert (again.config, again.ground) == (found.config, found.ground)
    assert again.records() == found.records()


def test_a_folder_without_a_study_is_told(tmp_path):
    with pytest.raises(InputMissing, match="holds no study"):
        report_study(tmp_path)

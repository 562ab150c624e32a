from __future__ import annotations

import csv
from dataclasses import replace

import numpy as np
import pytest

from sardino_core.contract.errors import InputMissing
from sardino_core.study.basis import Basis, read_basis, write_basis
from sardino_core.study.bootstrap import miou
from sardino_core.study.config import ArmConfig, PlacesConfig, StudyConfig
from sardino_core.study.figures import _line, draw_differences
from sardino_core.study.places import Place
from sardino_core.study.records import FOLDER, Outcome, Record, write_record
from sardino_core.study.report import write_report
from sardino_core.study.study import report_study
from sardino_core.study.tables import ALL, CONTRAST, SEEN, UNSEEN, choose, differences, scores, tabulate
from tests.study.studies import basis, study

MEMBERS = ((), (80,), (10,), (30,), (10, 30))
MANY = PlacesConfig(train=4, validation=1, test=6, size=64)
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
    return stored(basis(study(places=MANY), tmp_path, weights="w"))


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
    assert [float(paired[name]) for name in ("low", "high", "lowest", "highest")] == pytest.approx([0.2] * 4)


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
    assert [row["in pre-training"] for row in rows(found.out / "places.csv")] == list("11110010101")
    assert len(rows(found.out / "cells.csv")) == 24


def test_a_cell_that_failed_is_marked_and_told_and_left_out(found):
    (job, *_) = [j for j in found.finals(choose(found.config, found.records())) if j.cell.name == "forest_1_seed-1"]
    write_record(found.out, Record(job.cell, job.settings, job.value, "failed", "The disk is full."))
    page = write_report(found)["study.md"].read_text()
    assert "- `forest_1_seed-1`: The disk is full." in page
    assert page.count("*1 of 2 seeds failed*") == 3 * 3 + 2 * 4
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


def changed(found: Basis, **outcomes) -> Basis:
    """The same with other outcomes of all cells, each changed by the functions of its fields."""
    for record in found.records().values():
        fields = {name: change(getattr(record.outcome, name)) for name, change in outcomes.items()}
        write_record(found.out, replace(record, outcome=replace(record.outcome, **fields)))
    return found


def told(found: Basis) -> str:
    return write_report(found)["study.md"].read_text()


def part(page: str, title: str) -> str:
    """What stands under a heading of the page."""
    return page.split(f"\n{title}\n")[1].split("\n#")[0]


@pytest.mark.parametrize(("test", "unseen"), [(1, "1 place"), (2, "1 place"), (4, "2 places")])
def test_few_places_are_told_by_their_values_alone(tmp_path, test, unseen):
    found = stored(basis(study(places=replace(MANY, test=test)), tmp_path, weights="w"))
    page = told(found)
    assert f"### mIoU, unseen ({unseen})" in page
    few, whole = part(page, "### mIoU, one matrix, unseen"), part(page, "### mIoU, one matrix, all")
    assert "| dino-full less scratch-full | +0." in few
    assert "**" not in few
    assert " to " not in few
    assert ("**" in whole, " to " in whole) == (test >= 3, test >= 3)
    for name in ("scores.csv", "differences.csv"):
        known = {row["group"] for row in rows(found.out / name) if row["low"] and row["high"]}
        assert known == ({"all"} if test >= 3 else set())
        assert "nan" not in (found.out / name).read_text()


def test_values_without_an_interval_have_no_bars(found, tmp_path):
    from matplotlib.figure import Figure

    def bars(basis_of: Basis) -> int:
        axes = Figure().subplots()
        table = scores(basis_of.config, basis_of.ground.places, basis_of.records())
        _line(axes, [r for r in table if (r.group, r.arm, r.score) == (UNSEEN, "forest", "mIoU")], "forest", 0)
        assert len(axes.lines) == 1
        return len(axes.collections)

    assert bars(found) == 1
    (tmp_path / "few").mkdir()
    few = stored(basis(study(), tmp_path / "few", weights="w"))
    assert bars(few) == 0


def test_what_was_seen_less_what_was_not_is_a_difference_in_differences(found):
    made = differences(found.config, found.ground.places, found.records())
    rows_of = {row.group: row for row in made if (row.second, row.fraction, row.score, row.average) == (
        "forest", 1.0, "mIoU", "mean over places")}  # fmt: skip
    assert list(rows_of) == [UNSEEN, SEEN, ALL, CONTRAST]
    contrast = rows_of[CONTRAST]
    assert contrast.found.value == pytest.approx(rows_of[SEEN].found.value - rows_of[UNSEEN].found.value)
    assert contrast.found.low <= contrast.found.value <= contrast.found.high
    assert contrast.lowest <= contrast.found.value <= contrast.highest
    assert (contrast.places, contrast.seeds) == (3, 2)
    page = told(found)
    assert "seen and unseen places are different places" in page
    assert "### mIoU, one matrix, seen unlabelled less unseen\n" in page
    assert draw_differences([row for row in made if row.group != CONTRAST]) == draw_differences(made)


def test_the_page_tells_what_intervals_hold_and_how_many_there_are(found):
    page = told(found)
    assert "and, independently, of the seeds" in page
    assert "Fixed, and in no interval: the pre-training, which was done once" in page
    assert "32 comparisons with an interval in the tables below" in page  # 2 averages, 4 groups, 2 pairs, 2 shares
    steps = found.config.pretrain.optimiser.steps
    assert f"- dino-full: {steps} steps of DINO, with " in page
    assert "more than the other arms have had" in page


def test_one_seed_is_not_said_to_vary(tmp_path):
    page = told(stored(basis(study(places=MANY, seeds=(0,)), tmp_path, weights="w")))
    assert "with one seed it is held fixed" in page
    assert "independently" not in page


def without_pretraining(**changes) -> StudyConfig:
    arms = (ArmConfig("scratch-full", (2e-3, 5e-3)), ArmConfig("forest", (1.0, 5.0), kind="forest"))
    return study(arms=arms, compare=(("scratch-full", "forest"),), places=MANY, **changes)


def test_without_pre_training_none_is_told(tmp_path):
    found = stored(basis(without_pretraining(), tmp_path))
    page = told(found)
    for words in ("pre-training", "unseen", "seen unlabelled", "DINO"):
        assert words not in page
    assert {row["in pre-training"] for row in rows(found.out / "places.csv")} == {"0"}
    assert {row["group"] for row in rows(found.out / "scores.csv")} == {"all"}


def test_every_class_in_each_is_said_where_it_is_true(found):
    assert "every class in each" not in told(found)  # low has no label
    full = changed(found, labels=lambda labels: dict.fromkeys(labels, 5))
    assert "every class in each" in told(full)


def test_a_class_that_no_test_place_has_is_a_dash(found):
    def without_low(counts):
        return {place: (*table[:3], (0, 0, 0), *table[4:]) for place, table in counts.items()}

    page = told(changed(found, counts=without_low))
    assert "nan" not in page
    for line in part(page, "### 100 % of the labels").splitlines():
        if line.startswith(("| dino", "| scratch", "| forest")):
            assert line.endswith("| — |")
            assert line.count("—") == 1
    low = [row for row in rows(found.out / "classes.csv") if row["name"] == "low"]
    assert {(row["f1"], row["lowest"], row["highest"]) for row in low} == {("", "", "")}


def test_a_setting_at_the_edge_of_what_was_tried_is_marked(tmp_path):
    arms = (
        ArmConfig("edge", (1e-3, 2e-3, 3e-3)),
        ArmConfig("scratch-full", (1e-3, 2e-3, 3e-3)),
        ArmConfig("forest", (1.0, 5.0, 25.0), kind="forest"),
    )
    found = basis(study(arms=arms, compare=(), places=MANY), tmp_path)
    write_basis(found)
    (tmp_path / FOLDER).mkdir()
    best = {
        "edge": 3e-3,
        "scratch-full": 2e-3,
        "forest": 1.0,
    }  # a leaf of one pixel is no edge: there is no smaller one
    for job in found.trials():
        made = outcome(job, 90 if job.value == best[job.cell.arm] else 50)
        write_record(tmp_path, Record(job.cell, job.settings, job.value, "done", "", 1.0, made))
    settings = part(told(found), "## Settings chosen")
    assert "| edge | 0.001, 0.002, 0.003 | 0.003 † | 0.003 † |" in settings
    assert "| scratch-full | 0.001, 0.002, 0.003 | 0.002 | 0.002 |" in settings
    assert "| forest | 1, 5, 25 | 1 | 1 |" in settings
    assert "† is at the edge of what was tried" in settings


@pytest.mark.parametrize("count", [2, 3])
def test_real_places_are_counted_by_class_and_few_claim_nothing(tmp_path, count):
    bare = basis(study(places=MANY), tmp_path, weights="w")
    source = bare.ground.places[0].source
    real = tuple(Place(f"real {number}", "real", source) for number in range(count))
    found = stored(replace(bare, ground=replace(bare.ground, places=bare.ground.places + real)))

    def without_low_at_0(counts):
        return {
            place: (*table[:3], (0, 0, 0), *table[4:]) if place == "real 0" else table
            for place, table in counts.items()
        }

    page = told(changed(found, counts=without_low_at_0))
    lines = part(page, "### F1 of classes, 100 % of the labels").splitlines()
    water, low = (next(line for line in lines if line.startswith(f"| {name} |")) for name in ("water", "low"))
    assert low == f"| low | {count - 1} | — | — | — |"
    assert water.startswith(f"| water | {count} | ")
    assert ("—" in water) == (count < 3)
    made = rows(found.out / "real.csv")
    assert {row["places"] for row in made if row["score"] == "f1 water"} == {str(count)}
    assert {row["places"] for row in made if row["score"] == "f1 low"} == {str(count - 1)}


def test_the_tables_name_what_they_hold(found):
    made = tabulate(found.config, found.ground.places, found.records())
    assert set(made.settled) == {(arm.name, share) for arm in found.config.arms for share in found.config.fractions}
    assert {type(row).__name__ for row in made.classes} == {"ClassScore"}
    assert {row.arm for row in made.classes} == {"dino-full", "scratch-full", "forest"}
    assert made.real == ()

"""`sardino probe` from rasters to the report, as a user runs it."""

from __future__ import annotations

import csv
import json
import sys
from pathlib import Path

import numpy as np
import pytest
from affine import Affine

from sardino_core.cli import main
from sardino_core.contract.errors import DependencyMissing, SettingInvalid
from sardino_core.contract.jobs import ProbeJob
from sardino_core.contract.model_spec import ModelSpec, ProvenanceSpec
from sardino_core.environment import require_packages
from sardino_core.models.model_file import save_model
from sardino_core.probe import settings_of
from tests.models.networks import lively_network
from tests.training.rasters import BACKBONE, CLASSES, INPUTS, write

SPEC = ModelSpec("tiny", "segmentation", 32, BACKBONE, INPUTS, "linear", CLASSES)
QUICK = ["trees=3", "bootstrap=100", "patches=200", "windows=24", "folds=3", "dims=[3]"]
MEAN_DB = {80: -20.0, 10: -9.0, 30: -13.0}


def place(folder: Path, number: int, kinds: tuple[int, ...] = (80, 10, 30), size: int = 96) -> None:
    """Fields of 16 pixels; places lie 10 km apart."""
    rng = np.random.default_rng(number)
    labels = np.kron(rng.choice(kinds, (size // 16, size // 16)), np.ones((16, 16))).astype(np.uint8)
    mean = np.vectorize(MEAN_DB.get)(labels)
    db = np.stack([mean, mean - 6.5]) + rng.normal(0, 1.5, (2, size, size))
    where = Affine(10, 0, 500_000 + 10_000 * number, 0, -10, 5_000_000)
    write(folder / f"p{number}" / "scene.tif", db.astype(np.float32), where, names=("VV", "VH"))
    write(folder / f"p{number}" / "labels.tif", labels, where, nodata=0)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "tiny.safetensors"
    return save_model(path, SPEC, lively_network(SPEC).state_dict(), "float32")


@pytest.fixture(scope="module")
def places(tmp_path_factory):
    folder = tmp_path_factory.mktemp("places")
    for number in range(3):
        place(folder, number)
    return folder


def probe(model: Path, folder: Path, out: Path, *settings: str) -> int:
    arguments = ["probe", "--model", model, "--images", folder / "p*/scene.tif", "--labels", folder / "p*/labels.tif"]
    return main([*map(str, arguments), "--out", str(out), *QUICK, *settings])


def rows(path: Path) -> list[dict[str, str]]:
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def report(model, places, tmp_path_factory):
    out = tmp_path_factory.mktemp("report")
    assert probe(model, places, out) == 0
    return out


def test_the_report_is_one_page_with_its_tables_and_figures(report):
    names = {path.name for path in report.iterdir()}
    assert names == {"report.html", "scores.csv", "differences.csv", "heads.csv", "places.csv", "confusion.csv",
                     "sets.png", "paired.png", "attention.png", "tokens.png", "examples.png"}  # fmt: skip
    page = (report / "report.html").read_text(encoding="utf-8")
    assert page.count("data:image/png;base64,") == 5
    assert "http" not in page.replace("http://www.w3.org", "")
    assert "There are 3 places only" in page
    assert "p0/scene.tif" in page


def test_scores_follow_from_the_confusions_beside_them(report):
    classes = [item.name for item in CLASSES]
    tables = {}
    for row in rows(report / "confusion.csv"):
        counts = tables.setdefault((row["features"], row["dims"], row["probe"]), np.zeros((3, 3), int))
        counts[classes.index(row["reference"]), classes.index(row["predicted"])] += int(row["patches"])
    found = rows(report / "scores.csv")
    assert len(found) == len(tables) > 50
    for row in found:
        counts = tables[row["features"], row["dims"], row["probe"]]
        iou = [counts[k, k] / (counts[k].sum() + counts[:, k].sum() - counts[k, k]) for k in range(3)]
        assert float(row["miou"]) == pytest.approx(np.mean(iou), abs=1e-5)
        assert float(row["low"]) <= float(row["miou"]) + 0.05
        for k, name in enumerate(classes):
            f1 = 2 * counts[k, k] / (counts[k].sum() + counts[:, k].sum())
            assert float(row[f"f1 {name}"]) == pytest.approx(f1, abs=1e-5)


def test_fields_that_differ_by_brightness_are_told_apart_by_it(report):
    found = {(row["features"], row["dims"], row["probe"]): float(row["miou"]) for row in rows(report / "scores.csv")}
    assert found["brightness alone", "free", "linear"] > 0.9
    assert found["SAR in context", "free", "linear"] > 0.9
    assert found["commonest class", "free", ""] < 0.3
    assert found["tokens", "free", "linear"] > found["best head", "free", "linear"]


def test_every_head_has_its_line(report):
    found = rows(report / "heads.csv")
    assert [(row["layer"], row["head"]) for row in found] == [("0", "0"), ("0", "1"), ("1", "0"), ("1", "1")]
    for row in found:
        assert 0 < float(row["entropy_over_log_n"]) <= 1
        assert float(row["entropy_nats"]) / np.log(16) == pytest.approx(float(row["entropy_over_log_n"]), abs=1e-4)
        assert float(row["distance_m"]) == pytest.approx(10 * float(row["distance_px"]), rel=1e-3)
        assert 0 < float(row["distance_px"]) < 8 * 3 * 2**0.5
    for probe in ("linear", "forest"):
        assert sum(int(row[f"chosen_{probe}_of_3"]) for row in found) == 3


def test_the_same_seed_gives_the_same_report_and_another_one_another(model, places, report, tmp_path):
    assert probe(model, places, tmp_path / "again") == 0
    for path in report.iterdir():
        assert (tmp_path / "again" / path.name).read_bytes() == path.read_bytes(), path.name
    assert probe(model, places, tmp_path / "other", "seed=1", "patches=100") == 0
    assert (tmp_path / "other" / "scores.csv").read_bytes() != (report / "scores.csv").read_bytes()


def test_a_single_place_is_split_by_blocks_and_no_claim_is_made(model, tmp_path, capsys):
    place(tmp_path, 7)
    assert probe(model, tmp_path, tmp_path / "out") == 0
    page = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert "All labels lie in one place" in page
    assert "nothing about other places" in page
    assert "All labels lie in one place" in capsys.readouterr().out
    assert {row["block"] for row in rows(tmp_path / "out" / "places.csv")} >= {"block 1", "block 2"}


def test_two_dates_of_one_place_are_one_place(model, tmp_path, capsys):
    for number in (0, 1):
        place(tmp_path / "first", number)
        place(tmp_path / "second", number)
    arguments = ["--images", tmp_path / "*/p*/scene.tif", "--labels", tmp_path / "*/p*/labels.tif", "--json"]
    out = tmp_path / "out"
    assert main(["probe", "--model", str(model), *map(str, arguments), "--out", str(out), *QUICK]) == 0
    result = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert result["values"]["places"] == 2
    assert result["values"]["split_by"] == "place"


def test_a_place_that_the_model_was_trained_on_is_named(places, tmp_path):
    spec = ModelSpec("tiny", "segmentation", 32, BACKBONE, INPUTS, "linear", CLASSES,
                     provenance=ProvenanceSpec(data=("images, 2 scenes: p1/scene.tif, other/scene.tif",)))  # fmt: skip
    model = save_model(tmp_path / "known.safetensors", spec, lively_network(spec).state_dict(), "float32")
    assert probe(model, places, tmp_path / "out") == 0
    page = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert "trained on 1 of 3 places" in page
    assert "p1/scene.tif (trained on)" in page
    assert "p0/scene.tif (trained on)" not in page


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (["agree=2"], "agree is 2; allowed is 0.5 to 1"),
        (["treez=3"], "'treez'"),
        (["dims=4"], "dims is 4; it must be a list"),
        (["source=other"], "no source 'other'; it has images"),
        (["agree=0.99", "labelled=0.99", "sources.0.ignore=[0, 10, 80, 30]"], "No patch has 99%"),
    ],
)
def test_wrong_settings_are_one_line(model, places, tmp_path, capsys, settings, words):
    assert probe(model, places, tmp_path / "out", *settings) == 1
    told = capsys.readouterr().err.splitlines()
    assert len(told) == 1
    assert words in told[0]
    assert not (tmp_path / "out").exists(), "nothing is left behind"


def test_one_class_and_no_overlap_are_told(model, places, tmp_path, capsys):
    place(tmp_path, 5, kinds=(80,))
    assert probe(model, tmp_path, tmp_path / "out") == 1
    assert "show water; a probe needs two classes" in capsys.readouterr().err
    arguments = ["--images", places / "p0/scene.tif", "--labels", places / "p1/labels.tif", "--out", tmp_path / "out"]
    assert main(["probe", "--model", str(model), *map(str, arguments)]) == 1
    assert "No label raster of the source images overlaps scene.tif" in capsys.readouterr().err


def test_a_pretrained_model_needs_classes(places, tmp_path, capsys):
    spec = ModelSpec("backbone", "pretrained", 32, BACKBONE, INPUTS)
    model = save_model(tmp_path / "backbone.safetensors", spec, lively_network(spec).state_dict(), "float32")
    assert probe(model, places, tmp_path / "out") == 1
    assert "no classes" in capsys.readouterr().err
    assert probe(model, places, tmp_path / "out", "--config", "finetune-tiny") == 0
    assert "low vegetation" in (tmp_path / "out" / "report.html").read_text(encoding="utf-8")


def test_settings_go_to_the_probe_or_to_the_configuration():
    job = ProbeJob("out", "m", ("a",), ("b",), "finetune-tiny", ("dims=[3]", "sources.0.units=power", "seed=4"))
    config, reading = settings_of(job, SPEC)
    assert config.dims == (3,)
    assert reading.seed == config.seed == 4
    assert reading.sources[0].units == "power"
    assert reading.sources[0].hold_out == 1
    assert reading.model.window == 32
    with pytest.raises(SettingInvalid, match=r"has \d+ sources"):
        settings_of(ProbeJob("out", "m", ("a",), ("b",), "finetune-starter"), SPEC)
    job = ProbeJob("out", "m", ("a",), ("b",), "finetune-starter", ("source=terramesh",))
    assert settings_of(job, SPEC)[1].sources[0].mapping[1] == (80,)


def test_a_missing_package_is_named_with_its_extra(monkeypatch, model, places, tmp_path, capsys):
    with pytest.raises(DependencyMissing, match=r"needs nosuchpackage.*sardino\[explore\]"):
        require_packages("probe", "explore", ("csv", "nosuchpackage"))
    monkeypatch.setitem(sys.modules, "sklearn", None)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name == "sklearn" else object())
    assert probe(model, places, tmp_path / "out") == 1
    assert "needs sklearn" in capsys.readouterr().err

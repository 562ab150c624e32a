"""Before a run: what is said must be what the run then does."""

import json

import numpy as np
import pytest
from affine import Affine

from sardino_core.contract.errors import NoValidData, SettingInvalid, SpacingUnsuitable
from sardino_core.contract.jobs import PreflightJob, RunOptions, SceneOptions, SegmentJob
from sardino_core.contract.messages import Result, decode
from sardino_core.inference import segment
from sardino_core.preflight import preflight
from tests.cli.conftest import speckled, write_raster


def look(scene, model, output=None, **options):
    job = PreflightJob(SceneOptions((str(scene),), **options), RunOptions(str(model)), output and str(output))
    return preflight(job)


def finding(result, name):
    return next(item for item in result.values["findings"] if item["name"] == name)


def test_it_tells_what_the_run_then_does(scene, model, tmp_path):
    values = look(scene, model).values
    made = segment(SegmentJob(SceneOptions((str(scene),)), RunOptions(str(model)), str(tmp_path / "map.tif")))
    assert values["windows"] == made.values["windows"]
    assert values["disk_mb"]["map"] == 90 * 100 / 1e6
    assert (values["width"], values["height"], values["crs"], values["spacing_m"]) == (100, 90, "EPSG:32633", 10)
    assert values["seconds"] > 0 and values["memory_mb"] > 50
    assert values["units"].startswith("db")


def test_a_good_scene_is_suitable(scene, model):
    values = look(scene, model).values
    assert values["suitable"] and values["valid_share"] == 1
    assert values["looks"] == pytest.approx(5, rel=0.3)
    db = speckled(90, 100)
    assert [band["mean_db"] for band in values["backscatter"]] == pytest.approx(db.mean(axis=(1, 2)), abs=0.5)


def test_backscatter_that_is_far_off_is_told(tmp_path, model):
    scene = write_raster(tmp_path / "dark.tif", speckled(150, 170) - 20)
    result = look(scene, model, units="db")
    assert not result.values["suitable"]
    assert any(not item["ok"] and "check the units" in item["found"] for item in result.values["findings"])


def test_resampling_is_told_and_looked_through(tmp_path, model):
    fine = Affine(4, 0, 500_000, 0, -4, 5_000_000)
    values = look(write_raster(tmp_path / "fine.tif", speckled(300, 320), transform=fine), model).values
    assert values["resampled"] and values["looks"] > 10  # 2 x 2 pixels or more are averaged
    assert "read at" in next(item["found"] for item in values["findings"] if item["name"] == "spacing")


def test_an_empty_part_is_no_error_and_not_suitable(tmp_path, model):
    db = speckled(150, 170)
    db[:, 40:] = np.nan
    scene = write_raster(tmp_path / "scene.tif", db)
    result = look(scene, model, extent=(500_000, 4_998_500, 501_700, 4_999_200))
    assert not result.values["suitable"] and result.values["valid_share"] == 0
    assert "nodata" in finding(result, "valid pixels")["fix"]


def test_refusals_are_the_readers_own(tmp_path, model):
    coarse = Affine(500, 0, 500_000, 0, -500, 5_000_000)
    with pytest.raises(SpacingUnsuitable):
        look(write_raster(tmp_path / "coarse.tif", speckled(64, 64), transform=coarse), model)
    with pytest.raises(NoValidData):
        look(write_raster(tmp_path / "empty.tif", np.full((2, 64, 64), np.nan, np.float32)), model)
    with pytest.raises(SettingInvalid, match="no HTML"):
        look(tmp_path / "coarse.tif", model, tmp_path / "report.tif")


def test_the_report_holds_every_finding(scene, model, tmp_path):
    result = look(scene, model, tmp_path / "report.html")
    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert result.outputs == {"output": str(tmp_path / "report.html")}
    assert "The scene suits the model." in text
    for name in ("bands", "units", "spacing", "looks", "memory", "disk"):
        assert f"<td>{name}</td>" in text
    json.dumps(result.values, allow_nan=False)


def test_the_command_prints_findings_and_is_silent_else(run, scene, model, tmp_path):
    status, out, err = run("preflight", scene, "--model", model, "--output", tmp_path / "report.html")
    assert status == 0 and err == ""
    lines = out.splitlines()
    assert lines[-1] == str(tmp_path / "report.html")
    assert all(line.startswith(("ok  ", "--  ")) for line in lines[:-1])
    assert sum(": " in line for line in lines[:-1]) == len(lines) - 1
    status, out, _ = run("preflight", scene, "--model", model, "--json")
    result = decode(out.splitlines()[-1])
    assert status == 0 and isinstance(result, Result) and result.values["suitable"] is True

"""Composite and change: several dates as QGIS gives them, and what comes of them."""

from __future__ import annotations

import subprocess

import pytest
from osgeo import gdal
from qgis.core import QgsProcessingException, QgsRasterLayer

from tests.qgis.calls import dated
from tests.qgis.conftest import ROOT

DAYS = "2024-06-06 2024-06-18, 2024-06-30;2024-07-12"


@pytest.fixture(scope="module")
def takes(worker, tmp_path_factory):
    """Four scenes of one place: the same ground, other speckle."""
    folder = tmp_path_factory.mktemp("takes")
    for take in range(4):
        command = [worker, "-m", "sardino_core", "simulate", "--size", "96", "--seed", "7", "--take", str(take)]
        subprocess.run([*command, "--output", str(folder / str(take))], check=True, cwd=ROOT, capture_output=True)
    return [str(folder / str(take) / "scene.tif") for take in range(4)]


def bands_of(path):
    dataset = gdal.Open(path)
    return [dataset.GetRasterBand(number + 1).GetDescription() for number in range(dataset.RasterCount)]


def test_a_composite_by_season_with_its_quality_and_style(run, feedback, takes, tmp_path):
    output, quality = str(tmp_path / "c.tif"), str(tmp_path / "q.tif")
    days = "2024-01-06 2024-01-18 2024-07-06 2024-07-18"
    result = run("composite", INPUT=takes, BY="season", DATES=days, FILTER="quegan", OUTPUT=output, QUALITY=quality)
    assert result == {"OUTPUT": output, "QUALITY": quality}
    assert bands_of(output) == ["VV@winter", "VH@winter", "VV@summer", "VH@summer"]
    assert bands_of(quality)[0] == "count@winter"
    layer = QgsRasterLayer(output)
    renderer = layer.renderer()
    assert renderer.type() == "multibandcolor"
    assert (renderer.redBand(), renderer.greenBand(), renderer.blueBand()) == (1, 2, 1)
    assert any("sardino composite" in line and "--by season" in line for line in feedback.said)


def test_an_extent_in_another_crs_and_the_grid_of_another_raster(run, takes, tmp_path):
    output = str(tmp_path / "c.tif")
    dataset = gdal.Open(takes[0])
    left, step, _, top, _, _ = dataset.GetGeoTransform()
    crs = QgsRasterLayer(takes[0]).crs().authid()
    extent = f"{left},{left + 40 * step},{top - 30 * step},{top} [{crs}]"
    run("composite", INPUT=takes[:1], DATES="2024-06-06", GRID=takes[1], EXTENT=extent, OUTPUT=output)
    found = gdal.Open(output)
    assert (found.RasterXSize, found.RasterYSize) == (40, 30)


def test_change_marks_are_two_classes(run, feedback, takes, tmp_path):
    output = str(tmp_path / "change.tif")
    assert run("change", BEFORE=takes[:3], AFTER=takes[3:], DATES=DAYS, FALSE_ALARM=0.05, OUTPUT=output) == {
        "OUTPUT": output
    }
    assert bands_of(output) == ["distance", "p-value", "change"]
    layer = QgsRasterLayer(output)
    renderer = layer.renderer()
    assert (renderer.type(), renderer.band()) == ("paletted", 3)
    assert [entry.label for entry in renderer.classes()] == ["no change", "change"]
    assert any("of 144 patches changed" in line for line in feedback.said)


@pytest.mark.parametrize(
    ("name", "given", "said"),
    [
        ("composite", {"INPUT": 2, "DATES": "2024-06-06"}, "1 dates for 2 inputs"),
        ("composite", {"INPUT": 1, "DATES": "June"}, "'June' is not of the form"),
        ("composite", {"INPUT": 1}, "tells no date"),
        ("composite", {"INPUT": 1, "DATES": "2024-06-06", "ORBIT": "12"}, "No date is of the orbit 12"),
        ("change", {"BEFORE": 2, "AFTER": 1, "DATES": "2024-06-06 2024-06-18 2024-06-30"}, "BEFORE holds 2 dates"),
        (
            "change",
            {"BEFORE": 3, "AFTER": 1, "DATES": "2024-06-06 2024-06-18 2024-06-30 2024-06-30"},
            "both before and",
        ),
    ],
)
def test_bad_input_is_one_line_in_the_words_of_qgis(run, scene, tmp_path, name, given, said):
    copies = dated(scene, 3)
    layers = {"INPUT": copies, "BEFORE": copies, "AFTER": [scene]}
    filled = {key: layers[key][:value] if key in layers else value for key, value in given.items()}
    with pytest.raises(QgsProcessingException, match=said):
        run(name, **filled, OUTPUT=str(tmp_path / "out.tif"))
    assert not list(tmp_path.iterdir())


def test_a_date_on_other_pixels_is_sent_to_the_composite(run, scene, tmp_path):
    other = str(tmp_path / "other.tif")
    gdal.Translate(other, scene, srcWin=[8, 8, 96, 96])
    days = "2024-06-06 2024-06-18 2024-06-30 2024-07-12"
    with pytest.raises(QgsProcessingException, match=r"lies on other pixels than .*`Temporal composite` of each, with"):
        run("change", BEFORE=dated(scene, 3), AFTER=[other], DATES=days, OUTPUT=str(tmp_path / "out.tif"))
    assert [path.name for path in tmp_path.iterdir()] == ["other.tif"]

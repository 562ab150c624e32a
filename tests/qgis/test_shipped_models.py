"""The models of the model designer that ship: hectares of a map, with and without zones; dates to a checked map."""

from __future__ import annotations

import json
import subprocess

import processing
import pytest
from osgeo import gdal
from qgis.core import QgsProcessingModelAlgorithm, QgsRasterLayer

from sar_dino_qgis.processing.shipped_model import MODELS
from tests.qgis.calls import outputs
from tests.qgis.conftest import ROOT
from tests.qgis.test_maps import values

PATCHES, TABLE = "measure:Land-cover polygons", "sort:Hectares per class and zone"


@pytest.fixture(scope="module")
def class_map(plugin, scene, tmp_path_factory):
    """A map with a hole of nodata."""
    path = str(tmp_path_factory.mktemp("map") / "map.tif")
    processing.run("sardino:segment", {"INPUT": [scene], "OUTPUT": path})
    dataset = gdal.Open(path, gdal.GA_Update)
    dataset.GetRasterBand(1).WriteRaster(10, 10, 30, 20, bytes(600))
    return path


@pytest.fixture
def hectares(run):
    """Rows of the table: zone, class, name, hectares, patches."""

    def measure(path, **parameters):
        found = run("hectares", MAP=path, **parameters, **{PATCHES: "memory:", TABLE: "memory:"})
        assert sum(patch["hectares"] for patch in found[PATCHES].getFeatures()) == pytest.approx(
            sum(row["hectares"] for row in found[TABLE].getFeatures())
        )
        return [row.attributes() for row in found[TABLE].getFeatures()]

    return measure


def test_every_pixel_is_measured(hectares, class_map):
    rows = hectares(class_map, SMALLEST=1)
    pixels = values(class_map)
    mapped = {value: pixels.count(value) for value in set(pixels) - {0}}
    assert {row[1] for row in rows} == set(mapped)
    for zone, value, name, area, patches in rows:
        assert zone == "whole map" and patches >= 1
        assert area == pytest.approx(mapped[value] / 100, rel=2e-3)  # pixels of 10 m; UTM's scale differs by 1e-3
        assert (
            name == {10: "trees", 30: "low vegetation", 50: "built-up", 60: "bare", 80: "water", 254: "unsure"}[value]
        )


def test_zones_share_the_map_out(hectares, class_map, tmp_path):
    box = QgsRasterLayer(class_map).extent()
    middle = box.xMinimum() + box.width() / 3
    parts = [("west", box.xMinimum(), middle), ("east", middle, box.xMaximum())]
    features = [
        {
            "type": "Feature",
            "properties": {"called": name},
            "geometry": {
                "type": "Polygon",
                "coordinates": [
                    [[x, y] for x, y in zip((left, right, right, left, left), _up_and_down(box), strict=True)]
                ],
            },
        }
        for name, left, right in parts
    ]
    crs = {"type": "name", "properties": {"name": QgsRasterLayer(class_map).crs().authid()}}
    (tmp_path / "zones.geojson").write_text(
        json.dumps({"type": "FeatureCollection", "crs": crs, "features": features}), encoding="utf-8"
    )
    rows = hectares(class_map, ZONES=str(tmp_path / "zones.geojson"), ZONE_FIELD="called")
    total = sum(area for *_, area, _ in hectares(class_map))
    by_zone = {name: sum(row[3] for row in rows if row[0] == name) for name, *_ in parts}
    assert sum(by_zone.values()) == pytest.approx(total, rel=1e-3)
    assert by_zone["east"] == pytest.approx(2 * (by_zone["west"] + 6), rel=0.01)  # the hole is in the west


def _up_and_down(box):
    return box.yMinimum(), box.yMinimum(), box.yMaximum(), box.yMaximum(), box.yMinimum()


def test_names_are_the_users_own_and_small_patches_go(hectares, class_map):
    rows = hectares(class_map, SMALLEST=50, NAMES="30 = open land , 80=sea")
    names = {row[1]: row[2] for row in rows}
    assert names[30] == "open land"
    assert {names[value] for value in set(names) - {30, 80}} == {str(value) for value in set(names) - {30, 80}}
    assert sum(row[4] for row in rows) < sum(row[4] for row in hectares(class_map, SMALLEST=1))


@pytest.fixture(scope="module")
def takes(worker, tmp_path_factory):
    """Two dates of one place, with its labels beside the first."""
    folder = tmp_path_factory.mktemp("takes")
    for take in ("0", "1"):
        command = [worker, "-m", "sardino_core", "simulate", "--size", "128", "--seed", "7", "--take", take]
        subprocess.run([*command, "--output", str(folder / take)], check=True, cwd=ROOT, capture_output=True)
    return folder


def uniform_squares(labels, side=8):
    """Squares of one class each, as features with the field `cover`: every other one of a class in one of two lists."""
    dataset = gdal.Open(str(labels))
    x0, dx, _, y0, _, dy = dataset.GetGeoTransform()
    lists, seen = ([], []), {}
    for row in range(0, dataset.RasterYSize, side):
        for col in range(0, dataset.RasterXSize, side):
            found = set(dataset.GetRasterBand(1).ReadRaster(col, row, side, side))
            if len(found) == 1:
                value = found.pop()
                seen[value] = seen.get(value, 0) + 1
                left, right = x0 + col * dx, x0 + (col + side) * dx
                top, bottom = y0 + row * dy, y0 + (row + side) * dy
                ring = [[left, bottom], [right, bottom], [right, top], [left, top], [left, bottom]]
                lists[seen[value] % 2].append(
                    {"type": "Feature", "properties": {"cover": f"kind {value}"},
                     "geometry": {"type": "Polygon", "coordinates": [ring]}}
                )  # fmt: skip
    often = {f"kind {value}" for value, count in seen.items() if count >= 8}
    return [[item for item in squares if item["properties"]["cover"] in often] for squares in lists]


def test_dates_become_a_checked_map(run, takes, tmp_path):
    crs = {"type": "name", "properties": {"name": QgsRasterLayer(str(takes / "0" / "scene.tif")).crs().authid()}}
    training, reference = uniform_squares(takes / "0" / "labels.tif")
    for name, squares in (("training", training), ("reference", reference)):
        body = {"type": "FeatureCollection", "crs": crs, "features": squares}
        (tmp_path / f"{name}.geojson").write_text(json.dumps(body), encoding="utf-8")
    wanted = outputs("checkedmap", tmp_path)
    found = run(
        "checkedmap", INPUT=[str(takes / take / "scene.tif") for take in ("0", "1")], DATES="2024-06-06 2024-06-18",
        TRAINING=str(tmp_path / "training.geojson"), FIELD="cover",
        REFERENCE=str(tmp_path / "reference.geojson"), REFERENCE_FIELD="cover", **wanted,
    )  # fmt: skip
    assert {key: found[key] for key in wanted} == wanted
    mean, mapped, attention, own, report = wanted.values()
    assert [gdal.Open(path).RasterCount for path in (mean, mapped, attention, own)] == [2, 1, 3, 1]
    kinds = {item["properties"]["cover"] for item in training}
    layer = QgsRasterLayer(own)  # its renderer goes with it
    labels = {item.label for item in layer.renderer().classes() if item.value}
    assert len(kinds) >= 2 and labels <= kinds
    assert found["CHILD_RESULTS"]["accuracy"]["OVERALL_ACCURACY"] > 1 / len(kinds)  # better than a guess
    assert all(kind in open(report, encoding="utf-8").read() for kind in kinds)


@pytest.mark.parametrize("path", sorted(MODELS.glob("*.model3")), ids=lambda path: path.stem)
def test_they_open_in_the_designer(plugin, path):
    model = QgsProcessingModelAlgorithm()
    assert model.fromFile(str(path))
    assert all(child.algorithm() is not None for child in model.childAlgorithms().values())
    inputs = {item.name() for item in model.parameterDefinitions() if not item.isDestination()}
    assert inputs | {"ALG_DESC"} <= set(model.helpContent())

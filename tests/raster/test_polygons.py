"""Cutlines and polygon masks."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rasterio.warp import transform_geom

from sardino_core.contract.errors import AreaOutside, DependencyMissing, InputMissing, SettingInvalid
from sardino_core.raster.grid import PixelWindow
from tests.raster.scenes import ORIGIN, UTM, everything, scene_of, speckled_db, write


def box(col0: float, row0: float, col1: float, row1: float) -> dict[str, Any]:
    corners = [(col0, row0), (col1, row0), (col1, row1), (col0, row1), (col0, row0)]
    return {"type": "Polygon", "coordinates": [[list(ORIGIN @ corner) for corner in corners]]}


def geojson(path: Path, *shapes: dict[str, Any], crs: str | None = "EPSG:32633") -> str:
    features = [{"type": "Feature", "properties": {}, "geometry": shape} for shape in shapes]
    document: dict[str, Any] = {"type": "FeatureCollection", "features": features}
    if crs:
        document["crs"] = {"type": "name", "properties": {"name": crs}}
    path.write_text(json.dumps(document))
    return str(path)


@pytest.fixture
def raster(tmp_path: Path) -> str:
    return write(tmp_path / "a.tif", speckled_db(), ("VV", "VH"))


def expected(rows: slice, cols: slice) -> np.ndarray[Any, np.dtype[np.bool_]]:
    inside = np.zeros((64, 64), bool)
    inside[rows, cols] = True
    return inside


def test_cutline_crops_and_masks(tmp_path: Path, raster: str) -> None:
    cutline = geojson(tmp_path / "c.geojson", box(10, 20, 30, 40), box(35, 20, 45, 30))
    scene = scene_of(raster, cutline=cutline)
    assert (scene.grid.height, scene.grid.width) == (20, 35)
    decibels, valid = everything(scene)
    wanted = expected(slice(20, 40), slice(10, 30)) | expected(slice(20, 30), slice(35, 45))
    assert np.array_equal(valid, wanted[20:40, 10:45]) and (decibels[:, ~valid] == 0).all()


def test_cutline_by_windows_is_the_same(tmp_path: Path, raster: str) -> None:
    corners = [(5, 3), (60, 20), (33, 61), (5, 3)]
    triangle = {"type": "Polygon", "coordinates": [[list(ORIGIN @ corner) for corner in corners]]}
    with scene_of(raster, cutline=geojson(tmp_path / "c.geojson", triangle)) as scene:
        _, whole = scene.read(scene.grid.full)
        for row in range(0, scene.grid.height - 7, 7):
            for col in range(0, scene.grid.width - 11, 11):
                window = PixelWindow(row, col, 7, 11)
                assert np.array_equal(scene.read(window)[1], whole[window.rows, window.cols])
        assert 0.3 < whole.mean() < 0.7


def test_cutline_and_extent_together(tmp_path: Path, raster: str) -> None:
    cutline = geojson(tmp_path / "c.geojson", box(10, 10, 30, 30))
    scene = scene_of(raster, cutline=cutline, extent=(500_000, 5_399_800, 500_200, 5_400_000))
    assert (scene.grid.height, scene.grid.width) == (10, 10)
    scene.close()
    with pytest.raises(AreaOutside, match="cutline"):
        scene_of(raster, cutline=cutline, extent=(500_400, 5_399_400, 500_600, 5_399_600))


@pytest.mark.parametrize("crs", ["EPSG:4326", "urn:ogc:def:crs:OGC:1.3:CRS84", None])
def test_longitude_and_latitude_are_recognised(tmp_path: Path, raster: str, crs: str | None) -> None:
    shape = transform_geom(UTM, "EPSG:4326", box(10, 20, 30, 40))
    _, valid = everything(scene_of(raster, cutline=geojson(tmp_path / "c.geojson", shape, crs=crs)))
    assert valid.sum() == pytest.approx(400, abs=42)


def test_without_crs_large_coordinates_are_the_rasters_own(tmp_path: Path, raster: str) -> None:
    _, valid = everything(scene_of(raster, cutline=geojson(tmp_path / "c.geojson", box(10, 20, 30, 40), crs=None)))
    assert valid.shape == (20, 20) and valid.all()


def test_cutline_on_a_raster_without_crs(tmp_path: Path) -> None:
    raster = write(tmp_path / "n.tif", speckled_db(), ("VV", "VH"), crs=None)
    _, valid = everything(scene_of(raster, cutline=geojson(tmp_path / "c.geojson", box(10, 20, 30, 40), crs=None)))
    assert valid.shape == (20, 20) and valid.all()


@pytest.mark.parametrize("wrap", ["geometry", "feature", "collection", "multi"])
def test_any_geojson_object(tmp_path: Path, raster: str, wrap: str) -> None:
    shape = box(10, 20, 30, 40)
    document = {
        "geometry": shape,
        "feature": {"type": "Feature", "geometry": shape, "properties": None},
        "collection": {"type": "GeometryCollection", "geometries": [{"type": "Point", "coordinates": [0, 0]}, shape]},
        "multi": {"type": "MultiPolygon", "coordinates": [shape["coordinates"]]},
    }[wrap]
    (tmp_path / "c.json").write_text(json.dumps(document))
    assert everything(scene_of(raster, cutline=str(tmp_path / "c.json")))[1].shape == (20, 20)


def test_polygons_as_mask_leave_out_what_they_cover(tmp_path: Path, raster: str) -> None:
    _, valid = everything(scene_of(raster, mask=geojson(tmp_path / "m.geojson", box(10, 20, 30, 40))))
    assert np.array_equal(valid, ~expected(slice(20, 40), slice(10, 30)))


@pytest.mark.parametrize("role", ["cutline", "mask"])
def test_polygons_outside(tmp_path: Path, raster: str, role: str) -> None:
    path = geojson(tmp_path / "c.geojson", box(1000, 1000, 1010, 1010))
    with pytest.raises(AreaOutside, match=rf"The {role} .*c\.geojson lies outside the raster"):
        scene_of(raster, **{role: path})


@pytest.mark.parametrize(
    ("content", "error", "text"),
    [
        ("{not json", SettingInvalid, "no valid GeoJSON"),
        ("[1, 2]", SettingInvalid, "no GeoJSON"),
        ('{"a": 1}', SettingInvalid, "no GeoJSON"),
        ('{"type": "FeatureCollection", "features": []}', AreaOutside, "holds no polygon"),
        ('{"type": "Point", "coordinates": [1, 2]}', AreaOutside, "holds no polygon"),
        ('{"type": "Polygon", "coordinates": [[[1, 2], [3, 4]]]}', AreaOutside, "holds no polygon"),
        ('{"type": "Polygon", "coordinates": "x"}', AreaOutside, "holds no polygon"),
        ('{"type": "Polygon", "coordinates": [[[0,0],[1,0],[1,1],[0,0]]], "crs": {"properties": {"name": "EPSG:0"}}}',
         SettingInvalid, "unknown CRS"),
    ],
)  # fmt: skip
def test_bad_polygons(tmp_path: Path, raster: str, content: str, error: type[Exception], text: str) -> None:
    (tmp_path / "c.geojson").write_text(content)
    with pytest.raises(error, match=text):
        scene_of(raster, cutline=str(tmp_path / "c.geojson"))


def test_missing_polygons(raster: str) -> None:
    with pytest.raises(InputMissing, match="The cutline"):
        scene_of(raster, cutline="none.geojson")


@pytest.mark.skipif(importlib.util.find_spec("pyogrio") is not None, reason="pyogrio is installed")
def test_other_formats_name_the_extra(tmp_path: Path, raster: str) -> None:
    (tmp_path / "c.gpkg").write_bytes(b"x")
    with pytest.raises(DependencyMissing, match=r"sardino\[vector\]"):
        scene_of(raster, cutline=str(tmp_path / "c.gpkg"))

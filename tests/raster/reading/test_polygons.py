"""Cutlines and polygon masks."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from affine import Affine
from rasterio import warp
from rasterio.crs import CRS
from rasterio.warp import transform_geom

from sardino_core.contract.errors import AreaOutside, DependencyMissing, InputMissing, SettingInvalid
from sardino_core.raster.grid import PixelWindow
from tests.raster.scenes import ORIGIN, UTM, everything, scene_of, speckled_db, write

LONLAT = CRS.from_epsg(4326)


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
        ('{"type": "MultiPolygon", "coordinates": []}', AreaOutside, "holds no polygon"),
        ('{"type": "Polygon", "coordinates": [[[1, 2], [3, 4]]]}', SettingInvalid, r"malformed polygon \(number 1\)"),
        ('{"type": "Polygon", "coordinates": "x"}', SettingInvalid, "malformed polygon"),
        ('{"type": "Polygon", "coordinates": [[["0","0"],["9","0"],["9","9"],["0","0"]]]}',
         SettingInvalid, "malformed polygon"),
        ('{"type": "Polygon", "coordinates": [[[0,0],[NaN,0],[9,9],[0,0]]]}', SettingInvalid, "malformed polygon"),
        ('{"type": "Polygon", "coordinates": [[[0,0],[1e999,0],[9,9],[0,0]]]}', SettingInvalid, "malformed polygon"),
        ('{"type": "FeatureCollection", "features": 5}', SettingInvalid, "FeatureCollection without its list"),
        ('{"type": "FeatureCollection", "features": [5]}', SettingInvalid, "it holds 5"),
        ('{"type": "Topology", "objects": {}}', SettingInvalid, "no valid GeoJSON"),
        ('{"type": "Polygon", "coordinates": [[[0,0],[1,0],[1,1],[0,0]]], "crs": {"properties": ["x"]}}',
         SettingInvalid, "unknown CRS"),
        ('{"type": "Polygon", "coordinates": [[[0,0],[1,0],[1,1],[0,0]]], "crs": {"properties": {"name": ""}}}',
         SettingInvalid, "unknown CRS"),
        ('{"type": "Polygon", "coordinates": [[[0,0],[1,0],[1,1],[0,0]]], "crs": {"properties": {"name": "EPSG:0"}}}',
         SettingInvalid, "unknown CRS"),
    ],
)  # fmt: skip
def test_bad_polygons(tmp_path: Path, raster: str, content: str, error: type[Exception], text: str) -> None:
    (tmp_path / "c.geojson").write_text(content)
    with pytest.raises(error, match=text):
        scene_of(raster, cutline=str(tmp_path / "c.geojson"))


def test_one_malformed_polygon_is_not_left_out(tmp_path: Path, raster: str) -> None:
    broken = {"type": "Polygon", "coordinates": [[[0, 0], [1, 1], [0, 0]]]}
    path = geojson(tmp_path / "m.geojson", box(10, 20, 30, 40), broken)
    with pytest.raises(SettingInvalid, match=r"The mask .*m\.geojson has a malformed polygon \(number 2\)"):
        scene_of(raster, mask=path)


def test_parts_that_overlap_cover_once(tmp_path: Path, raster: str) -> None:
    parts = [box(10, 20, 30, 40)["coordinates"], box(20, 20, 40, 40)["coordinates"]]
    path = geojson(tmp_path / "m.geojson", {"type": "MultiPolygon", "coordinates": parts})
    _, valid = everything(scene_of(raster, mask=path))
    assert np.array_equal(valid, ~expected(slice(20, 40), slice(10, 40)))


def rectangle(west: float, south: float, east: float, north: float) -> dict[str, Any]:
    ring = [[west, south], [east, south], [east, north], [west, north], [west, south]]
    return {"type": "Polygon", "coordinates": [ring]}


def north_of(latitude: float, transform: Affine, crs: CRS, size: int) -> np.ndarray[Any, np.dtype[np.bool_]]:
    cols, rows = np.meshgrid(np.arange(size) + 0.5, np.arange(size) + 0.5)
    xs, ys = transform @ (cols.ravel(), rows.ravel())
    return (np.array(warp.transform(crs, "EPSG:4326", xs, ys)[1]) > latitude).reshape(size, size)


def test_a_parallel_bends_as_the_map_does(tmp_path: Path, raster: str) -> None:
    # Straight between its ends in UTM, the edge would lie 480 m, 48 pixels, further north.
    path = geojson(tmp_path / "m.geojson", rectangle(14, 48.748, 16, 49), crs=None)
    _, valid = everything(scene_of(raster, mask=path))
    assert np.array_equal(valid, ~north_of(48.748, ORIGIN, UTM, 64)) and 0.1 < valid.mean() < 0.9


def test_a_wide_raster_keeps_to_the_parallel(tmp_path: Path) -> None:
    coarse = Affine(4000, 0, 372_000, 0, -4000, 5_500_000)
    wide = write(tmp_path / "a.tif", speckled_db(), ("VV", "VH"), transform=coarse)
    _, valid = everything(scene_of(wide, mask=geojson(tmp_path / "m.geojson", rectangle(-10, 48.5, 40, 70), crs=None)))
    assert np.array_equal(valid, ~north_of(48.5, coarse, UTM, 64)) and 0.1 < valid.mean() < 0.9


@pytest.mark.parametrize(
    "area", [(-180, -90, 180, 90), (-170, -80, 170, 80), (0, -90, 360, 90), (-1e9, -1e9, 1e9, 1e9)]
)
@pytest.mark.parametrize("crs", ["EPSG:4326", "EPSG:4258"])
def test_polygons_as_large_as_the_world(
    tmp_path: Path, raster: str, area: tuple[float, float, float, float], crs: str
) -> None:
    path = geojson(tmp_path / "c.geojson", rectangle(*area), crs=crs)
    assert everything(scene_of(raster, cutline=path))[1].sum() == 64 * 64
    assert not everything(scene_of(raster, mask=path))[1].any()
    degrees = write(
        tmp_path / "d.tif", speckled_db(), ("VV", "VH"), transform=Affine(1e-4, 0, 15, 0, -1e-4, 48), crs=LONLAT
    )
    assert everything(scene_of(degrees, cutline=path))[1].sum() == 64 * 64


def test_a_world_in_metres(tmp_path: Path, raster: str) -> None:
    world = rectangle(-20037508, -20037508, 20037508, 20037508)
    assert everything(scene_of(raster, cutline=geojson(tmp_path / "c.geojson", world, crs="EPSG:3857")))[1].all()


@pytest.mark.parametrize(
    "area", [(1e9, 1e9, 2e9, 2e9), (100, -10, 110, 0), (100, 91, 120, 95), (-70, 48, -60, 49)], ids=str
)
def test_lonlat_far_away_is_outside(tmp_path: Path, raster: str, area: tuple[float, float, float, float]) -> None:
    path = geojson(tmp_path / "c.geojson", rectangle(*area), crs="EPSG:4326")
    for role in ("cutline", "mask"):
        with pytest.raises(AreaOutside, match="lies outside the raster"):
            scene_of(raster, **{role: path})


def test_a_crs_that_does_not_reach_the_raster(tmp_path: Path, raster: str) -> None:
    south = write(tmp_path / "s.tif", speckled_db(), ("VV", "VH"), crs=CRS.from_epsg(3031), transform=ORIGIN)
    path = geojson(tmp_path / "c.geojson", rectangle(4e6, 2e6, 5e6, 3e6), crs="EPSG:2056")
    with pytest.raises(AreaOutside, match=r"c\.geojson"):
        scene_of(south, cutline=path)


@pytest.mark.parametrize("kind", ["degrees", "utm"])
@pytest.mark.parametrize("west", [179.9, -180.1])
def test_polygons_across_the_date_line(tmp_path: Path, kind: str, west: float) -> None:
    place = (Affine(1e-3, 0, 179.968, 0, -1e-3, 48), LONLAT) if kind == "degrees" else (
        Affine(100, 0, 720_500, 0, -100, 5_320_000), CRS.from_epsg(32660))  # fmt: skip
    raster = write(tmp_path / "a.tif", speckled_db(), ("VV", "VH"), transform=place[0], crs=place[1])
    whole = geojson(tmp_path / "w.geojson", rectangle(west, 40, west + 0.2, 50), crs="EPSG:4326")
    assert everything(scene_of(raster, cutline=whole))[1].sum() == 64 * 64
    halves = rectangle(179.9, 40, 180, 50), rectangle(-180, 40, -179.9, 50)
    assert everything(scene_of(raster, cutline=geojson(tmp_path / "h.geojson", *halves, crs=None)))[1].sum() == 64 * 64
    _, valid = everything(scene_of(raster, mask=geojson(tmp_path / "e.geojson", halves[1], crs="EPSG:4326")))
    assert valid[:, :20].all() and not valid[:, -20:].any()


def test_polygons_in_metres_on_degrees_beyond_180(tmp_path: Path) -> None:
    raster = write(
        tmp_path / "a.tif", speckled_db(), ("VV", "VH"), transform=Affine(1e-3, 0, 179.968, 0, -1e-3, 48), crs=LONLAT
    )
    zone = geojson(tmp_path / "z.geojson", rectangle(700_000, 5_000_000, 750_000, 5_400_000), crs="EPSG:32660")
    assert everything(scene_of(raster, cutline=zone))[1].sum() == 64 * 64


def test_polygons_around_the_pole(tmp_path: Path) -> None:
    polar = Affine(10_000, 0, -320_000, 0, -10_000, 320_000)
    raster = write(tmp_path / "a.tif", speckled_db(), ("VV", "VH"), transform=polar, crs=CRS.from_epsg(3413))
    path = geojson(tmp_path / "m.geojson", rectangle(-180, 88, 180, 90), crs=None)
    _, valid = everything(scene_of(raster, mask=path))
    assert np.array_equal(valid, ~north_of(88, polar, CRS.from_epsg(3413), 64)) and 0.1 < valid.mean() < 0.9


def test_missing_polygons(raster: str) -> None:
    with pytest.raises(InputMissing, match="The cutline"):
        scene_of(raster, cutline="none.geojson")


@pytest.mark.skipif(importlib.util.find_spec("pyogrio") is not None, reason="pyogrio is installed")
def test_other_formats_name_the_extra(tmp_path: Path, raster: str) -> None:
    (tmp_path / "c.gpkg").write_bytes(b"x")
    with pytest.raises(DependencyMissing, match=r"sardino\[vector\]"):
        scene_of(raster, cutline=str(tmp_path / "c.gpkg"))

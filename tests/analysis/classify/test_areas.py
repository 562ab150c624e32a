"""Labelled areas: read, refused, and the pixels drawn from them."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rasterio.crs import CRS
from rasterio.warp import transform_geom

from sardino_core.analysis.classify import areas
from sardino_core.analysis.classify.areas import Areas, draw_pixels, groups, read_areas
from sardino_core.contract.errors import AreaOutside, SettingInvalid
from sardino_core.raster.grid import RasterGrid
from tests.raster.scenes import ORIGIN, UTM

GRID = RasterGrid(100, 90, ORIGIN, UTM)


def rectangle(row, col, height, width):
    """GeoJSON coordinates of a rectangle of pixels."""
    corners = [(0, 0), (width, 0), (width, height), (0, height), (0, 0)]
    return [[list(ORIGIN @ (col + x, row + y)) for x, y in corners]]


def feature(label, geometry, field="class"):
    return {"type": "Feature", "properties": {field: label}, "geometry": geometry}


def polygon(label, *place, field="class"):
    return feature(label, {"type": "Polygon", "coordinates": rectangle(*place)}, field)


def point(label, row, col):
    return feature(label, {"type": "Point", "coordinates": list(ORIGIN @ (col + 0.5, row + 0.5))})


def write(path, features, crs="EPSG:32633"):
    document = {"type": "FeatureCollection", "features": features}
    if crs:
        document["crs"] = {"type": "name", "properties": {"name": crs}}
    path.write_text(json.dumps(document), encoding="utf-8")
    return str(path)


def draw(found, classes, seed=0):
    return draw_pixels(found, np.asarray(classes), GRID, seed, lambda: None)


def test_every_pixel_of_small_polygons_is_drawn(tmp_path):
    path = write(
        tmp_path / "a.geojson", [polygon(1, 10, 20, 3, 4), polygon("2", 50, 60, 5, 2), polygon(None, 0, 0, 9, 9)]
    )
    found = read_areas(path, GRID, "class")
    assert found.labels == ("1", "2") and found.kind == "polygons" and not found.notes
    pixels = draw(found, [0, 1])
    expected = [(row, col) for row in range(10, 13) for col in range(20, 24)]
    expected += [(row, col) for row in range(50, 55) for col in range(60, 62)]
    assert list(zip(pixels.rows, pixels.cols, strict=True)) == expected
    assert pixels.area.tolist() == [0] * 12 + [1] * 10
    assert groups(found).tolist() == [0, 1]


def test_no_more_than_so_many_of_each_area(tmp_path):
    path = write(tmp_path / "a.geojson", [polygon(1, 0, 0, 40, 100), polygon(2, 50, 0, 20, 20)])
    found = read_areas(path, GRID, "class")
    pixels = draw(found, [0, 1])
    assert np.bincount(pixels.area).tolist() == [areas.PIXELS_PER_AREA, 400]
    assert len(set(zip(pixels.rows, pixels.cols, strict=True))) == len(pixels.rows)
    assert not np.array_equal(pixels.rows, draw(found, [0, 1], seed=1).rows)


@given(piece_px=st.integers(1, 5000))
def test_the_drawing_does_not_depend_on_how_the_raster_is_cut(tmp_path_factory, piece_px):
    path = write(tmp_path_factory.mktemp("areas") / "a.geojson", [polygon(1, 0, 0, 40, 70), polygon(2, 50, 5, 35, 90)])
    found = read_areas(path, GRID, "class")
    before = areas._PIECE_PX
    whole = draw(found, [0, 1])
    try:
        areas._PIECE_PX = piece_px
        cut = draw(found, [0, 1])
    finally:
        areas._PIECE_PX = before
    assert np.array_equal(whole.rows, cut.rows) and np.array_equal(whole.cols, cut.cols)


def test_another_crs_is_brought_over_and_told(tmp_path):
    features = [polygon("a", 10, 20, 8, 8), polygon("b", 50, 60, 8, 8)]
    for item in features:
        item["geometry"] = transform_geom(UTM, CRS.from_epsg(4326), item["geometry"])
    found = read_areas(write(tmp_path / "a.geojson", features, crs=None), GRID, "class")
    assert len(draw(found, [0, 1]).rows) == 128
    assert "EPSG:4326" in found.notes[0] and "EPSG:32633" in found.notes[0]


def test_areas_outside_are_left_out_and_counted(tmp_path):
    path = write(tmp_path / "a.geojson", [polygon(1, 10, 20, 3, 4), polygon(2, 500, 20, 3, 4)])
    found = read_areas(path, GRID, "class")
    assert found.labels == ("1",) and found.warnings[0].startswith("1 of the training polygons lie outside")
    with pytest.raises(AreaOutside, match="lies outside the raster, which covers"):
        read_areas(write(tmp_path / "b.geojson", [polygon(2, 500, 20, 3, 4)]), GRID, "class")


def test_a_missing_field_names_those_that_there_are(tmp_path):
    path = write(tmp_path / "a.geojson", [polygon(1, 10, 20, 3, 4, field="cover")])
    with pytest.raises(SettingInvalid, match=r"field 'class'; its fields are cover\. .*--field"):
        read_areas(path, GRID, "class")


def test_overlaps_of_different_classes_are_refused_whatever_the_order(tmp_path):
    features = [polygon("a", 10, 10, 20, 20), polygon("b", 15, 15, 9, 9), polygon("a", 12, 12, 16, 16)]
    for order in ([0, 1, 2], [2, 1, 0], [1, 0, 2]):
        found = read_areas(write(tmp_path / "a.geojson", [features[index] for index in order]), GRID, "class")
        with pytest.raises(SettingInvalid, match=r"polygons \d \([ab]\) and \d \([ab]\) overlap"):
            draw(found, [0 if label == "a" else 1 for label in found.labels])


def test_overlaps_of_one_class_count_once(tmp_path):
    path = write(tmp_path / "a.geojson", [polygon("a", 10, 10, 10, 10), polygon("a", 15, 10, 10, 10)])
    assert len(draw(read_areas(path, GRID, "class"), [0, 0]).rows) == 150


def test_points_are_pixels_and_squares_hold_them_together(tmp_path):
    features = [point("a", 1, 1), point("a", 30, 31), point("b", 40, 1), point("b", 500, 1)]
    found = read_areas(write(tmp_path / "a.geojson", features), GRID, "class")
    assert found.kind == "points" and found.labels == ("a", "a", "b") and len(found.warnings) == 1
    pixels = draw(found, [0, 0, 1])
    assert list(zip(pixels.rows, pixels.cols, strict=True)) == [(1, 1), (30, 31), (40, 1)]
    first, second, third = groups(found)
    assert first == second != third


def test_two_classes_in_one_pixel_are_refused(tmp_path):
    found = read_areas(write(tmp_path / "a.geojson", [point("a", 1, 1), point("b", 1, 1)]), GRID, "class")
    with pytest.raises(SettingInvalid, match=r"classes a and b lie in one pixel \(row 1, column 1\)"):
        draw(found, [0, 1])


def test_lines_are_no_areas(tmp_path):
    line = feature("a", {"type": "LineString", "coordinates": [[500_000, 5_400_000], [500_100, 5_400_000]]})
    with pytest.raises(AreaOutside, match="holds no polygon and no point"):
        read_areas(write(tmp_path / "a.geojson", [line]), GRID, "class")


def test_an_area_knows_its_kind():
    assert Areas(("a",), (), np.array([[0, 0]]), (), ()).kind == "points"

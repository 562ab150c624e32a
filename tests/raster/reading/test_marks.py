"""Marked places: points and polygons, from any CRS, by name."""

import json

import numpy as np
import pytest
from affine import Affine
from hypothesis import given
from hypothesis import strategies as st
from rasterio.crs import CRS
from rasterio.warp import transform

from sardino_core.contract.errors import AreaOutside, InputMissing, SettingInvalid
from sardino_core.raster.grid import RasterGrid
from sardino_core.raster.reading.marks import read_marks
from sardino_core.raster.reading.vector_file import read_vector

GRID = RasterGrid(40, 30, Affine(10, 0, 500_000, 0, -10, 5_000_000), CRS.from_epsg(32633))


def point(col, row, crs="EPSG:32633", grid=GRID):
    x, y = grid.transform @ (col, row)
    xs, ys = transform(grid.crs, crs, [x], [y])
    return {"type": "Point", "coordinates": [xs[0], ys[0]]}


def square(col, row, side):
    corners = [(col, row), (col + side, row), (col + side, row + side), (col, row + side), (col, row)]
    return {"type": "Polygon", "coordinates": [[list(GRID.transform @ corner) for corner in corners]]}


def write(path, *geometries, names=(), crs="EPSG:32633"):
    names = names or [None] * len(geometries)
    features = [
        {"type": "Feature", "properties": {"kind": name}, "geometry": geometry}
        for name, geometry in zip(names, geometries, strict=True)
    ]
    document = {"type": "FeatureCollection", "features": features}
    if crs:
        document["crs"] = {"type": "name", "properties": {"name": crs}}
    path.write_text(json.dumps(document), encoding="utf-8")
    return str(path)


def marked(path, grid, field):
    """Areas by label, and the notes."""
    marks = read_marks(read_vector(path, "references"), grid, field, "Name another.")
    return marks.areas(grid), marks.notes


def pixels(area, grid=GRID):
    return {tuple(map(int, place)) for place in np.argwhere(area.covers(grid.full))}


@given(st.floats(0.01, 39.99), st.floats(0.01, 29.99), st.floats(-60, 60))
def test_a_point_is_the_pixel_that_it_lies_in_however_the_grid_is_turned(tmp_path_factory, col, row, degrees):
    grid = RasterGrid(40, 30, GRID.transform @ Affine.rotation(degrees), GRID.crs)
    path = write(tmp_path_factory.mktemp("marks") / "m.geojson", point(col, row, grid=grid))
    marks, notes = marked(path, grid, None)
    near = {(int(row + dr), int(col + dc)) for dr in (-1e-6, 1e-6) for dc in (-1e-6, 1e-6)}  # rounding at an edge
    found = pixels(marks[""], grid)
    assert len(found) == 1 and found <= near and not notes


@pytest.mark.parametrize("member", [True, False])
def test_another_crs_is_brought_over_and_told(tmp_path, member):
    path = write(tmp_path / "m.geojson", point(7.5, 3.5, "EPSG:4326"), crs="EPSG:4326" if member else None)
    marks, notes = marked(path, GRID, None)
    assert pixels(marks[""]) == {(3, 7)}
    assert "EPSG:4326" in notes[0] and "EPSG:32633" in notes[0]


def test_names_are_bands_in_the_order_of_appearance(tmp_path):
    geometries = [square(1, 1, 2), point(20.5, 20.5), point(30.5, 5.5), square(10, 10, 1)]
    path = write(tmp_path / "m.geojson", *geometries, names=["wood", 7, "wood", None])
    marks, _ = marked(path, GRID, "kind")
    assert list(marks) == ["wood", "7"]
    assert pixels(marks["wood"]) == {(1, 1), (1, 2), (2, 1), (2, 2), (5, 30)}
    assert pixels(marks["7"]) == {(20, 20)}
    everything, _ = marked(path, GRID, None)
    assert len(pixels(everything[""])) == 7


def test_multipoints_and_collections_count_whole(tmp_path):
    many = {"type": "MultiPoint", "coordinates": [point(1.5, 1.5)["coordinates"], point(2.5, 1.5)["coordinates"]]}
    path = write(tmp_path / "m.geojson", {"type": "GeometryCollection", "geometries": [many, square(5, 5, 1)]})
    marks, _ = marked(path, GRID, None)
    assert pixels(marks[""]) == {(1, 1), (1, 2), (5, 5)}


def test_what_lies_outside_has_no_window(tmp_path):
    marks, _ = marked(write(tmp_path / "m.geojson", point(400, 3)), GRID, None)
    assert marks[""].window is None


def test_some_marks_outside_are_told(tmp_path):
    geometries = [point(3, 3), point(-0.5, 3), square(38, 3, 4), square(12, 31, 2)]
    path = write(tmp_path / "m.geojson", *geometries, names=list("abab"))
    for field in (None, "kind"):
        found = read_marks(read_vector(path, "references"), GRID, field, "Name another.")
        assert found.outside(GRID) == "2 of the 4 marked places lie outside the raster and are left out."
    inside = read_vector(write(tmp_path / "n.geojson", point(3, 3)), "references")
    assert read_marks(inside, GRID, None, "").outside(GRID) == ""


def test_bad_marks_are_told(tmp_path):
    path = write(tmp_path / "m.geojson", point(1, 1), names=["a"])
    with pytest.raises(SettingInvalid, match=r"No feature .* in the field 'name'; its fields are kind"):
        marked(path, GRID, "name")
    with pytest.raises(InputMissing):
        marked(str(tmp_path / "other.geojson"), GRID, None)
    with pytest.raises(SettingInvalid, match="malformed point"):
        marked(write(tmp_path / "b.geojson", {"type": "Point", "coordinates": [1, "x"]}), GRID, None)
    line = {"type": "LineString", "coordinates": [[5e5, 5e6], [5e5, 4.9e6]]}
    with pytest.raises(AreaOutside, match="no polygon and no point"):
        marked(write(tmp_path / "c.geojson", line), GRID, None)

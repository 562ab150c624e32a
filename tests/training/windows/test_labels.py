"""Label rasters on the image's grid, and what their values allow."""

from __future__ import annotations

import numpy as np
import pytest
from affine import Affine
from rasterio.crs import CRS

from sardino_core.contract.errors import AreaOutside, NotARaster, SettingInvalid
from sardino_core.raster.grid import PixelWindow, RasterGrid
from sardino_core.raster.reading.labels import LabelRaster
from sardino_core.training.settings.finetune_config import SourceConfig
from sardino_core.training.windows.targets import ClassSets, Legend, erode
from tests.training.rasters import CLASSES, UTM, write

GRID = RasterGrid(40, 40, Affine(10, 0, 500_000, 0, -10, 5_000_000), UTM)
QUARTERS = np.kron(np.array([[1, 2], [3, 4]], np.uint8), np.ones((20, 20), np.uint8))


def read(paths, window=GRID.full):
    with LabelRaster(paths, GRID) as labels:
        return labels.read(window)


def test_labels_on_the_same_grid_come_as_they_are(tmp_path):
    values, known = read([write(tmp_path / "a.tif", QUARTERS)], PixelWindow(15, 10, 10, 20))
    assert known.all()
    assert np.array_equal(values, QUARTERS[15:25, 10:30])


@pytest.mark.parametrize("factor", [2, 5])
def test_coarser_labels_are_repeated_not_interpolated(tmp_path, factor):
    coarse = write(tmp_path / "a.tif", QUARTERS[::factor, ::factor].copy(), GRID.coarsen(factor).transform)
    values, known = read([coarse])
    assert known.all()
    assert np.array_equal(values, QUARTERS)


def test_labels_in_degrees_land_on_the_image_within_a_pixel(tmp_path):
    bounds = GRID.bounds_in(CRS.from_epsg(4326))
    side_x, side_y = (bounds.xmax - bounds.xmin) / 200, (bounds.ymax - bounds.ymin) / 200
    fine = np.kron(np.array([[1, 2], [3, 4]], np.uint8), np.ones((100, 100), np.uint8))
    path = write(tmp_path / "a.tif", fine, Affine(side_x, 0, bounds.xmin, 0, -side_y, bounds.ymax), CRS.from_epsg(4326))
    values, known = read([path])
    wrong = (values != QUARTERS) & known
    assert known.mean() > 0.95
    assert not wrong[:18].any(axis=1).any() or wrong.mean() < 0.05
    assert wrong.mean() < 0.06


def test_pixels_outside_every_label_raster_and_nodata_are_unknown(tmp_path):
    west = write(tmp_path / "west.tif", QUARTERS[:, :10].copy())
    shifted = Affine(10, 0, 500_050, 0, -10, 5_000_000)
    east = write(tmp_path / "east.tif", np.full((40, 10), 9, np.uint8), shifted)
    holes = QUARTERS.copy()
    holes[:, :35] = 0
    values, known = read([west, east, write(tmp_path / "holes.tif", holes, nodata=0)])
    assert np.array_equal(known[0], np.array([True] * 15 + [False] * 20 + [True] * 5))
    assert np.array_equal(values[0, :15], [1] * 10 + [9] * 5)  # the first that covers a pixel wins


def test_labels_elsewhere_of_floats_or_no_raster_are_refused(tmp_path):
    far = write(tmp_path / "far.tif", QUARTERS, Affine(10, 0, 900_000, 0, -10, 5_000_000))
    floats = write(tmp_path / "floats.tif", QUARTERS.astype(np.float32))
    (tmp_path / "text.tif").write_text("no raster")
    with pytest.raises(AreaOutside, match=r"far\.tif"):
        LabelRaster([far], GRID)
    with pytest.raises(NotARaster, match="float32"):
        LabelRaster([floats], GRID)
    with pytest.raises(NotARaster, match=r"text\.tif"):
        LabelRaster([tmp_path / "text.tif"], GRID)


def test_a_label_value_stands_for_a_set_of_classes():
    source = SourceConfig(mapping={0: (10, 30), 1: (80,), 7: (30, 10)}, ignore=(-1,))
    sets = ClassSets.of(CLASSES, [source])
    legend = Legend.of(sets, source)
    target = legend.apply(np.array([[0, 1, 7, -1, 1]]), np.array([[True, True, True, True, False]]), "x.tif")
    assert [sets.members[number] for number in target[0]] == [{10, 30}, {80}, {10, 30}, set(), set()]
    assert np.array_equal(sets.table[target[0, 0]], [False, True, True])


def test_without_a_mapping_values_are_classes_and_0_is_nothing():
    sets = ClassSets.of(CLASSES, [SourceConfig()])
    target = Legend.of(sets, SourceConfig()).apply(np.array([[0, 80, 30]]), np.ones((1, 3), bool), "x.tif")
    assert [sets.members[number] for number in target[0]] == [set(), {80}, {30}]


def test_strange_values_and_classes_are_named():
    sets = ClassSets.of(CLASSES, [SourceConfig()])
    with pytest.raises(SettingInvalid, match=r"x\.tif holds the label 50"):
        Legend.of(sets, SourceConfig()).apply(np.array([[50]]), np.ones((1, 1), bool), "x.tif")
    with pytest.raises(SettingInvalid, match=r"sources\[0\]\.mapping sends 1 to 90"):
        ClassSets.of(CLASSES, [SourceConfig(mapping={1: (90,)})])


@pytest.mark.parametrize("distance", [0, 1, 2, 3])
def test_erosion_forgets_just_the_pixels_near_another_label(distance):
    rng = np.random.default_rng(0)
    target = np.kron(rng.integers(0, 3, (4, 5)), np.ones((9, 8), np.int64))
    eroded = erode(target, distance)
    for row in range(target.shape[0]):
        for col in range(target.shape[1]):
            near = target[max(0, row - distance) : row + distance + 1, max(0, col - distance) : col + distance + 1]
            expected = target[row, col] if (near == target[row, col]).all() else 0
            assert eroded[row, col] == expected


def test_a_picture_of_a_map_is_no_label_raster(tmp_path):
    """Its red would be taken for classes."""
    picture = write(tmp_path / "map.tif", np.stack([QUARTERS * 10, QUARTERS, QUARTERS]))
    with pytest.raises(NotARaster, match=r"map\.tif is a picture"):
        read([picture])

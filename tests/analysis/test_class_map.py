import numpy as np
import pytest
from affine import Affine
from rasterio.crs import CRS

from sardino_core.analysis import class_map
from sardino_core.analysis.class_map import ClassMap, survey
from sardino_core.contract.errors import InputMissing, NotARaster, NoValidData
from sardino_core.contract.listener import Listener
from sardino_core.contract.model_spec import ClassSpec
from tests.analysis.maps import LEGEND, UNSURE, patchwork, write_map


def strata_of(path):
    with ClassMap(path) as opened:
        return survey(opened, Listener())


TILED = {"tiled": True, "blockxsize": 32, "blockysize": 16}


@pytest.mark.parametrize("profile", [{}, TILED, {"blockysize": 7}])
def test_windows_cover_every_pixel_once_and_are_bounded(tmp_path, monkeypatch, profile):
    monkeypatch.setattr(class_map, "_WINDOW_PX", 1500)
    values = patchwork(131, 67)
    with ClassMap(write_map(tmp_path / "map.tif", values, **profile)) as opened:
        times, joined = np.zeros(values.shape, int), np.zeros_like(values)
        for window in opened.windows():
            times[window.rows, window.cols] += 1
            joined[window.rows, window.cols] = opened.read(window)[0]
            block = np.prod(opened.dataset.block_shapes[0])  # is decoded whole, whatever its size
            assert window.height * window.width <= max(1500, block)
    assert (times == 1).all() and (joined == values).all()


def test_counts_areas_and_names(tmp_path):
    values = patchwork()
    strata = strata_of(write_map(tmp_path / "map.tif", values))
    assert {s.item.value: s.pixels for s in strata} == {v: int((values == v).sum()) for v in (10, 30, 80, 254)}
    assert sum(s.area for s in strata) == pytest.approx((values != 0).sum() / 100)
    assert [(s.item.name, s.item.colour, s.unsure) for s in strata] == [
        (item.name, item.colour, item == UNSURE) for item in LEGEND
    ]


def test_areas_of_degrees_follow_the_latitude(tmp_path):
    values = np.repeat(np.array([[10], [30]], np.uint8), 10, axis=1)
    south, north = strata_of(
        write_map(tmp_path / "map.tif", values[::-1], transform=Affine(1, 0, 0, 0, -30, 60), crs=CRS.from_epsg(4326))
    )
    assert (south.pixels, north.pixels) == (10, 10)
    assert south.area / north.area == pytest.approx(np.cos(np.radians(15)) / np.cos(np.radians(45)), rel=0.02)


def test_without_a_declared_nodata_zero_is_none_of_the_classes(tmp_path):
    values = np.array([[0, 1, 2, 2]], np.uint8)
    assert [s.item.value for s in strata_of(write_map(tmp_path / "a.tif", values, (), nodata=None))] == [1, 2]
    assert [s.item.value for s in strata_of(write_map(tmp_path / "b.tif", values, (), nodata=2))] == [0, 1]


def test_a_map_without_a_legend_has_numbered_classes(tmp_path):
    (stratum,) = strata_of(write_map(tmp_path / "map.tif", np.full((3, 3), 7, np.int16), ()))
    assert stratum.item.name == "class 7" and not stratum.unsure


def test_254_is_a_class_where_the_legend_says_so(tmp_path):
    (stratum,) = strata_of(
        write_map(tmp_path / "map.tif", np.full((3, 3), 254, np.uint8), (ClassSpec(254, "ice", "#ffffff"),))
    )
    assert stratum.item.name == "ice" and not stratum.unsure


def test_what_is_no_class_map_is_refused(tmp_path):
    with pytest.raises(NotARaster, match="float32 values"):
        strata_of(write_map(tmp_path / "a.tif", np.ones((3, 3), np.float32), (), nodata=None))
    with pytest.raises(NotARaster, match="values from 1 to 999"):
        strata_of(write_map(tmp_path / "b.tif", np.array([[1, 999]], np.int16), ()))
    with pytest.raises(NoValidData, match="no class"):
        strata_of(write_map(tmp_path / "c.tif", np.zeros((3, 3), np.uint8)))
    with pytest.raises(InputMissing):
        strata_of(str(tmp_path / "d.tif"))

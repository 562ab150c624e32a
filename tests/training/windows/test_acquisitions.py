"""Which files show the same ground, and which dates of it may be two views."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import pytest
from affine import Affine
from rasterio.crs import CRS

from sardino_core.raster.grid import RasterGrid
from sardino_core.training.settings.pretrain_config import ImageConfig
from sardino_core.training.windows.acquisitions import Acquisition, Place, into_places, same_orbit
from tests.training.rasters import INPUTS, UTM

SOURCE = ImageConfig()


def at(date: str, orbit: str = "") -> Acquisition:
    grid = RasterGrid(10, 10, Affine.identity(), UTM)
    return Acquisition(SOURCE, (Path("x"),), INPUTS.bands, grid, date, orbit)


def on(row: float, col: float, side: int = 100, spacing: float = 10.0, crs: CRS | None = UTM) -> Acquisition:
    """An acquisition whose first pixel lies so many pixels south and east of a corner."""
    place = Affine(spacing, 0, 500_000 + spacing * col, 0, -spacing, 5_000_000 - spacing * row)
    return replace(at(""), grid=RasterGrid(side, side, place, crs))


@pytest.mark.parametrize(
    ("first", "second", "same"),
    [
        (at("2020-06-01"), at("2020-06-13"), True),
        (at("2020-06-01"), at("2020-06-07"), True),
        (at("2020-06-01"), at("2020-06-04"), False),
        (at("2020-06-01", "ascending"), at("2020-06-13", "descending"), False),
        (at("2020-06-01T05:20:10"), at("2020-06-13T05:20:11"), True),
        (at("2020-06-01T05:20:10"), at("2020-06-13T17:01:00"), False),
        (at("2020-06-01T23:59:40"), at("2020-06-14T00:00:20"), True),
        (at("2020-06-01T05:20:10"), at("2020-06-02T05:12:00"), False),
        (at("summer"), at("winter"), True),
        (at("2020-06"), at("2020-07"), True),
    ],
)
def test_tracks_repeat_every_six_days_to_the_minute(first, second, same):
    assert same_orbit(first, second) == same
    assert same_orbit(second, first) == same


@pytest.mark.parametrize(
    ("second", "together"),
    [
        (on(0, 0), True),
        (on(0, 0.0005), True),  # rounding
        (on(-30, 20), True),
        (on(0, 50), True),
        (on(0, 51), False),  # less than half is shared
        (on(30, 30), False),  # 49 %
        (on(0, 0.5), False),  # half a pixel
        (on(0, 0, 60), False),  # a third of the larger one
        (on(0, 0, 72), True),
        (on(0, 0, 50, 20.0), False),
        (on(0, 0, crs=CRS.from_epsg(32634)), False),
        (on(0, 0, crs=None), False),
        (replace(on(0, 0), source=ImageConfig(name="other")), False),
    ],
)
def test_a_place_is_ground_that_is_shared_to_half_on_the_same_pixels(second, together):
    assert len(into_places([on(0, 0), second])) == (1 if together else 2)
    assert len(into_places([second, on(0, 0)])) == (1 if together else 2)


def test_files_without_a_crs_are_never_one_place():
    assert len(into_places([on(0, 0, crs=None), on(0, 0, crs=None)])) == 2


def test_thousands_of_files_are_grouped_in_seconds():
    dates = [on(100 * (n % 50), 100 * (n // 50 % 20)) for n in range(3000)]
    began = time.monotonic()
    found = into_places(dates)
    assert time.monotonic() - began < 20
    assert [len(place.acquisitions) for place in found] == [3] * 1000


def test_undated_files_are_partners_for_any_alone():
    place = Place((on(0, 0), on(0, 0), replace(on(0, 0), date="2020-06-01")))
    assert place.partners(0, "any") == [1, 2]
    assert place.partners(0, "same-orbit") == [2]
    assert place.partners(2, "any") == [0, 1]
    assert place.partners(0, "off") == []

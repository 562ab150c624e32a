"""Relative orbits of names and tags."""

import pytest

from sardino_core.raster.reading.orbits import relative_orbit
from sardino_core.raster.reading.products import file_facts, same_date


@pytest.mark.parametrize(
    ("path", "orbit"),
    [
        ("OPERA_L2_RTC-S1_T137-292319-IW2_20211119T015858Z_20250830T120333Z_S1A_30_v1.0_VV.tif", 137),
        ("S1A_IW_GRDH_1SDV_20200103T170705_20200103T170730_030639_0382D5_ABCD_VV.tif", 117),
        ("S1A_IW_GRDH_1SDV_20200103T170705_20200103T170730_030639_0382D5_ABCD_rtc/iw-vv.rtc.tiff", 117),
        ("s1a-iw-nrb-20200103t170705-030639-0382d5-33tup-vv-g-lin.tif", 117),
        ("S1B_IW_GRDH_1SDV_20200103T170705_20200103T170730_019627_0382D5_ABCD.tif", 1),
        ("S1A_IW_20200101T120000_DVP_RTC10_G_gpuned_1A2B_VV.tif", 0),
        ("S1A__IW___D_20150309T173017_VV_gamma0-rtc.tif", 0),
        ("scene_123456_.tif", 0),
    ],
)
def test_of_names(path, orbit):
    assert relative_orbit(path, {}) == orbit


@pytest.mark.parametrize(
    ("key", "value", "orbit"),
    [
        ("RELATIVE_ORBIT", "66", 66),
        ("sat:relative_orbit", "139", 139),
        ("relativeOrbitNumber_start", "95.0", 95),
        ("REL_ORBIT", "7", 7),
        ("RELATIVE_ORBIT", "176", 0),
        ("RELATIVE_ORBIT", "unknown", 0),
        ("ORBIT", "66", 0),
    ],
)
def test_of_tags(key, value, orbit):
    assert relative_orbit("a.tif", {key: value}) == orbit


def test_a_tag_comes_before_the_name():
    path = "OPERA_L2_RTC-S1_T137-292319-IW2_20211119T015858Z_20250830T120333Z_S1A_30_v1.0_VV.tif"
    assert relative_orbit(path, {"RELATIVE_ORBIT": "66"}) == 66


def test_a_period_of_dates_stays_one():
    facts = file_facts("a.tif", {"ACQUISITION_DATE": "2024-01-05T05:30:00/2024-07-16"}, ["VV"], "float32")
    assert facts.date == "2024-01-05/2024-07-16"
    assert not same_date(facts.date, "2024-07-16T05:30:00") and same_date(facts.date, facts.date)
    assert file_facts("a.tif", {"ACQUISITION_DATE": "2024-01-05/soon"}, ["VV"], "float32").date == ""

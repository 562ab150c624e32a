"""What names and tags say."""

from __future__ import annotations

import pytest

from sardino_core.raster.reading.products import file_facts, is_uncalibrated, same_date

HYP3 = "S1A_IW_20200101T120000_DVP_RTC10_G_{}uned_1A2B"


@pytest.mark.parametrize(
    ("path", "tags", "names", "units", "radiometry"),
    [
        (HYP3.format("gp") + "_VV.tif", {}, [None], "power", "gamma0"),
        (HYP3.format("sd") + "_VV.tif", {}, [None], "db", "sigma0"),
        (HYP3.format("ga") + "_VH.tif", {}, [None], "amplitude", "gamma0"),
        (HYP3.format("gp") + "/VV.tif", {}, [None], "power", "gamma0"),
        ("OPERA_L2_RTC-S1_T137-292319-IW2_20211119T015858Z_20250830T120333Z_S1A_30_v1.0_VV.tif", {}, [None],
         "power", "gamma0"),
        ("x/measurement/iw-vv.rtc.tiff", {}, [None], "power", "gamma0"),
        ("a.tif", {}, ["VV", "VH", "angle"], "db", "sigma0"),
        ("a.tif", {}, ["Sigma0_VV", "Sigma0_VH"], "power", "sigma0"),
        ("a.tif", {}, ["Sigma0_VV_db", "Sigma0_VH_db"], "db", "sigma0"),
        ("Gamma0_VV.tif", {}, [None], "power", "gamma0"),
        ("pyroSAR_S1A__IW___A_20150309T173017_VV_grd_mli_geo_norm_db.tif", {}, [None], "db", ""),
        ("S1A__IW___D_20150309T173017_VV_gamma0-rtc.tif", {}, [None], "power", "gamma0"),
        ("s1a-iw-nrb-20200103t170705-030639-0382d5-33tup-vv-g-lin.tif", {}, [None], "power", ""),
        ("a.tif", {"scale": "dB = 20*log10(DN) - 83"}, ["VV"], "dn83", ""),
        ("a.tif", {"units": "decibel"}, ["VV"], "db", ""),
        ("a.tif", {"unit of band 1": "linear power"}, ["VV"], "power", ""),
    ],
)  # fmt: skip
def test_units_of_known_products(
    path: str, tags: dict[str, str], names: list[str | None], units: str, radiometry: str
) -> None:
    facts = file_facts(path, tags, names, "float32")
    assert facts.claims[0].units == units
    assert facts.radiometry == radiometry


@pytest.mark.parametrize("path", ["scene.tif", "S1A_IW_GRDH_1SDV_20170613T165043_33UUP_65_63_VV.tif"])
def test_nothing_is_claimed_of_other_names(path: str) -> None:
    assert file_facts(path, {"TIFFTAG_RESOLUTIONUNIT": "1 (unitless)"}, [None], "float32").claims == ()


@pytest.mark.parametrize(
    ("path", "date", "orbit"),
    [
        ("S1A__IW___A_20150309T173017_VV_db.tif", "2015-03-09T17:30:17", "ascending"),
        ("a/S1A_IW_GRDH_1SDV_20200607T010800_20200607T010825_032904_03CFBA_D457/VV.tif", "2020-06-07T01:08:00", ""),
        ("OPERA_L2_RTC-S1_T137-292319-IW2_20211119T015858Z_20250830T120333Z_S1A_30_v1.0_VV.tif",
         "2021-11-19T01:58:58", ""),
        ("s1_desc_20200105_VV.tif", "2020-01-05", "descending"),
        ("VV_2020-01-05.tif", "2020-01-05", ""),
        ("S2A_MSIL2A_20170613T101031_N9999_R022_T33UUP_35_50_VV.tif", "", ""),  # the date is that of Sentinel-2
        ("VV_2019-02-06_2020-02-01.tif", "", ""),  # a period
        ("scene.tif", "", ""),
    ],
)  # fmt: skip
def test_date_and_orbit_of_names(path: str, date: str, orbit: str) -> None:
    facts = file_facts(path, {}, [None], "float32")
    assert (facts.date, facts.orbit) == (date, orbit)


def test_date_and_orbit_of_tags() -> None:
    tags = {"datetime": "2023-06-10T16:04:18.000000000", "ORBIT_PASS_DIRECTION": "DESCENDING"}
    facts = file_facts("a.tif", tags, ["VV"], "float32")
    assert (facts.date, facts.orbit) == ("2023-06-10T16:04:18", "descending")


def test_m3leo_chips_have_sixteen_bands_with_or_without_names() -> None:
    facts = file_facts("x/s1grd-2020/abc.tif", {}, [None] * 16, "uint8")
    assert facts.claims[0].units == "uint8db" and "wrap" in facts.warning
    assert facts.labels[9].season == "summer" and facts.labels[9].orbit == "descending"
    assert facts.labels[11].polarisation == "VH"


@pytest.mark.parametrize(
    ("path", "raw"),
    [
        ("S1A_IW_GRDH_1SDV_20200607T010800_20200607T010825_032904_03CFBA_D457.SAFE", True),
        ("x.SAFE/measurement/s1a-iw-grd-vv.tiff", True),
        ("S1A_IW_GRDH_1SDV_20200607T010800_20200607T010825_032904_03CFBA_D457.zip", True),
        ("manifest.safe", True),
        ("S1A_IW_GRDH_1SDV_20200607T010800/VV.tif", False),
        ("safe.tif", False),
    ],
)
def test_esa_products_are_recognised_by_name(path: str, raw: bool) -> None:
    assert is_uncalibrated(path) is raw


@pytest.mark.parametrize(
    ("first", "second", "same"),
    [
        ("2020-01-01", "2020-01-01T10:00:00", True),
        ("2020-01", "2020-01-31", True),
        ("", "2020-01-31", True),
        ("2020-01-01T23:59:50", "2020-01-02T00:00:15", True),
        ("2020-01-01", "2020-01-02", False),
        ("2020-01-01T05:00:00", "2020-01-02T05:00:00", False),
    ],
)
def test_dates_compare_as_exactly_as_they_are_known(first: str, second: str, same: bool) -> None:
    assert same_date(first, second) is same

"""What becomes of every real Sentinel-1 raster at hand: units and bands, or the error with its remedy."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from sardino_core.contract.errors import BandsMissing, DatesMixed, NotCalibrated, NoValidData, SardinoError
from tests.raster.scenes import everything, scene_of

FLOODS = ("Ghana_53713", "Ghana_83483", "Ghana_97059", "India_900498", "Spain_6860600", "Spain_7370579")
SSL4EO = "ssl4eo_s12/s1/0000200/S1A_IW_GRDH_1SDV_2020"
FIRST, SECOND = SSL4EO + "0607T010800_20200607T010825_032904_03CFBA_D457", (
    SSL4EO + "0903T131212_20200903T131237_034195_03F8F5_AC1C"
)  # fmt: skip
MONTHLY = ("worldcereal_belgium/S1_VV_monthly_2020-11_2021-10_uint16.tif",
           "worldcereal_belgium/S1_VH_monthly_2020-11_2021-10_uint16.tif")  # fmt: skip
TENDATES = ("openeo_gfmap/S1_VV_2023-04_10dates_uint16.tif", "openeo_gfmap/S1_VH_2023-04_10dates_uint16.tif")

# inputs, --bands, units, file and number of the VV band
READABLE = [
    *[((f"sen1floods11/S1/{name}_S1Hand.tif",), {}, "db", "band 1 (VV)") for name in FLOODS],
    *[((f"terramind/S1RTC/{name}.tif",), {}, "db", "band 1 of")
      for name in ("38D_378R_2_3", "433D_629L_3_1", "609U_541L_3_0", "637U_59R_1_3")],
    *[((f"sen12mscr_glfcr/s1/{name}.tif",), {}, "db", "band 1 of")
      for name in ("ROIs1970_fall_139_p839", "ROIs2017_winter_112_p797")],
    (("kenya_wlt/sentinel1_vv.tif", "kenya_wlt/sentinel1_vh.tif"), {}, "db", "of sentinel1_vv.tif"),
    (("kenya_wlt",), {}, "db", "of sentinel1_vv.tif"),
    (("rvtutorial_slovakia",), {}, "db", "of VV.tif"),
    (("misc_unlabelled/matjayet_preprocessed_slc.tif",), {}, "power", "band 2 of"),
    (("misc_unlabelled/scikiteo_S1_2018_VV_VH_clip.tif",), {}, "db", "band 1 of"),
    ((FIRST,), {}, "db", "of VV.tif"),
    ((SECOND,), {}, "db", "of VV.tif"),
    (("opera_rtc_10SGD/2021-11-19",), {}, "power", "S1A_30_v1.0_VV.tif"),
    (MONTHLY, {"VV": 3, "VH": 3}, "dn83", "band 3 (VV 2021-01)"),
    (MONTHLY, {"VV": 3, "VH": 15}, "dn83", "band 3 (VV 2021-01)"),
    (TENDATES, {"VV": 2, "VH": 2}, "dn83", "band 2 (VV 2023-04-05)"),
    (("gee_timeseries_17px/98-togo_2019-02-06_2020-02-01.tif",), {"VV": 18, "VH": 19}, "db", "band 18 (VV_1)"),
]  # fmt: skip

REFUSED = [
    (("sen1floods11/S1/Paraguay_34417_S1Hand.tif",), NoValidData, "all is nodata"),
    (("grd_swath_gcps/iw-vv.tiff", "grd_swath_gcps/iw-vh.tiff"), NotCalibrated, "ground control points"),
    (("grd_swath_gcps",), NotCalibrated, "ground control points"),
    (("kenya_wlt/sentinel1_vv.tif",), BandsMissing, "sentinel1_vh.tif lies beside it"),
    (("misc_unlabelled/pyroSAR_S1A__IW___A_20150309T173017_VV_grd_mli_geo_norm_db.tif",), BandsMissing, "VV only"),
    (("gee_timeseries_17px/98-togo_2019-02-06_2020-02-01.tif",), BandsMissing, "--bands VV=1,VH=2"),
    (MONTHLY, BandsMissing, "--bands VV=1,VH=1"),
    (TENDATES, BandsMissing, "1 VV 2023-04-03, 2 VV 2023-04-05"),
    ((MONTHLY[0],), BandsMissing, "lies beside it"),
    ((FIRST, SECOND), DatesMixed, "2020-06-07 and 2020-09-03"),
    (("opera_rtc_10SGD/2021-11-19", "opera_rtc_10SGD/2022-11-02"), DatesMixed, "2021-11-19 and 2022-11-02"),
    (("opera_rtc_10SGD/water_mask_10SGD_large.tif",), BandsMissing, "has 1 band"),
    (("terramind/S2RGB/433D_629L_3_1.tif",), BandsMissing, "--bands VV=1,VH=2"),
    (("sen12mscr_glfcr/s2_cloudfree/ROIs1970_fall_139_p839.tif",), BandsMissing, "13 bands"),
    (("sen1floods11/S2/Spain_7370579_S2Hand.tif",), BandsMissing, "1 B1, 2 B2"),
]


@pytest.mark.parametrize(("inputs", "numbers", "units", "vv"), READABLE, ids=lambda value: str(value)[:60])
def test_real_raster_is_read(
    data_folder: Path, inputs: tuple[str, ...], numbers: dict[str, int], units: str, vv: str
) -> None:
    scene = scene_of(*(str(data_folder / name) for name in inputs), numbers=numbers)
    assert scene.tags["SARDINO_UNITS"].startswith(units + " ")
    assert vv in scene.tags["SARDINO_BANDS"].split(";")[0]
    decibels, valid = everything(scene)
    assert valid.any() and (decibels[:, ~valid] == 0).all() and np.isfinite(decibels).all()
    vv_db, vh_db = (float(np.median(band[valid])) for band in decibels)
    assert -15 < vv_db < -6 and -26 < vh_db < -13 and 3 < vv_db - vh_db < 12


@pytest.mark.parametrize("folder", ["bigearthnet", "bigearthnet_v2/S1"])
def test_bigearthnet_by_file_name_and_by_brightness(data_folder: Path, folder: str) -> None:
    singles = sorted((data_folder / folder).glob("*_VV.tif"))
    stacks = sorted((data_folder / folder).glob("*_s1.tif"))
    assert singles
    for path in singles:
        scene = scene_of(str(path), str(path.with_name(path.name.replace("_VV.tif", "_VH.tif"))))
        assert scene.tags["SARDINO_UNITS"].startswith("db ") and not scene.warnings
        scene.close()
    for path in stacks:  # band 1 is VH there
        scene = scene_of(str(path))
        assert "VV = band 2" in scene.tags["SARDINO_BANDS"] and "brighter" in scene.warnings[0]
        scene.close()


def test_every_opera_burst_is_power(data_folder: Path) -> None:
    found = sorted((data_folder / "opera_rtc_10SGD").glob("*/*_VV.tif"))
    assert len(found) == 48
    for path in found:
        with scene_of(str(path), str(path).replace("_VV.tif", "_VH.tif")) as scene:
            assert scene.tags["SARDINO_UNITS"].startswith("power ")
            assert scene.tags["SARDINO_RADIOMETRY"] == "gamma0"
            assert scene.tags["ACQUISITION_DATE"][:10] == path.parent.name
            assert round(scene.grid.spacing_m or 0) == 30


@pytest.mark.parametrize(("inputs", "error", "text"), REFUSED, ids=lambda value: str(value)[:60])
def test_real_raster_is_refused_with_the_way_out(
    data_folder: Path, inputs: tuple[str, ...], error: type[SardinoError], text: str
) -> None:
    with pytest.raises(error) as caught:
        scene_of(*(str(data_folder / name) for name in inputs))
    assert text in str(caught.value) and caught.value.hint and "\n" not in str(caught.value)


def test_mosaic_of_bursts_equals_the_bursts(data_folder: Path) -> None:
    folder = data_folder / "opera_rtc_10SGD" / "2021-11-19"
    whole, valid = everything(scene_of(str(folder)))
    one = sorted(folder.glob("*292319*"))
    with scene_of(str(folder)) as mosaic, scene_of(*map(str, one)) as single:
        burst, seen = single.read(single.grid.full)
        col, row = ~mosaic.grid.transform @ (single.grid.transform.c, single.grid.transform.f)
    area = slice(round(row), round(row) + 100), slice(round(col), round(col) + 100)
    assert (valid[area] >= seen).all()
    assert np.array_equal(whole[(slice(None), *area)][:, seen], burst[:, seen])

"""The local rule, and masks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from affine import Affine
from rasterio.crs import CRS

from sardino_core.contract.errors import AreaOutside, InputMissing, NotARaster, UnitsAmbiguous
from sardino_core.contract.jobs import Units
from sardino_core.raster.grid import PixelWindow, RasterGrid
from sardino_core.raster.reading.sources import WarpedReader
from sardino_core.raster.reading.validity import Mask, valid_values
from tests.raster.scenes import ORIGIN, UTM, everything, power, scene_of, speckled_db, write


@pytest.mark.parametrize(
    ("units", "vv", "vh", "valid"),
    [
        ("db", -10.0, -17.0, True),
        ("db", 0.0, -17.0, True),  # a bright pixel
        ("db", 0.0, 0.0, False),  # a border
        ("db", np.nan, -17.0, False),
        ("db", -10.0, -np.inf, False),
        ("db", np.inf, -17.0, False),
        ("db", -9999.0, -17.0, False),
        ("db", -10.0, -101.0, False),
        ("db", -10.0, -60.0, True),  # deep shadow after noise removal
        ("power", 0.1, 0.02, True),
        ("power", 0.1, 0.0, False),
        ("power", 0.1, -0.001, False),
        ("amplitude", 0.0, 0.1, False),
        ("uint8db", 100.0, 0.0, False),
        ("dn83", 4000.0, 0.0, False),
    ],
)
def test_local_rule(units: Units, vv: float, vh: float, valid: bool) -> None:
    assert valid_values(np.array([[[vv]], [[vh]]], np.float32), units).item() is valid


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("nodata", [-9999.0, -3.4028234663852886e38, np.nan, 0.0])
def test_declared_nodata_in_one_band_is_enough(tmp_path: Path, dtype: str, nodata: float) -> None:
    values = speckled_db().astype(dtype)
    values[1, 5:9, 7] = nodata
    decibels, valid = everything(scene_of(write(tmp_path / "a.tif", values, ("VV", "VH"), nodata=nodata)))
    assert (~valid).sum() == 4 and not valid[5:9, 7].any() and (decibels[:, 5:9, 7] == 0).all()


def test_nan_stripe_without_declaration(tmp_path: Path) -> None:
    values = speckled_db()
    values[:, 20:30] = np.nan
    _, valid = everything(scene_of(write(tmp_path / "a.tif", values, ("VV", "VH"))))
    assert not valid[20:30].any() and valid[:20].all() and valid[30:].all()


@pytest.mark.parametrize("fill", [-9999.0, -32768.0, -3.4028234663852886e38])
@pytest.mark.parametrize("units", ["db", "power"])
@pytest.mark.parametrize("share", [20, 60])
def test_undeclared_fill_is_no_data_and_no_hint_at_units(tmp_path: Path, fill: float, units: str, share: int) -> None:
    values = speckled_db() if units == "db" else power(speckled_db())
    values[:, :, 64 - share :] = fill
    scene = scene_of(write(tmp_path / "a.tif", values, ("VV", "VH")))
    assert scene.tags["SARDINO_UNITS"].startswith(f"{units} ")
    _, valid = everything(scene)
    assert valid[:, : 64 - share].all() and not valid[:, 64 - share :].any()


def test_hundredths_of_db_without_their_scale_are_still_told(tmp_path: Path) -> None:
    path = write(tmp_path / "a.tif", np.round(speckled_db() * 100).astype(np.int16), ("VV", "VH"))
    with pytest.raises(UnitsAmbiguous, match="fit no known unit: median VV -1"):
        scene_of(path)


def test_internal_mask_is_respected(tmp_path: Path) -> None:
    import rasterio

    path = write(tmp_path / "a.tif", speckled_db(), ("VV", "VH"))
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True), rasterio.open(path, "r+") as data:
        mask = np.full((64, 64), 255, np.uint8)
        mask[:10] = 0
        data.write_mask(mask)
    _, valid = everything(scene_of(path))
    assert not valid[:10].any() and valid[10:].all()


def test_mask_raster_on_another_grid(tmp_path: Path) -> None:
    mask = np.zeros((1, 8, 16), np.uint8)
    mask[0, 2:4, 4:6] = 1
    coarse = Affine(40, 0, 500_000, 0, -40, 5_400_000)
    masked = write(tmp_path / "mask.tif", mask, transform=coarse)
    scene = scene_of(write(tmp_path / "a.tif", speckled_db(), ("VV", "VH")), mask=masked)
    _, valid = everything(scene)
    expected = np.ones((64, 64), bool)
    expected[8:16, 16:24] = False
    assert np.array_equal(valid, expected)


def test_mask_in_another_crs(tmp_path: Path) -> None:
    from rasterio.warp import Resampling, reproject

    inner = np.zeros((64, 64), np.uint8)
    inner[16:48, 16:48] = 1
    lonlat = Affine(1e-4, 0, 14.995, 0, -1e-4, 48.756)
    far = np.zeros((200, 200), np.uint8)
    reproject(inner, far, src_transform=ORIGIN, src_crs="EPSG:32633", dst_transform=lonlat, dst_crs="EPSG:4326",
              resampling=Resampling.nearest)  # fmt: skip
    assert far.any()
    mask = write(tmp_path / "mask.tif", far[None], transform=lonlat, crs=CRS.from_epsg(4326))
    _, valid = everything(scene_of(write(tmp_path / "a.tif", speckled_db(), ("VV", "VH")), mask=mask))
    assert not valid[20:44, 20:44].any() and valid[:12].all() and valid[:, 52:].all()


def test_mask_nodata_masks_nothing(tmp_path: Path) -> None:
    mask = np.full((1, 64, 64), 255, np.uint8)
    mask[0, :5] = 3
    masked = write(tmp_path / "mask.tif", mask, nodata=255)
    _, valid = everything(scene_of(write(tmp_path / "a.tif", speckled_db(), ("VV", "VH")), mask=masked))
    assert not valid[:5].any() and valid[5:].all()


HYP3 = "S1A_IW_20200101T120000_DVP_RTC10_G_gpuned_1A2B_ls_map.tif"
OPERA = "OPERA_L2_RTC-S1_T137-292319-IW2_20211119T015858Z_20250830T120333Z_S1A_30_v1.0_mask.tif"


@pytest.mark.parametrize(
    ("name", "nodata", "masked"),
    [
        (HYP3, None, {3, 5, 7, 9, 17, 25, 31}),
        ("renamed_LS_MAP.tif", 0, {3, 5, 7, 9, 17, 25, 31}),
        (OPERA, 255, {1, 2, 3}),
        (OPERA, None, {1, 2, 3}),
        ("any.tif", None, {1, 2, 3, 5, 7, 9, 17, 25, 31, 255}),
    ],
)
def test_layover_and_shadow_of_known_products(tmp_path: Path, name: str, nodata: int | None, masked: set[int]) -> None:
    rows = [0, 1, 2, 3, 5, 7, 9, 17, 25, 31, 255]
    if "ls_map" in name.lower():
        rows.remove(2)
    layer = np.zeros((1, 64, 64), np.uint8)
    layer[0, : len(rows)] = np.array(rows)[:, None]
    mask = write(tmp_path / name, layer, nodata=nodata)
    _, valid = everything(scene_of(write(tmp_path / "a.tif", speckled_db(), ("VV", "VH")), mask=mask))
    found = {value for row, value in enumerate(rows) if not valid[row].any()}
    assert found - {255} == masked - {255} and valid[len(rows) :].all()
    assert name != OPERA or valid[rows.index(255)].all()


def test_a_mask_on_another_grid_leaves_no_file_open(tmp_path: Path) -> None:
    coarse = write(tmp_path / "m.tif", np.ones((1, 8, 8), np.uint8), transform=ORIGIN @ Affine.scale(3.3))
    mask = Mask(coarse, RasterGrid(64, 64, ORIGIN, UTM))
    assert mask.covers(PixelWindow(0, 0, 64, 64)).any()
    mask.close()
    assert isinstance(mask._reader, WarpedReader) and mask._reader._vrt.closed and mask._source is not None
    assert mask._source.dataset.closed


def test_a_mask_on_the_other_side_of_the_date_line(tmp_path: Path) -> None:
    lonlat = CRS.from_epsg(4326)
    east, west = Affine(1e-3, 0, 179.968, 0, -1e-3, 48), Affine(1e-3, 0, -180.0005, 0, -1e-3, 48)
    scene = write(tmp_path / "a.tif", speckled_db(), ("VV", "VH"), transform=east, crs=lonlat)
    mask = write(tmp_path / "m.tif", np.ones((1, 64, 64), np.uint8), transform=west, crs=lonlat)
    _, valid = everything(scene_of(scene, mask=mask))
    assert valid[:, :31].all() and not valid[:, 33:].any()
    utm = Affine(100, 0, 276_000, 0, -100, 5_330_000)  # zone 1, from the date line on
    mask = write(tmp_path / "u.tif", np.ones((1, 200, 100), np.uint8), transform=utm, crs=CRS.from_epsg(32601))
    _, valid = everything(scene_of(scene, mask=mask))
    assert valid[:, :25].all() and not valid[:, 40:].any()


def test_masks_that_do_not_help(tmp_path: Path) -> None:
    scene = write(tmp_path / "a.tif", power(speckled_db()), ("VV", "VH"))
    far = write(tmp_path / "far.tif", np.ones((1, 8, 8), np.uint8), transform=Affine(10, 0, 0, 0, -10, 0))
    with pytest.raises(AreaOutside, match=r"mask .*far\.tif lies outside"):
        scene_of(scene, mask=far)
    with pytest.raises(InputMissing):
        scene_of(scene, mask=str(tmp_path / "none.tif"))
    (tmp_path / "text.tif").write_text("no raster")
    with pytest.raises(NotARaster, match="neither a raster nor GeoJSON"):
        scene_of(scene, mask=str(tmp_path / "text.tif"))

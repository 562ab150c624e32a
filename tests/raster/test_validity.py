"""The local rule, and masks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from affine import Affine

from sardino_core.contract.errors import AreaOutside, InputMissing, NotARaster
from sardino_core.contract.jobs import Units
from sardino_core.raster.validity import valid_values
from tests.raster.scenes import ORIGIN, everything, power, scene_of, speckled_db, write


@pytest.mark.parametrize(
    ("units", "vv", "vh", "valid"),
    [
        ("db", -10.0, -17.0, True),
        ("db", 0.0, -17.0, True),  # a bright pixel
        ("db", 0.0, 0.0, False),  # a border
        ("db", np.nan, -17.0, False),
        ("db", -10.0, -np.inf, False),
        ("db", np.inf, -17.0, False),
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
    from rasterio.crs import CRS

    mask = write(tmp_path / "mask.tif", far[None], transform=lonlat, crs=CRS.from_epsg(4326))
    _, valid = everything(scene_of(write(tmp_path / "a.tif", speckled_db(), ("VV", "VH")), mask=mask))
    assert not valid[20:44, 20:44].any() and valid[:12].all() and valid[:, 52:].all()


def test_mask_nodata_masks_nothing(tmp_path: Path) -> None:
    mask = np.full((1, 64, 64), 255, np.uint8)
    mask[0, :5] = 3
    masked = write(tmp_path / "mask.tif", mask, nodata=255)
    _, valid = everything(scene_of(write(tmp_path / "a.tif", speckled_db(), ("VV", "VH")), mask=masked))
    assert not valid[:5].any() and valid[5:].all()


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

"""One or more rasters as one scene."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine
from rasterio.control import GroundControlPoint
from rasterio.crs import CRS
from rasterio.warp import Resampling, reproject, transform_bounds

from sardino_core.contract.errors import (
    AreaOutside,
    DatesMixed,
    InputMissing,
    NotARaster,
    NotCalibrated,
    NoValidData,
    SettingInvalid,
    UnitsAmbiguous,
)
from sardino_core.raster.grid import PixelWindow
from tests.raster.scenes import ORIGIN, UTM, everything, power, scene_of, speckled_db, write

NAMES = ("VV", "VH")


def shifted(cols: float, rows: float) -> Affine:
    return ORIGIN @ Affine.translation(cols, rows)


# One file


@pytest.mark.parametrize("size", [(1, 1), (1, 7), (5, 3000), (97, 101)])
def test_windows_of_any_raster_make_the_whole(tmp_path: Path, size: tuple[int, int]) -> None:
    values = speckled_db(*size)
    with scene_of(write(tmp_path / "a.tif", power(values), NAMES), units="power") as scene:
        whole, valid = scene.read(scene.grid.full)
        assert whole.dtype == np.float32 and whole.shape == (2, *size) and valid.shape == size and valid.all()
        np.testing.assert_allclose(whole, values, atol=1e-4)
        for row in range(0, size[0], 13):
            for col in range(0, size[1], 700):
                window = PixelWindow(row, col, min(13, size[0] - row), min(700, size[1] - col))
                part, _ = scene.read(window)
                assert np.array_equal(part, whole[:, window.rows, window.cols])


def test_scale_and_offset_are_applied(tmp_path: Path) -> None:
    values = speckled_db()
    path = write(tmp_path / "a.tif", np.round(values * 100).astype(np.int16), NAMES, nodata=-32768)
    with rasterio.open(path, "r+") as data:
        data.scales = (0.01, 0.01)
    np.testing.assert_allclose(everything(scene_of(path))[0], values, atol=0.0051)


def test_tags_and_notes_say_what_was_decided(tmp_path: Path) -> None:
    tags = {"datetime": "2023-06-10T16:04:18", "orbit_direction": "ASCENDING", "units": "dB"}
    with scene_of(write(tmp_path / "a.tif", speckled_db(), NAMES, tags=tags)) as scene:
        assert scene.tags["SARDINO_UNITS"] == "db (the tag units='dB')"
        assert scene.tags["SARDINO_BANDS"] == "VV = band 1 (VV) of a.tif; VH = band 2 (VH) of a.tif"
        assert scene.tags["ACQUISITION_DATE"] == "2023-06-10T16:04:18" and scene.tags["ORBIT"] == "ascending"
        assert any("units: db" in note for note in scene.notes) and not scene.warnings
        assert not any("\n" in text for text in (*scene.notes, *scene.warnings))


def test_rotated_and_degree_grids_are_kept(tmp_path: Path) -> None:
    rotated = ORIGIN @ Affine.rotation(30)
    with scene_of(write(tmp_path / "a.tif", speckled_db(), NAMES, transform=rotated)) as scene:
        assert scene.grid.transform.almost_equals(rotated) and scene.grid.spacing_m == pytest.approx(10)
    degrees = Affine(9e-5, 0, 15, 0, -9e-5, 48)
    path = write(tmp_path / "b.tif", speckled_db(), NAMES, transform=degrees, crs=CRS.from_epsg(4326))
    with scene_of(path) as scene:
        assert 7 < (scene.grid.spacing_m or 0) < 10 and not scene.warnings


def test_no_crs_is_read_with_a_warning(tmp_path: Path) -> None:
    with scene_of(write(tmp_path / "a.tif", speckled_db(), NAMES, crs=None)) as scene:
        assert scene.grid.spacing_m is None and "no CRS" in scene.warnings[0]
        assert scene.read(scene.grid.full)[1].all()


def test_a_local_crs_counts_as_none(tmp_path: Path) -> None:
    local = CRS.from_wkt('LOCAL_CS["site",UNIT["metre",1],AXIS["Easting",EAST],AXIS["Northing",NORTH]]')
    one = write(tmp_path / "a.tif", speckled_db(), NAMES, crs=local)
    with scene_of(one) as scene:
        assert scene.grid.crs is None and scene.grid.spacing_m is None
        assert "a.tif has no CRS with map coordinates" in scene.warnings[0]
    beside = write(tmp_path / "b.tif", speckled_db(), NAMES, crs=local, transform=shifted(63.5, 0))
    scene = scene_of(one, beside)
    assert scene.grid.width == 128 and everything(scene)[1][:, 1:126].all()


def test_a_crs_with_heights_is_kept(tmp_path: Path) -> None:
    with scene_of(write(tmp_path / "a.tif", speckled_db(), NAMES, crs=CRS.from_user_input("EPSG:32633+5773"))) as scene:
        assert scene.grid.spacing_m == 10 and not scene.warnings


def test_another_thread_may_read(tmp_path: Path) -> None:
    found = []
    with scene_of(write(tmp_path / "a.tif", speckled_db(), NAMES)) as scene:
        thread = threading.Thread(target=lambda: found.append(scene.read(scene.grid.full)[1].all()))
        thread.start()
        thread.join()
    assert found == [True]


def test_files_in_archives_are_read(tmp_path: Path) -> None:
    import zipfile

    write(tmp_path / "a.tif", speckled_db(), NAMES)
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.write(tmp_path / "a.tif", "a.tif")
    assert everything(scene_of(f"/vsizip/{tmp_path}/a.zip/a.tif"))[1].all()


# Refused files


def test_missing_file_and_no_raster(tmp_path: Path) -> None:
    with pytest.raises(InputMissing, match=r"none\.tif does not exist"):
        scene_of(str(tmp_path / "none.tif"))
    with pytest.raises(InputMissing, match="empty name"):
        scene_of("")
    (tmp_path / "a.tif").write_text("this is text")
    with pytest.raises(NotARaster, match=r"a\.tif cannot be opened as a raster"):
        scene_of(str(tmp_path / "a.tif"))


@pytest.mark.parametrize("keep", [0.3, 0.6, 0.98])
@pytest.mark.parametrize("profile", [{"compress": "deflate", "tiled": True, "blockxsize": 128, "blockysize": 128}, {}])
def test_truncated_file_is_damaged_at_opening_or_reading(
    tmp_path: Path, keep: float, profile: dict[str, object]
) -> None:
    path = Path(write(tmp_path / "a.tif", speckled_db(700, 700), NAMES, **profile))
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * keep)])
    with pytest.raises(NotARaster, match=r"a\.tif (is damaged|cannot be opened)"):
        everything(scene_of(str(path)))


def test_gdal_says_nothing_on_stderr(tmp_path: Path) -> None:
    path = Path(write(tmp_path / "a.tif", speckled_db(700, 700), NAMES, compress="deflate"))
    path.write_bytes(path.read_bytes()[:900_000])
    program = (
        "from tests.raster.scenes import everything, scene_of\n"
        "from sardino_core.contract.errors import NotARaster\n"
        f"try: everything(scene_of({str(path)!r}))\n"
        "except NotARaster: print('refused')\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (done.stdout.strip(), done.stderr) == ("refused", "")


def test_ground_control_points_without_crs_are_refused_even_with_units(tmp_path: Path) -> None:
    path = write(tmp_path / "a.tif", np.full((1, 64, 64), 220, np.uint16), crs=None, transform=Affine.identity())
    with rasterio.open(path, "r+") as data:
        data.gcps = (
            [GroundControlPoint(row, col, 15 + col, 48 - row) for row, col in ((0, 0), (0, 63), (63, 0))],
            (CRS.from_epsg(4326)),
        )
    with pytest.raises(NotCalibrated, match=r"ground control points.*SNAP graph and an Earth Engine script"):
        scene_of(path, units="amplitude")


@pytest.mark.filterwarnings("error")
def test_complex_numbers_are_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "slc_VV.tif", power(speckled_db()).astype(np.complex64), NAMES)
    for units in ("auto", "amplitude"):
        with pytest.raises(NotCalibrated, match=r"slc_VV\.tif holds complex numbers \(SLC data\).*SNAP graph"):
            scene_of(path, units=units)


def test_safe_folders_are_refused(tmp_path: Path) -> None:
    safe = tmp_path / "S1A_IW_GRDH_1SDV_20200607T010800_20200607T010825_032904_03CFBA_D457.SAFE"
    (safe / "measurement").mkdir(parents=True)
    with pytest.raises(NotCalibrated, match="uncalibrated Sentinel-1 product"):
        scene_of(str(safe))
    with pytest.raises(NotCalibrated, match="uncalibrated Sentinel-1 product"):
        scene_of(str(tmp_path))
    with pytest.raises(InputMissing):
        scene_of(str(tmp_path / "other.SAFE"))


def test_ambiguous_units_name_median_and_option(tmp_path: Path) -> None:
    path = write(tmp_path / "a.tif", (10 ** (speckled_db(means=(-14, -23)) / 20)).astype(np.float32), NAMES)
    with pytest.raises(UnitsAmbiguous, match=r"a\.tif may be power or amplitude: median VV 0\.\d+, VH .*--units"):
        scene_of(path)
    decibels, _ = everything(scene_of(path, units="amplitude"))
    assert np.median(decibels[0]) == pytest.approx(-14, abs=0.6)


def test_all_nodata_is_found_at_opening_a_small_raster(tmp_path: Path) -> None:
    with pytest.raises(NoValidData, match="all is nodata"):
        scene_of(write(tmp_path / "a.tif", np.full((2, 600, 600), np.nan, np.float32), NAMES))


def test_a_small_island_of_data_is_found(tmp_path: Path) -> None:
    values = np.zeros((2, 1000, 1000), np.float32)
    values[:, 700:712, 300:312] = speckled_db(12, 12)
    _, valid = everything(scene_of(write(tmp_path / "a.tif", values, NAMES, compress="deflate")))
    assert valid.sum() == 144


# Several files


def test_bands_in_files_are_stacked(tmp_path: Path) -> None:
    values = speckled_db()
    paths = [write(tmp_path / f"s_{name}.tif", values[index : index + 1]) for index, name in enumerate(NAMES)]
    for inputs in (paths, paths[::-1], [str(tmp_path)]):
        scene = scene_of(*inputs)
        assert any("stacked" in note for note in scene.notes)
        assert np.array_equal(everything(scene)[0], values)


def test_stacking_keeps_the_first_grid(tmp_path: Path) -> None:
    values = speckled_db()
    first = write(tmp_path / "s_VV.tif", values[:1])
    second = write(tmp_path / "s_VH.tif", values[1:, 8:, :50], transform=shifted(0, 8))
    decibels, valid = everything(scene_of(first, second))
    assert valid.shape == (64, 64) and valid[8:, :50].all() and valid.sum() == 56 * 50
    assert np.array_equal(decibels[:, valid], values[:, valid])


def test_other_grid_and_crs_are_resampled_onto_the_first(tmp_path: Path) -> None:
    smooth = np.add.outer(np.linspace(-14, -6, 200), np.linspace(-3, 3, 200)).astype(np.float32)
    vv = smooth + speckled_db(200, 200, (0.0,))[0] * 0.01
    lonlat = np.full((260, 260), np.nan, np.float32)
    bounds = transform_bounds(UTM, "EPSG:4326", 500_000, 5_398_000, 502_000, 5_400_000)
    grid = Affine((bounds[2] - bounds[0]) / 260, 0, bounds[0], 0, (bounds[1] - bounds[3]) / 260, bounds[3])
    reproject(smooth - 7, lonlat, src_transform=ORIGIN, src_crs=UTM, dst_transform=grid, dst_crs="EPSG:4326",
              resampling=Resampling.bilinear, dst_nodata=np.nan)  # fmt: skip
    first = write(tmp_path / "s_VV.tif", vv[None])
    second = write(tmp_path / "s_VH.tif", lonlat[None], transform=grid, crs=CRS.from_epsg(4326))
    scene = scene_of(first, second)
    assert any("resampled" in note and "s_VH.tif" in note for note in scene.notes)
    with scene:
        whole, valid = scene.read(scene.grid.full)
        assert valid[5:-5, 5:-5].all()
        assert np.abs(whole[1] - (smooth - 7))[5:-5, 5:-5].max() < 0.1
        part, _ = scene.read(PixelWindow(37, 21, 50, 61))
        assert np.array_equal(part, whole[:, 37:87, 21:82])


def test_undeclared_border_zeros_do_not_bleed_when_resampled(tmp_path: Path) -> None:
    values = np.full((2, 64, 64), -10, np.float32) + speckled_db() * 0
    values[1] = -17
    values += np.random.default_rng(0).normal(0, 0.1, values.shape).astype(np.float32)
    values[:, :, 40:] = 0
    first = write(tmp_path / "a.tif", values[:, :, :8], NAMES)
    second = write(tmp_path / "b.tif", values, NAMES, transform=shifted(8.5, 0))
    decibels, valid = everything(scene_of(first, second))
    assert valid.sum() > 64 * 40 and (decibels[0][valid] < -9).all() and (decibels[1][valid] < -16).all()


def test_repeated_bands_are_mosaicked_on_the_first_grid_and_the_first_valid_wins(tmp_path: Path) -> None:
    one, two = speckled_db(40, 40, seed=1), speckled_db(40, 40, seed=2)
    one[1, 30:, :] = np.nan  # VH alone is missing: VV must not be taken from here either
    first = write(tmp_path / "a.tif", one, NAMES, transform=shifted(20, 0))
    second = write(tmp_path / "b.tif", two, NAMES, transform=shifted(0, 10))
    scene = scene_of(first, second)
    assert (scene.grid.height, scene.grid.width) == (50, 60)
    assert scene.grid.transform.almost_equals(ORIGIN)
    decibels, valid = everything(scene)
    assert np.array_equal(decibels[:, :30, 20:], one[:, :30])
    assert np.array_equal(decibels[:, 10:, :20], two[:, :, :20])
    assert np.array_equal(decibels[:, 30:40, 20:40], two[:, 20:30, 20:])
    assert not valid[:10, :20].any() and not valid[30:, 40:].any()


def test_neighbouring_utm_zones_are_mosaicked(tmp_path: Path) -> None:
    bounds = transform_bounds("EPSG:4326", UTM, 17.98, 48.0, 17.995, 48.01)
    other = transform_bounds("EPSG:4326", "EPSG:32634", 18.005, 48.0, 18.02, 48.01)
    first = write(tmp_path / "a.tif", speckled_db(), NAMES, transform=Affine(10, 0, bounds[0], 0, -10, bounds[3]))
    second = write(tmp_path / "b.tif", speckled_db(), NAMES, transform=Affine(10, 0, other[0], 0, -10, other[3]),
                   crs=CRS.from_epsg(32634))  # fmt: skip
    scene = scene_of(first, second)
    assert scene.grid.crs == UTM
    _, valid = everything(scene)
    assert valid.sum() == pytest.approx(2 * 64 * 64, rel=0.05)


def test_inputs_far_apart_are_refused(tmp_path: Path) -> None:
    first = write(tmp_path / "a.tif", speckled_db(), NAMES)
    near = write(tmp_path / "b.tif", speckled_db(), NAMES, transform=shifted(200, 0))
    far = write(tmp_path / "far.tif", speckled_db(), NAMES, transform=shifted(0, 400_000))
    with pytest.raises(SettingInvalid, match=r"a\.tif and far\.tif lie 400000 pixels apart.* 264 x 400064 pixels"):
        scene_of(first, near, far)
    zone = write(tmp_path / "z.tif", speckled_db(), NAMES, crs=CRS.from_epsg(32601))
    with pytest.raises(SettingInvalid, match=r"a\.tif and z\.tif|cannot be brought"):
        scene_of(first, zone)


@pytest.mark.parametrize("offset", [0, 0.4])
def test_degrees_on_both_sides_of_the_date_line_are_mosaicked(tmp_path: Path, offset: float) -> None:
    one, two = speckled_db(seed=1), speckled_db(seed=2)
    lonlat = CRS.from_epsg(4326)
    east = Affine(1e-4, 0, 179.9968, 0, -1e-4, 48)
    west = Affine(1e-4, 0, -179.9968 - offset * 1e-4, 0, -1e-4, 48)
    first = write(tmp_path / "a.tif", one, NAMES, transform=east, crs=lonlat)
    second = write(tmp_path / "b.tif", two, NAMES, transform=west, crs=lonlat)
    for inputs in ((first, second), (second, first)):
        scene = scene_of(*inputs)
        assert (scene.grid.height, scene.grid.width) == (64, 128)
        decibels, valid = everything(scene)
        assert valid[:, 1:127].all()
        if not offset:
            assert np.array_equal(decibels, np.concatenate([one, two], axis=2))


def test_degrees_and_metres_across_the_date_line_are_mosaicked(tmp_path: Path) -> None:
    degrees = Affine(1e-4, 0, 179.995, 0, -1e-4, 48)
    bounds = transform_bounds("EPSG:4326", "EPSG:32601", -179.9986, 47.9936, -179.99, 48)
    first = write(tmp_path / "a.tif", speckled_db(), NAMES, transform=degrees, crs=CRS.from_epsg(4326))
    second = write(tmp_path / "b.tif", speckled_db(), NAMES, transform=Affine(10, 0, bounds[0], 0, -10, bounds[3]),
                   crs=CRS.from_epsg(32601))  # fmt: skip
    scene = scene_of(first, second)
    assert scene.grid.height < 100 and scene.grid.width < 200
    _, valid = everything(scene)
    assert valid[10:50, :64].all() and valid[10:50, 70:].mean() > 0.8


def test_a_raster_named_twice_is_one_raster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    values = speckled_db()
    path = write(tmp_path / "a.tif", values, NAMES)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "link.tif").symlink_to("a.tif")
    scene = scene_of(path, "a.tif", "./a.tif", "link.tif")
    assert not any("mosaic" in note for note in scene.notes)
    assert np.array_equal(everything(scene)[0], values)


def test_internal_mask_of_a_resampled_file_is_respected(tmp_path: Path) -> None:
    first = write(tmp_path / "a.tif", speckled_db(64, 8), NAMES)
    second = write(tmp_path / "b.tif", speckled_db(), NAMES, transform=shifted(8.5, 0))
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True), rasterio.open(second, "r+") as data:
        mask = np.full((64, 64), 255, np.uint8)
        mask[:32] = 0
        data.write_mask(mask)
    _, valid = everything(scene_of(first, second))
    assert not valid[:31, 9:].any() and valid[33:, 9:70].all()


def test_dates_of_one_place_are_refused_and_neighbours_are_not(tmp_path: Path) -> None:
    one = write(tmp_path / "s1_20200101.tif", speckled_db(seed=1), NAMES)
    two = write(tmp_path / "s1_20200113.tif", speckled_db(seed=2), NAMES)
    with pytest.raises(DatesMixed, match="2020-01-01 and 2020-01-13"):
        scene_of(one, two)
    beside = write(tmp_path / "s1_20200125.tif", speckled_db(seed=3), NAMES, transform=shifted(60, 0))
    with scene_of(one, beside) as scene:
        assert "different dates side by side" in scene.warnings[0] and scene.grid.width == 124
        assert scene.tags["ACQUISITION_DATE"] == "2020-01-01/2020-01-25"


def test_bands_of_different_dates_are_not_stacked(tmp_path: Path) -> None:
    vv = write(tmp_path / "s1_20200101_VV.tif", speckled_db()[:1])
    vh = write(tmp_path / "s1_20200113_VH.tif", speckled_db()[1:])
    with pytest.raises(DatesMixed):
        scene_of(vv, vh)


def test_stacked_bands_must_overlap(tmp_path: Path) -> None:
    vv = write(tmp_path / "a_VV.tif", speckled_db()[:1])
    vh = write(tmp_path / "b_VH.tif", speckled_db()[1:], transform=shifted(500, 0))
    with pytest.raises(NoValidData, match="do not overlap"):
        scene_of(vv, vh)


def test_inputs_in_different_units_are_refused(tmp_path: Path) -> None:
    values = speckled_db()
    vv, vh = write(tmp_path / "a_VV.tif", values[:1]), write(tmp_path / "a_VH.tif", power(values[1:]))
    with pytest.raises(UnitsAmbiguous, match=r"a_VV\.tif is negative as dB is, a_VH\.tif is not"):
        scene_of(vv, vh)


def test_one_input_without_crs_cannot_be_placed(tmp_path: Path) -> None:
    one = write(tmp_path / "a.tif", speckled_db(), NAMES)
    two = write(tmp_path / "b.tif", speckled_db(), NAMES, crs=None)
    with pytest.raises(SettingInvalid, match=r"b\.tif has no CRS"):
        scene_of(one, two)


def test_input_without_a_needed_band_is_ignored_with_a_warning(tmp_path: Path) -> None:
    one = write(tmp_path / "a.tif", speckled_db(), NAMES)
    dem = write(tmp_path / "dem.tif", np.full((1, 64, 64), 300, np.int16), ("elevation",))
    with scene_of(one, dem) as scene:
        assert any("dem.tif" in text for text in scene.warnings)


def test_folder_of_a_product(tmp_path: Path) -> None:
    stem = "S1A_IW_20200101T120000_DVP_RTC10_G_gpuned_1A2B"
    values = speckled_db()
    for index, name in enumerate(NAMES):
        write(tmp_path / stem / f"{stem}_{name}.tif", power(values[index : index + 1]), nodata=0)
    write(tmp_path / stem / f"{stem}_ls_map.tif", np.ones((1, 64, 64), np.uint8))
    write(tmp_path / stem / f"{stem}_dem.tif", np.ones((1, 64, 64), np.int16))
    with scene_of(str(tmp_path / stem)) as scene:
        assert scene.tags["SARDINO_UNITS"] == "power (the HyP3 product name)"
        assert scene.tags["ACQUISITION_DATE"] == "2020-01-01T12:00:00" and not scene.warnings
    (tmp_path / "empty").mkdir()
    with pytest.raises(NotARaster, match="holds no raster"):
        scene_of(str(tmp_path / "empty"))
    write(tmp_path / "many" / "a.tif", values, NAMES)
    write(tmp_path / "many" / "b.tif", values, NAMES)
    with pytest.raises(SettingInvalid, match="2 rasters whose names"):
        scene_of(str(tmp_path / "many"))


# Extent


def test_extent_crops_to_whole_pixels(tmp_path: Path) -> None:
    values = speckled_db()
    scene = scene_of(write(tmp_path / "a.tif", values, NAMES), extent=(500_105, 5_399_700, 500_300, 5_399_900))
    assert scene.grid.transform.almost_equals(shifted(10, 10))
    assert np.array_equal(everything(scene)[0], values[:, 10:30, 10:30])


def test_extent_outside(tmp_path: Path) -> None:
    with pytest.raises(AreaOutside, match="outside the raster"):
        scene_of(write(tmp_path / "a.tif", speckled_db(), NAMES), extent=(0, 0, 10, 10))

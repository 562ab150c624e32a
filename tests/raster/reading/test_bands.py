"""Which band is which."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from affine import Affine

from sardino_core.contract.errors import BandsMissing, DatesMixed, SettingInvalid
from sardino_core.contract.model_spec import BandSpec
from tests.raster.scenes import ORIGIN, VH, VV, everything, power, scene_of, speckled_db, write

SUMMER = (BandSpec("VV", -12, 5, "summer"), BandSpec("VH", -19, 5, "summer"))


@pytest.mark.parametrize(
    "names",
    [("VV", "VH"), ("vv", "vh"), ("vv_db", "vh_db"), ("Sigma0_VV_db", "Sigma0_VH_db"), ("VV_summer", "VH_summer")],
)
def test_by_description_in_either_order(tmp_path: Path, names: tuple[str, str]) -> None:
    values = speckled_db()
    straight, _ = everything(scene_of(write(tmp_path / "a.tif", values, names)))
    swapped, _ = everything(scene_of(write(tmp_path / "b.tif", values[::-1], names[::-1])))
    assert np.array_equal(straight, values) and np.array_equal(swapped, values)


def test_auxiliary_bands_are_ignored(tmp_path: Path) -> None:
    values = speckled_db(means=(-10, -17, 39, 7))
    scene = scene_of(write(tmp_path / "a.tif", values[[2, 1, 3, 0]], ("angle", "VH", "VV-VH", "VV")))
    assert scene.tags["SARDINO_RADIOMETRY"] == "sigma0"  # the layout of Earth Engine
    assert np.array_equal(everything(scene)[0], values[:2])


def test_difference_is_derived_in_db(tmp_path: Path) -> None:
    values = speckled_db()
    path = write(tmp_path / "a.tif", power(values), ("VV", "VH"), tags={"units": "power"})
    for bands in ((VV, VH, BandSpec("VV-VH", 7, 3)), (BandSpec("VV-VH", 7, 3),)):
        decibels, _ = everything(scene_of(path, bands=bands))
        assert decibels.shape[0] == len(bands)
        np.testing.assert_allclose(decibels[-1], values[0] - values[1], atol=1e-4)


def test_brighter_of_two_unnamed_bands_is_vv_with_a_warning(tmp_path: Path) -> None:
    values = speckled_db()
    for number, order in enumerate(((0, 1), (1, 0))):
        scene = scene_of(write(tmp_path / f"{number}.tif", values[list(order)]))
        assert "brighter is taken as VV" in scene.warnings[0]
        assert np.array_equal(everything(scene)[0], values)


def test_every_file_without_names_is_matched(tmp_path: Path) -> None:
    tiles = [speckled_db(seed=seed) for seed in range(3)]
    paths = [
        write(tmp_path / f"{number}.tif", tile[::-1] if number == 1 else tile,
              transform=ORIGIN @ Affine.translation(64 * number, 0))
        for number, tile in enumerate(tiles)
    ]  # fmt: skip
    named = write(tmp_path / "n.tif", tiles[0], ("VV", "VH"), transform=ORIGIN @ Affine.translation(-64, 0))
    for inputs, parts in ((paths, tiles), ([named, *paths], [tiles[0], *tiles]), ([*paths, named], [tiles[0], *tiles])):
        scene = scene_of(*inputs)
        assert scene.warnings == (
            "0.tif, 2.tif have bands without names; the brighter is taken as VV (VV=1, VH=2). "
            "If that is wrong, pass --bands.",
            "1.tif has bands without names; the brighter is taken as VV (VV=2, VH=1). "
            "If that is wrong, pass --bands.",
        )  # fmt: skip
        decibels, valid = everything(scene)
        assert valid.all() and np.array_equal(decibels, np.concatenate(parts, axis=2))


def test_one_of_several_files_that_cannot_be_told_is_not_left_out(tmp_path: Path) -> None:
    first = write(tmp_path / "a.tif", speckled_db())
    named = write(tmp_path / "n.tif", speckled_db(), ("VV", "VH"))
    equal = write(tmp_path / "b.tif", speckled_db(means=(-10, -10)), transform=ORIGIN @ Affine.translation(64, 0))
    for other in (first, named):
        with pytest.raises(BandsMissing, match=r"bands of b\.tif have no names.*--bands VV=1,VH=2"):
            scene_of(other, equal)
        assert everything(scene_of(other, equal, numbers={"VV": 1, "VH": 2}))[1].all()


def test_layers_that_are_no_backscatter_are_left_out_with_a_word(tmp_path: Path) -> None:
    named = write(tmp_path / "n.tif", speckled_db(), ("VV", "VH"))
    single = write(tmp_path / "x.tif", speckled_db()[:1])
    colours = write(tmp_path / "n_rgb.tif", np.full((3, 64, 64), 90, np.uint8))
    with scene_of(named, single, colours) as scene:
        assert any("names of their bands do not say what they hold: x.tif, n_rgb.tif" in t for t in scene.warnings)
    with scene_of(write(tmp_path / "u.tif", speckled_db()), colours) as scene:
        assert any("do not say what they hold: n_rgb.tif" in text for text in scene.warnings)


@pytest.mark.parametrize("case", ["equal", "too far", "ratio", "smooth", "constant"])
def test_unnamed_bands_that_cannot_be_told_apart(tmp_path: Path, case: str) -> None:
    values = speckled_db()
    rows, cols = np.mgrid[:64, :64]
    second = {
        "equal": speckled_db(means=(-10, -10))[1],
        "too far": speckled_db(means=(-10, -30))[1],
        "ratio": values[1] - values[0],  # VH - VV in dB: about -7, as VV could be
        "smooth": (-17 + rows / 64 + cols / 64).astype(np.float32),
        "constant": np.full((64, 64), -17, np.float32),
    }[case]
    first = values[1] if case == "ratio" else values[0]
    with pytest.raises(BandsMissing, match=r"--bands VV=1,VH=2"):
        scene_of(write(tmp_path / "a.tif", np.stack([first, second])))


def test_third_unnamed_band_that_is_no_backscatter_is_left_out(tmp_path: Path) -> None:
    values = speckled_db(means=(-10, -17, 7))
    assert np.array_equal(everything(scene_of(write(tmp_path / "a.tif", values)))[0], values[:2])


def test_one_band_where_two_are_needed(tmp_path: Path) -> None:
    with pytest.raises(BandsMissing, match=r"scene\.tif has 1 band; `starter` needs VV and VH\."):
        scene_of(write(tmp_path / "scene.tif", speckled_db()[:1]))
    with pytest.raises(BandsMissing, match=r"holds VV only; `starter` needs VV and VH\."):
        scene_of(write(tmp_path / "scene_VV.tif", speckled_db()[:1]))


def test_one_unnamed_band_where_one_is_needed(tmp_path: Path) -> None:
    scene = scene_of(write(tmp_path / "scene.tif", speckled_db()[:1]), bands=(VV,))
    assert "taken to be VV" in scene.warnings[0]
    scene.close()


def test_sibling_is_named_and_not_used_silently(tmp_path: Path) -> None:
    path = write(tmp_path / "s_VV.tif", speckled_db()[:1])
    write(tmp_path / "s_VH.tif", speckled_db()[1:])
    with pytest.raises(BandsMissing, match=r"s_VH\.tif lies beside it: give both"):
        scene_of(path)


def test_hh_and_hv_are_not_vv_and_vh(tmp_path: Path) -> None:
    with pytest.raises(BandsMissing, match=r"holds HH and HV; .* HH and HV are not VV and VH"):
        scene_of(write(tmp_path / "a.tif", speckled_db(), ("HH", "HV")))


def test_numbers_of_one_file(tmp_path: Path) -> None:
    values = speckled_db(means=(-10, -17, -11))
    path = write(tmp_path / "a.tif", values)
    assert np.array_equal(everything(scene_of(path, numbers={"VV": 3, "vh": 2}))[0], values[[2, 1]])
    with pytest.raises(BandsMissing, match=r"VH=4 does not exist: there are 3 bands"):
        scene_of(path, numbers={"VV": 1, "VH": 4})
    with pytest.raises(SettingInvalid, match="--bands VV=1,VH=1 takes one band twice"):
        scene_of(path, numbers={"VV": 1, "VH": 1})
    with pytest.raises(SettingInvalid, match=r"--bands HH=1 names no band of the model; it takes VV, VH"):
        scene_of(path, numbers={"HH": 1})


def test_numbers_that_contradict_a_name_are_obeyed_with_a_warning(tmp_path: Path) -> None:
    scene = scene_of(write(tmp_path / "a.tif", speckled_db(), ("VV", "VH")), numbers={"VV": 2, "VH": 1})
    assert any("its name says VH" in text for text in scene.warnings)
    scene.close()


def test_numbers_count_through_files_of_one_band(tmp_path: Path) -> None:
    values = speckled_db()
    paths = [write(tmp_path / f"{name}.tif", values[index : index + 1]) for index, name in enumerate("ab")]
    assert np.array_equal(everything(scene_of(*paths, numbers={"VV": 2, "VH": 1}))[0], values[::-1])
    with pytest.raises(BandsMissing, match="--bands VV=1,VH=2"):
        scene_of(*paths)


def test_numbers_count_within_files_named_after_the_polarisation(tmp_path: Path) -> None:
    dates = speckled_db(means=(-10, -11, -12)), speckled_db(means=(-17, -18, -19))
    paths = [write(tmp_path / f"s_{name}.tif", values) for name, values in zip(("VV", "VH"), dates, strict=True)]
    with pytest.raises(BandsMissing, match="has 3 bands that may be VV"):
        scene_of(*paths)
    for numbers in ({"VV": 2, "VH": 2}, {"VV": 2, "VH": 5}):
        decibels, _ = everything(scene_of(*paths, numbers=numbers))
        assert np.array_equal(decibels, [dates[0][1], dates[1][1]])


def test_stack_of_dates_asks_for_one_and_refuses_two(tmp_path: Path) -> None:
    names = ("VV 2020-01", "VH 2020-01", "VV 2020-02", "VH 2020-02")
    path = write(tmp_path / "a.tif", speckled_db(means=(-10, -17, -10, -17)), names)
    with pytest.raises(BandsMissing, match=r"1 VV 2020-01, 3 VV 2020-02.*--bands VV=1,VH=2"):
        scene_of(path)
    with pytest.raises(DatesMixed, match="2020-01 and 2020-02"):
        scene_of(path, numbers={"VV": 1, "VH": 4})
    with scene_of(path, numbers={"VV": 3, "VH": 4}) as scene:
        assert scene.tags["ACQUISITION_DATE"] == "2020-02"


def _m3leo(path: Path, empty: slice = slice(0, 0)) -> str:
    decibels = np.tile(speckled_db(means=(-9, -10, -16, -17)), (4, 1, 1))
    numbers = np.clip(np.round((decibels + 30) / 30 * 255), 1, 255).astype(np.uint8)
    numbers[empty] = 0
    return write(path, numbers)


def test_m3leo_seasons_and_orbits(tmp_path: Path) -> None:
    path = _m3leo(tmp_path / "s1grd-2020" / "x.tif")
    scene = scene_of(path, bands=SUMMER)
    assert "band 9 " in scene.tags["SARDINO_BANDS"] and "band 11 " in scene.tags["SARDINO_BANDS"]
    assert scene.tags["ORBIT"] == "ascending" and scene.tags["SARDINO_UNITS"].startswith("uint8db")
    assert any("wrap" in text for text in scene.warnings)
    assert any("--bands VV@summer=10,VH@summer=12" in text for text in scene.warnings)
    assert -10 < np.median(everything(scene)[0][0]) < -8


def test_m3leo_takes_the_orbit_that_has_data(tmp_path: Path) -> None:
    path = _m3leo(tmp_path / "s1grd-2020" / "x.tif", slice(0, None, 2))
    with scene_of(path, bands=SUMMER) as scene:
        assert scene.tags["ORBIT"] == "descending"


def test_m3leo_for_a_model_without_seasons_asks(tmp_path: Path) -> None:
    with pytest.raises(BandsMissing, match=r"8 bands that may be VV \(1 winter_vvasc.*--bands VV=1,VH=3"):
        scene_of(_m3leo(tmp_path / "s1grd-2020" / "x.tif"))


def test_seasons_by_number_and_by_description(tmp_path: Path) -> None:
    values = speckled_db(means=(-10, -17, -12, -19))
    path = write(tmp_path / "a.tif", values, ("VV_winter", "VH_winter", "VV_summer", "VH_summer"))
    assert np.array_equal(everything(scene_of(path, bands=SUMMER))[0], values[2:])
    numbers = {"VV@summer": 1, "VH@summer": 2}
    assert np.array_equal(everything(scene_of(path, bands=SUMMER, numbers=numbers))[0], values[:2])
    with pytest.raises(BandsMissing, match="--bands VV@summer=1,VH@summer=2"):
        scene_of(write(tmp_path / "b.tif", values[:2], ("VV", "VH")), bands=SUMMER)

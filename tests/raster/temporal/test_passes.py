"""Files to passes: dates and orbits from names, tags and stacks, and what is refused."""

import numpy as np
import pytest
from affine import Affine

from sardino_core.contract.errors import DatesMixed, SettingInvalid
from sardino_core.raster.temporal.passes import by_orbit, find_passes, of_one_orbit
from sardino_core.raster.temporal.periods import groups_of, season_of
from tests.raster.scenes import ORIGIN, speckled_db, write

SIDE = 24


def scene(path, *, names=("VV", "VH"), shift=0, **tags):
    """A small VV/VH raster, `shift` pixels to the east."""
    values = speckled_db(SIDE, SIDE)[: len(names)]
    return write(path, values, names, transform=ORIGIN @ Affine.translation(shift, 0), tags=tags)


def passes_of(*inputs, dates=(), numbers=None):
    return find_passes([str(item) for item in inputs], dates, numbers or {})


@pytest.mark.parametrize(
    ("name", "date", "orbit"),
    [
        (
            "OPERA_L2_RTC-S1_T137-292321-IW2_20230101T015907Z_20250118T044147Z_S1A_30_v1.0.tif",
            "2023-01-01",
            "orbit 137",
        ),
        ("S1A_IW_20200107T005433_DVP_RTC30_G_gpuned_9B55.tif", "2020-01-07", "unknown orbit"),
        ("S1A_IW_GRDH_1SDV_20200101T055912_20200101T055937_030613_0381EE_ABCD.tif", "2020-01-01", "orbit 91"),
        ("S1B_IW_GRDH_1SDV_20200101T055912_20200101T055937_019627_0381EE_ABCD_rtc.tif", "2020-01-01", "orbit 1"),
        ("S1A__IW___D_20200101T055912_gamma0.tif", "2020-01-01", "descending"),
        ("subset_2024-06-30_ascending.tif", "2024-06-30", "ascending"),
    ],
)
def test_dates_and_orbits_of_known_names(tmp_path, name, date, orbit):
    (found,) = passes_of(scene(tmp_path / name))
    assert (found.day, found.orbit.label) == (date, orbit)


def test_a_tag_tells_the_relative_orbit_and_the_direction(tmp_path):
    path = scene(tmp_path / "a_20240101.tif", RELATIVE_ORBIT="66", orbitProperties_pass="ASCENDING")
    (found,) = passes_of(path)
    assert found.orbit.label == "ascending 66" and found.orbit.key == "66"


def test_both_polarisations_and_neighbouring_slices_are_one_pass(tmp_path):
    files = [scene(tmp_path / f"a_20240101T050000_{name}.tif", names=(name,)) for name in ("VV", "VH")]
    beside = scene(tmp_path / "b_20240101.tif", shift=SIDE - 2)
    later = scene(tmp_path / "a_20240113.tif")
    first, second = passes_of(later, beside, *files)
    assert first.inputs == (*sorted(files), beside)
    assert (first.day, second.day) == ("2024-01-01", "2024-01-13")


def test_morning_and_evening_are_two_passes(tmp_path):
    found = passes_of(
        scene(tmp_path / "S1A__IW___D_20240101T053000.tif"), scene(tmp_path / "S1A__IW___A_20240101T170000.tif")
    )
    assert [item.orbit.direction for item in found] == ["descending", "ascending"]
    dated = passes_of(
        scene(tmp_path / "a.tif"), scene(tmp_path / "b.tif"), dates=("2024-01-01T05:30:00", "2024-01-01T17:00:00")
    )
    assert len(dated) == 2


def test_a_stack_with_dates_in_its_names_is_as_many_passes(tmp_path):
    values = speckled_db(SIDE, SIDE, (-10, -17, -10, -17))
    names = ("VV 2024-01-01", "VH 2024-01-01", "VV 2024-01-13", "VH 2024-01-13")
    found = passes_of(write(tmp_path / "stack.tif", values, names))
    assert [(item.date, dict(item.bands)) for item in found] == [
        ("2024-01-01", {"VV": 1, "VH": 2}),
        ("2024-01-13", {"VV": 3, "VH": 4}),
    ]


def test_given_dates_come_first_and_a_folder_is_one_date(tmp_path):
    folder = tmp_path / "first"
    files = [scene(folder / f"x_{name}.tif", names=(name,)) for name in ("VV", "VH")]
    other = scene(tmp_path / "a_20200101.tif")
    first, second = passes_of(other, folder, dates=("2024-02-01", "2024-01-01"))
    assert set(first.inputs) == set(files) and first.date == "2024-01-01"
    assert second.inputs == (other,) and second.date == "2024-02-01"


def test_a_raster_named_twice_is_one(tmp_path):
    path = scene(tmp_path / "a_20200101.tif")
    assert len(passes_of(path, path)) == 1


def test_what_is_refused(tmp_path):
    one, copy = scene(tmp_path / "a_20240101.tif"), scene(tmp_path / "b_20240101.tif")
    with pytest.raises(DatesMixed, match=r"2024-01-01 comes twice: a_20240101.tif and b_20240101.tif"):
        passes_of(one, copy)
    with pytest.raises(SettingInvalid, match=r"undated.tif tells no date.*--dates"):
        passes_of(one, scene(tmp_path / "undated.tif"))


def test_orbits_are_groups_and_one_can_be_chosen(tmp_path):
    found = passes_of(
        *(scene(tmp_path / f"S1A__IW___{way}_2024010{day}T053000.tif") for day, way in enumerate("ADAD", 1))
    )
    assert {label: len(group) for label, group in by_orbit(found).items()} == {"ascending": 2, "descending": 2}
    assert {item.orbit.direction for item in of_one_orbit(found, "Ascending")} == {"ascending"}
    with pytest.raises(SettingInvalid, match=r"No date is of the orbit 12; the inputs hold ascending \(2\)"):
        of_one_orbit(found, "12")
    with pytest.raises(SettingInvalid, match="neither a relative orbit"):
        of_one_orbit(found, "up")


def test_periods_and_the_names_of_their_bands(tmp_path):
    days = ("20231205", "20240105", "20240705", "20250716")
    found = passes_of(*(scene(tmp_path / f"a_{day}.tif") for day in days))
    ((winter, summer),) = groups_of(found, "season")
    assert (winter.band("VV"), summer.band("VH")) == ("VV@winter", "VH@summer")
    assert [item.day for item in winter.passes] == ["2023-12-05", "2024-01-05"]
    ((*months,),) = groups_of(found, "month")
    assert [group.band("VV") for group in months] == ["VV 2023-12", "VV 2024-01", "VV 2024-07", "VV 2025-07"]
    assert groups_of(found, "all")[0][0].band("VV") == "VV"


def test_every_month_has_its_season():
    seasons = [season_of(f"2024-{month:02d}-15") for month in range(1, 13)]
    assert seasons == ["winter"] * 2 + ["spring"] * 3 + ["summer"] * 3 + ["fall"] * 3 + ["winter"]


def test_real_names(data_folder):
    opera = sorted((data_folder / "opera_rtc_10SGD").glob("20*/*T137-292321*.tif"))
    found = passes_of(*opera)
    assert len(found) == 6 and all(len(item.inputs) == 2 and item.orbit.relative == 137 for item in found)
    stacks = passes_of(*sorted((data_folder / "openeo_gfmap").glob("*.tif")))
    assert len(stacks) == 10 and all(
        dict(item.bands) == {"VV": number, "VH": number} for number, item in enumerate(stacks, 1)
    )
    assert np.all(np.diff([int(item.day[-2:]) for item in stacks]) > 0)

"""What a band's name says."""

from __future__ import annotations

import pytest

from sardino_core.raster.reading.band_names import parse_label


@pytest.mark.parametrize(
    ("text", "polarisation"),
    [
        ("VV", "VV"), ("vh", "VH"), ("vv_db", "VV"), ("VVdB", "VV"), ("Sigma0_VV", "VV"), ("Gamma0_VH_db", "VH"),
        ("VV_summer", "VV"), ("summer_vvasc", "VV"), ("VV 2020-11", "VV"), ("VV_1", "VV"), ("HH", "HH"),
        ("Sigma0_VV_mst_22Jul2018", "VV"), ("sentinel1-vh", "VH"),
        ("VV/VH", ""), ("VV_VH_ratio", ""), ("angle", ""), ("localIncidenceAngle", ""), ("VV_std", ""), ("B8", ""),
        ("", ""), ("i_VV", ""), ("NVVI", ""),
    ],
)  # fmt: skip
def test_polarisation_of_a_description(text: str, polarisation: str) -> None:
    assert parse_label(text).polarisation == polarisation


@pytest.mark.parametrize("text", ["", "bands", "Band 1", "band_2", "b1", "Layer_3"])
def test_generic_descriptions_name_nothing(text: str) -> None:
    assert parse_label(text).unnamed


@pytest.mark.parametrize("text", ["VV", "angle", "elevation", "red"])
def test_real_descriptions_name_something(text: str) -> None:
    assert not parse_label(text).unnamed


def test_label_carries_season_orbit_and_date() -> None:
    label = parse_label("autumn_vhdes")
    assert (label.polarisation, label.season, label.orbit) == ("VH", "fall", "descending")
    assert parse_label("VV 2020-11").date == "2020-11"
    assert parse_label("Sigma0_VV_mst_22Jul2018").date == "2018-07-22"
    assert parse_label("VV 2023-04-03").date == "2023-04-03"

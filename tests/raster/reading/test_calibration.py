"""Conversions to dB, and which units values may be in."""

from __future__ import annotations

from contextlib import suppress

import numpy as np
import pytest
from numpy.testing import assert_allclose

from sardino_core.contract.errors import NotCalibrated, SettingInvalid, UnitsAmbiguous
from sardino_core.contract.jobs import Units
from sardino_core.raster.reading.calibration import BandStatistics, decide_units, to_db
from sardino_core.raster.reading.products import UnitsClaim


def statistics(*medians: float, dtype: str = "float32", spread_db: float = 2.0) -> list[BandStatistics]:
    """Bands of lognormal values around medians (or normal ones around negative medians)."""
    generator = np.random.default_rng(1)
    noise = generator.normal(0, spread_db, 4000)
    bands = []
    for name, median in zip(("VV", "VH"), medians, strict=False):
        values = median + noise if median < 0 else median * 10 ** (noise / 10)
        values = np.round(values) if dtype.startswith("uint") else values
        bands.append(BandStatistics.of(name, values.astype(np.float32), dtype))
    return bands


@pytest.mark.parametrize(
    ("units", "value", "expected_db"),
    [
        ("db", -12.5, -12.5),
        ("power", 0.1, -10.0),
        ("amplitude", 0.1, -20.0),
        ("uint8db", 0.0, -30.0),
        ("uint8db", 255.0, 0.0),
        ("dn83", 10_000.0, -3.0),
    ],
)
def test_conversion(units: Units, value: float, expected_db: float) -> None:
    assert_allclose(to_db(np.full((1, 2, 2), value, np.float32), units), expected_db, atol=1e-5)


@pytest.mark.parametrize("units", ["power", "amplitude", "dn83"])
def test_zero_and_negative_values_become_no_number(units: Units) -> None:
    assert not np.isfinite(to_db(np.array([0.0, -1.0], np.float32), units)).any()


@pytest.mark.parametrize(
    ("medians", "dtype", "units"),
    [
        ((-10.0, -17.0), "float32", "db"),
        ((-22.0, -28.0), "float32", "db"),
        ((-12.0,), "float32", "db"),
        ((0.1, 0.02), "float32", "power"),
        ((0.077, 0.019), "float32", "power"),
        ((0.30, 0.13), "float32", "amplitude"),
        ((0.35, 0.17), "float32", "amplitude"),
        ((4600.0, 2000.0), "uint16", "dn83"),
        ((160.0, 100.0), "uint8", "uint8db"),
        ((0.02,), "float32", "power"),
    ],
)
def test_units_by_values(medians: tuple[float, ...], dtype: str, units: str) -> None:
    assert decide_units("auto", [], statistics(*medians, dtype=dtype), "a.tif").units == units


@pytest.mark.parametrize("medians", [(0.18, 0.06), (0.2, 0.0635), (0.1,), (0.25,)])
def test_power_or_amplitude_is_asked_for_with_the_median(medians: tuple[float, ...]) -> None:
    asked = r"power or amplitude: median VV 0\.\d+.*--units power or --units amplitude"
    with pytest.raises(UnitsAmbiguous, match=asked):
        decide_units("auto", [], statistics(*medians), "a.tif")


@pytest.mark.parametrize("scale_db", np.arange(-9.0, 9.1, 1.5))
@pytest.mark.parametrize("units", ["power", "amplitude"])
def test_land_is_never_mistaken(units: str, scale_db: float) -> None:
    """From dry to wet ground the decision is right or left to the user."""
    factor = 10 if units == "power" else 20
    medians = [10 ** ((level + scale_db / 2) / factor) for level in (-11.0, -17.5)]
    with suppress(UnitsAmbiguous):
        assert decide_units("auto", [], statistics(*medians), "a.tif").units == units


@pytest.mark.parametrize("medians", [(-1200.0, -1900.0), (12.0, 7.0), (60.0, 30.0)])
def test_values_of_no_unit(medians: tuple[float, ...]) -> None:
    with pytest.raises(UnitsAmbiguous, match="no known unit"):
        decide_units("auto", [], statistics(*medians), "a.tif")


def test_digital_numbers_of_raw_products_are_refused() -> None:
    with pytest.raises(NotCalibrated, match="SNAP"):
        decide_units("auto", [], statistics(220.0, 100.0, dtype="uint16"), "a.tif")


def test_a_claim_decides_where_values_would_not() -> None:
    claim = UnitsClaim("amplitude", "the tag units='amplitude'")
    decision = decide_units("auto", [claim], statistics(0.2, 0.08), "a.tif")
    assert decision.units == "amplitude" and decision.why == claim.why and not decision.warnings


def test_a_claim_that_the_values_contradict_yields_with_a_warning() -> None:
    claim = UnitsClaim("power", "the band description 'Sigma0_VV'")
    decision = decide_units("auto", [claim], statistics(-10.0, -17.0), "a.tif")
    assert decision.units == "db" and "Sigma0_VV" in decision.warnings[0]


def test_the_option_beats_every_claim() -> None:
    decision = decide_units("amplitude", [UnitsClaim("power", "x")], statistics(0.2, 0.08), "a.tif")
    assert (decision.units, decision.why) == ("amplitude", "--units")


def test_an_impossible_option_is_refused() -> None:
    with pytest.raises(SettingInvalid, match=r"--units power.*--units db"):
        decide_units("power", [], statistics(-10.0), "a.tif")


def test_no_valid_sample_needs_the_option_or_a_claim() -> None:
    assert decide_units("db", [], [], "a.tif").units == "db"
    assert decide_units("auto", [UnitsClaim("power", "x")], [], "a.tif").units == "power"
    with pytest.raises(UnitsAmbiguous, match="--units"):
        decide_units("auto", [], [], "a.tif")

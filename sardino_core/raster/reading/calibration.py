"""Units of backscatter: which ones a raster holds, and the way from each to dB. Knows no files.

dB = 10 log10(power) = 20 log10(amplitude); `uint8db`: dB = DN * 30 / 255 - 30 (M3LEO); `dn83`: dB = 20 log10(DN) - 83
(the ALOS convention, used for Sentinel-1 by WorldCereal and openEO GFMAP).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sardino_core.contract.errors import NotCalibrated, SettingInvalid, UnitsAmbiguous
from sardino_core.contract.jobs import Units
from sardino_core.raster.reading.products import UnitsClaim

# Medians in dB over whole scenes, by which power and amplitude are told apart: the stronger (co-polarised) band, the
# weaker, and the difference. Noise-equivalent sigma0 keeps the weaker band above about -30 dB (Sentinel-1 IW).
_Ranges = tuple[tuple[float, float], tuple[float, float], tuple[float, float]]
_TYPICAL_DB: _Ranges = ((-20.0, -4.0), (-31.0, -8.0), (4.0, 16.0))  # land, cities, a rough sea
_POSSIBLE_DB: _Ranges = ((-29.0, 1.0), (-34.0, -2.0), (0.0, 20.0))  # calm water, too
_NEGATIVE = -1.5  # a fifth percentile below this is no power and no amplitude, even after noise subtraction
_ASK = "Pass --units db, power, amplitude, uint8db or dn83 (the product's documentation says which)."
CALIBRATE = (
    "Calibrate and terrain-correct it first (docs/preparing.md has a SNAP graph and an Earth Engine script), "
    "or download an RTC product."
)


@dataclass(frozen=True)
class BandStatistics:
    """Sampled values of one band, in the file's own units, invalid ones left out."""

    name: str  # how messages call the band
    median: float
    low: float  # fifth percentile
    integer: bool  # only whole numbers were seen
    dtype: str

    @staticmethod
    def of(name: str, values: NDArray[np.float32], dtype: str) -> BandStatistics:
        """Summarise values (N,), N >= 1."""
        low, median = np.percentile(values, (5, 50))
        return BandStatistics(name, float(median), float(low), bool(np.all(values == np.round(values))), dtype)


@dataclass(frozen=True)
class UnitsDecision:
    """The units, why they were taken, and what the user should double-check."""

    units: Units
    why: str
    warnings: tuple[str, ...] = ()


def to_db(values: NDArray[np.float32], units: Units) -> NDArray[np.float32]:
    """Convert in place and return; the logarithm of 0 or less becomes -inf or NaN, which is invalid."""
    if units == "db":
        return values
    if units == "uint8db":
        values *= np.float32(30.0 / 255.0)
        values -= np.float32(30.0)
        return values
    with np.errstate(divide="ignore", invalid="ignore"):
        np.log10(values, out=values)
    values *= np.float32(10.0 if units == "power" else 20.0)
    if units == "dn83":
        values -= np.float32(83.0)
    return values


def decide_units(
    requested: Units, claims: Sequence[UnitsClaim], statistics: Sequence[BandStatistics], where: str
) -> UnitsDecision:
    """The units by --units, else by the first claim that the values do not contradict, else by the values.

    `statistics` holds one or more backscatter bands in any order (empty: nothing valid was found in the samples).
    """
    if requested != "auto":
        _refuse_impossible(requested, statistics)
        return UnitsDecision(requested, "--units")
    refuted: list[str] = []
    for claim in claims:
        if all(_possible(claim.units, band) for band in statistics):
            return UnitsDecision(claim.units, claim.why, tuple(refuted))
        text = f"The values do not fit {claim.units}, which {claim.why} says: {_medians(statistics)}."
        if text not in refuted:
            refuted.append(text)
    if not statistics:
        raise UnitsAmbiguous(f"No valid pixel of {where} was found in the samples, so the units are unknown.", _ASK)
    decision = _from_values(statistics, where)
    return UnitsDecision(decision.units, decision.why, (*refuted, *decision.warnings))


def _refuse_impossible(units: Units, statistics: Sequence[BandStatistics]) -> None:
    for band in statistics:
        if units != "db" and band.median < 0:
            raise SettingInvalid(
                f"--units {units} was given, but the values are negative ({_medians([band])}), as only dB is.",
                "Pass --units db.",
            )


def _possible(units: Units, band: BandStatistics) -> bool:
    """False when the values cannot be these units, whatever the scene."""
    if units == "db":
        return band.low < 0 and -60 < band.median < 5
    if units == "uint8db":
        return band.dtype == "uint8"
    if units == "dn83":
        return band.integer and band.low >= 0 and band.median > 30
    return band.low > _NEGATIVE and -0.05 < band.median < 5


def _from_values(statistics: Sequence[BandStatistics], where: str) -> UnitsDecision:
    bands = sorted(statistics, key=lambda band: band.median, reverse=True)
    co, seen = bands[0], _medians(bands)
    if min(band.low for band in bands) < _NEGATIVE:
        if all(-45 < band.median < 5 for band in bands) or -45 < bands[-1].median < 0:
            return UnitsDecision("db", f"the values are mostly negative, {seen}")
        raise UnitsAmbiguous(f"The values of {where} fit no known unit: {seen}.", _ASK)
    if co.dtype == "uint8":
        warning = "8-bit values without a declared scale were taken as dB = DN*30/255 - 30; if not, pass --units."
        return UnitsDecision("uint8db", f"the values are 8-bit, {seen}", (warning,))
    if co.integer and co.median > 20:
        return _from_numbers(co, seen, where)
    if co.median > 3:
        raise UnitsAmbiguous(f"The values of {where} fit no known unit: {seen}.", _ASK)
    return _power_or_amplitude(bands, seen, where)


def _from_numbers(co: BandStatistics, seen: str, where: str) -> UnitsDecision:
    """Whole numbers: dB = 20 log10(DN) - 83 gives sigma0 from about DN 1000 on; raw GRD has tens to hundreds."""
    if -24 < 20 * np.log10(co.median) - 83 < 1:
        return UnitsDecision("dn83", f"whole numbers that give sigma0 as 20 log10(DN) - 83, {seen}")
    raise NotCalibrated(f"{where} holds digital numbers that no known scale turns into backscatter: {seen}.", CALIBRATE)


def _power_or_amplitude(bands: Sequence[BandStatistics], seen: str, where: str) -> UnitsDecision:
    """One band decides only at the extremes; two decide where they make a typical scene in one of the units alone."""
    linear: tuple[Units, ...] = ("power", "amplitude")
    typical = [units for units in linear if len(bands) > 1 and _within(units, bands, _TYPICAL_DB)]
    fits = typical or [units for units in linear if _within(units, bands, _POSSIBLE_DB)]
    if len(fits) == 1:
        warning = f"The units ({fits[0]}) were concluded from the values alone, {seen}; pass --units to be sure."
        return UnitsDecision(fits[0], f"the values fit {fits[0]} and nothing else, {seen}", (warning,))
    if not fits:
        raise UnitsAmbiguous(f"The values of {where} fit no known unit: {seen}.", _ASK)
    raise UnitsAmbiguous(
        f"The values of {where} may be power or amplitude: {seen}.",
        "Pass --units power or --units amplitude (the product's documentation says which).",
    )


def _within(units: Units, bands: Sequence[BandStatistics], ranges: _Ranges) -> bool:
    """True when the medians, read in `units`, lie in the ranges (strong, weak, difference); `bands` strongest first."""
    factor = 10.0 if units == "power" else 20.0
    levels = [factor * math.log10(max(band.median, 1e-12)) for band in bands[:2]]
    seen = [*levels, levels[0] - levels[-1]] if len(levels) > 1 else levels
    return all(low <= level <= high for level, (low, high) in zip(seen, ranges, strict=False))


def _medians(bands: Sequence[BandStatistics]) -> str:
    return "median " + ", ".join(f"{band.name} {band.median:.3g}" for band in bands)

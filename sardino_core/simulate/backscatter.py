"""From land cover to reflectivity: sigma0 of the ellipsoid in power, before speckle, and its bright points.

The means and spreads are in `covers.py`, water in `water.py`. Added here: what varies between parcels and within them,
soil moisture, the incidence over slopes, and the double bounce of walls that face the sensor. All in dB until the end.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sardino_core.contract.model_spec import SEASONS
from sardino_core.raster.grid import PixelWindow
from sardino_core.simulate.covers import Cover, mean_table, spread_table
from sardino_core.simulate.geometry import HEADING_DEG, REFERENCE_DEG, Geometry, Orbit
from sardino_core.simulate.landscape import Landscape
from sardino_core.simulate.noise import Axis, Float, UInt, hash_values, noise_grid, salt_of, unit
from sardino_core.simulate.place import Place
from sardino_core.simulate.relief import SPACING_M
from sardino_core.simulate.water import water_db, wind_speed

_DB_TO_NEPER = np.float32(np.log(10.0) / 10.0)
_SHADOW_POWER = np.float32(1e-5)


@dataclass(frozen=True)
class Reflectivity:
    """Mean sigma0 in power of one polarisation, and of one coherent point per pixel (0: none); (H, W) each."""

    mean: Float
    points: Float


def power_of(sigma0_db: Float) -> Float:
    """Decibels to power."""
    power: Float = np.exp(sigma0_db * _DB_TO_NEPER)
    return power


def reflectivity_of(
    window: PixelWindow, land: Landscape, view: Geometry, place: Place, seed: int, orbit: Orbit, season: str
) -> tuple[Reflectivity, Reflectivity]:
    """VV and VH of a window, before noise and speckle."""
    y = (np.arange(window.row, window.row + window.height) + 0.5) * SPACING_M
    x = (np.arange(window.col, window.col + window.width) + 0.5) * SPACING_M
    number = SEASONS.index(season)
    field_table, texture_table, exponent_table = spread_table()
    shared = _field_db(land, field_table, number) + _moisture_db(y, x, land, place, seed, number)
    texture = _texture(y, x, seed) * texture_table.take(land.cover)
    shared += texture
    shared += _slope_db(land, view, exponent_table)
    vv, vh = (shared + table.take(land.cover) for table in mean_table(season))
    vh += _cross_db(land)
    _add_double_bounce(vv, vh, land, orbit)
    _put_water(vv, vh, y, x, land, view, seed, orbit, number)
    bright_vv, bright_vh = _points(land, view, orbit)
    lit = ~view.shadow
    return (
        Reflectivity(np.where(lit, power_of(vv), _SHADOW_POWER), bright_vv),
        Reflectivity(np.where(lit, power_of(vh), _SHADOW_POWER), bright_vh),
    )


def _bell(bits: UInt) -> Float:
    """A bell-shaped number of unit variance from one identifier: the sum of three uniform ones."""
    total = unit(bits) + unit(hash_values(bits, 1)) + unit(hash_values(bits, 2))
    return (total - np.float32(1.5)) * np.float32(2.0)


def _field_db(land: Landscape, spread: Float, season: int) -> Float:
    """What a parcel or stand has of its own: part lasting, part new in each season."""
    lasting = _bell(hash_values(land.parcel, 200)) * np.float32(0.7)
    lasting += _bell(hash_values(land.parcel, 201 + season)) * np.float32(0.7)
    return lasting * spread.take(land.cover)


def _cross_db(land: Landscape) -> Float:
    """Volume against surface: VH varies between parcels by itself, by 0.6 dB."""
    value = _bell(hash_values(land.parcel, 210)) * np.float32(0.6)
    value[land.cover == Cover.WATER] = 0
    return value


def _moisture_db(y: Axis, x: Axis, land: Landscape, place: Place, seed: int, season: int) -> Float:
    """Showers wet one side of a scene; bare soil feels it most, canopies hardly."""
    feel = np.full(len(Cover), 0.6, np.float32)
    feel[[Cover.TILLED, Cover.SAND, Cover.ROCK]] = 1.0
    feel[[Cover.DECIDUOUS, Cover.CONIFER, Cover.FLOODED]] = 0.25
    feel[[Cover.WATER, Cover.HOUSES, Cover.CORE, Cover.INDUSTRY, Cover.PAVED]] = 0.0
    day = (salt_of(seed, 95, season) / 2**32 - 0.5) * 2.4 + place.moisture_db
    showers = noise_grid(y, x, 11000.0, salt_of(seed, 96, season)) * np.float32(3.0) + np.float32(day)
    damp = noise_grid(y, x, 700.0, salt_of(seed, 97)) * np.float32(1.6)
    return (showers + damp) * feel.take(land.cover)


def _texture(y: Axis, x: Axis, seed: int) -> Float:
    """Unit-variance texture over tens of metres: crowns, clumps, drainage."""
    fine = noise_grid(y, x, 31.0, salt_of(seed, 98)) + noise_grid(y, x, 83.0, salt_of(seed, 99))
    return (fine + noise_grid(y, x, 210.0, salt_of(seed, 100))) * np.float32(2.1)


def _slope_db(land: Landscape, view: Geometry, exponent: Float) -> Float:
    """Change against level ground at the reference angle: area first, then the cover's own fall with incidence."""
    reference = np.float32(np.cos(np.radians(REFERENCE_DEG)))
    fall = np.log10(view.cos_local * (np.float32(1) / reference)) * exponent.take(land.cover)
    change_db: Float = np.float32(10.0) * (np.log10(view.area_gain) + fall)
    return change_db


def _facing(land: Landscape, orbit: Orbit) -> Float:
    """1 where walls run along the track and face the sensor, falling to 0 within some 15 degrees."""
    heading = -HEADING_DEG if orbit == "ascending" else HEADING_DEG
    off = np.abs(np.mod(land.settlements.axis_deg - np.float32(heading) + np.float32(45), np.float32(90)) - 45)
    facing: Float = np.exp(-((off * np.float32(1 / 10.0)) ** 2))
    return facing


def _add_double_bounce(vv: Float, vh: Float, land: Landscape, orbit: Orbit) -> None:
    """Streets along the track add up to 5 dB in VV and 2 dB in VH; turned walls scatter into VH."""
    built = (land.cover == Cover.HOUSES) | (land.cover == Cover.CORE) | (land.cover == Cover.INDUSTRY)
    if not built.any():
        return
    facing = _facing(land, orbit)
    vv += np.where(built, facing * np.float32(5.0) - np.float32(1.0), np.float32(0))
    vh += np.where(built, facing * np.float32(2.5), np.float32(0))


def _put_water(
    vv: Float, vh: Float, y: Axis, x: Axis, land: Landscape, view: Geometry, seed: int, orbit: Orbit,
    season: int,
) -> None:  # fmt: skip
    water = land.cover == Cover.WATER
    if not water.any():
        return
    speed = wind_speed(y, x, land.relief.open_water, seed, season)
    water_vv, water_vh = water_db(speed, view.incidence_deg, orbit, seed, season)
    np.copyto(vv, water_vv, where=water)
    np.copyto(vh, water_vh, where=water)


def _points(land: Landscape, view: Geometry, orbit: Orbit) -> tuple[Float, Float]:
    """Corners of walls, roofs and masts; some in the country (barns, pylons, lone trees), a few ships on wide water."""
    odds = np.zeros(len(Cover), np.float32)
    odds[[Cover.HOUSES, Cover.CORE, Cover.INDUSTRY]] = 0.05, 0.09, 0.10
    odds[[Cover.CEREAL, Cover.MAIZE, Cover.RAPESEED, Cover.ROOT_CROP, Cover.TILLED, Cover.MEADOW]] = 0.0012
    odds[[Cover.PAVED, Cover.WATER]] = 0.004, 0.00002
    there = unit(hash_values(land.chance, 220)) < odds.take(land.cover)
    there &= ~view.shadow & ((land.cover != Cover.WATER) | (land.relief.open_water > 0.9))
    # Heavy tail: most near 5 dB, one in a hundred above 20 dB.
    strength = np.where(there, np.float32(1.6) / unit(hash_values(land.chance, 221)) ** np.float32(0.9), np.float32(0))
    strength *= np.float32(0.4) + np.float32(1.6) * _facing(land, orbit)
    np.minimum(strength, np.float32(400.0), out=strength)
    cross = power_of(np.float32(-10.0) + np.float32(3.0) * _bell(hash_values(land.chance, 222)))
    return strength, strength * cross

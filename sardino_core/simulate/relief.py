"""Fractal relief with the sea, lakes and rivers that lie in it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sardino_core.raster.grid import PixelWindow
from sardino_core.simulate.noise import Axis, Float, fractal_grid, noise_at, noise_grid, salt_of, smoothstep
from sardino_core.simulate.place import Place

SPACING_M = 10.0


@dataclass(frozen=True)
class Relief:
    """Surface and water of a window, every array (H, W)."""

    height_m: Float
    shore_m: Float  # distance to the nearest water, negative inside it; near the shore only, and approximate
    mountains: Float  # 0 plain to 1 mountain
    open_water: Float  # 0 narrow or sheltered to 1 open sea: how much wind the water sees


def relief_of(window: PixelWindow, place: Place, seed: int) -> Relief:
    """Compute a window; the same values whatever window they are asked in."""
    # One more pixel on every side for the gradients that turn noise into distances.
    y = (np.arange(window.row - 1, window.row + window.height + 1) + 0.5) * SPACING_M
    x = (np.arange(window.col - 1, window.col + window.width + 1) + 0.5) * SPACING_M
    base = fractal_grid(y, x, (16000.0, 6500.0, 2900.0, 1300.0, 600.0, 260.0), salt_of(seed, 10), 0.9)
    mountains = smoothstep(noise_grid(y, x, 14000.0, salt_of(seed, 11)) + np.float32(place.ruggedness), -0.1, 0.55)
    river_m, valley = _rivers(y, x, place, seed, mountains)
    sea_m = _level_distance(base - np.float32(place.sea_level))
    basin = np.float32(-place.lakes * 0.6 + 0.32) - _lake_field(y, x, seed) + mountains * np.float32(0.3)
    lake_m = _level_distance(basin)
    # The ground comes down to the water. The fields themselves are smooth; distances made from them are not.
    height = _height(y, x, place, seed, base, mountains) * valley * smoothstep(basin, 0.0, 0.3)
    calm = np.minimum(np.minimum(sea_m, lake_m), river_m)
    inner = (slice(1, -1), slice(1, -1))
    open_water = smoothstep(-np.minimum(sea_m, lake_m), 30.0, 500.0)
    return Relief(height[inner], calm[inner], mountains[inner], open_water[inner])


def _height(y: Axis, x: Axis, place: Place, seed: int, base: Float, mountains: Float) -> Float:
    """Metres above the water. Octaves fall off a little faster than their wavelength: slopes stay bounded."""
    hills = fractal_grid(y, x, (3300.0, 1500.0, 720.0, 350.0, 170.0, 80.0), salt_of(seed, 12), 1.12)
    ridges = _ridges(y, x, seed)
    above = np.maximum(base - np.float32(place.sea_level), np.float32(0))
    # About 4 m of swell even in plains, and relief_m of ridge height where mountains are.
    height = above * np.float32(0.6 * place.relief_m) + (hills + np.float32(0.6)) * np.float32(3 + 0.1 * place.relief_m)
    height += mountains * (np.float32(0.7) - ridges) * np.float32(place.relief_m)
    height_m: Float = np.maximum(height, np.float32(0))
    return height_m


def _ridges(y: Axis, x: Axis, seed: int) -> Float:
    """Creased at every scale: 0 on the crests, rising into the valleys; ridged noise has spurs between ravines."""
    total: Float = np.zeros((len(y), len(x)), np.float32)
    for number, wavelength in enumerate((5600.0, 2500.0, 1150.0, 520.0, 240.0, 110.0)):
        octave = noise_grid(y, x, wavelength, salt_of(seed, 13, number))
        np.abs(octave, out=octave)
        octave *= np.float32(1.3 * (wavelength / 5600.0) ** 1.02)
        total += octave
    return total


def _level_distance(field: Float) -> Float:
    """Signed distance to the zero level of a field, in metres, to first order: |f| / |grad f|; edges are not valid."""
    down = np.empty_like(field)
    right = np.empty_like(field)
    down[1:-1] = (field[2:] - field[:-2]) * np.float32(0.5 / SPACING_M)
    right[:, 1:-1] = (field[:, 2:] - field[:, :-2]) * np.float32(0.5 / SPACING_M)
    down[0], down[-1], right[:, 0], right[:, -1] = down[1], down[-2], right[:, 1], right[:, -2]
    slope: Float = np.sqrt(down * down + right * right)
    # The floor keeps flat parts of the field, far from its zero level, from seeming near or infinitely far.
    np.maximum(slope, np.float32(2e-5), out=slope)
    distance_m: Float = field / slope
    return distance_m


def _lake_field(y: Axis, x: Axis, seed: int) -> Float:
    return fractal_grid(y, x, (3600.0, 1500.0, 700.0, 300.0, 130.0), salt_of(seed, 14), 0.75)


def _rivers(y: Axis, x: Axis, place: Place, seed: int, mountains: Float) -> tuple[Float, Float]:
    """Distance to the river banks in metres, and the valleys' profile from 0 to 1.

    Rivers are zero levels of bent waves and of warped noise; tributaries join the trunk from one side.
    """
    # Meanders are wide in plains and stiff in mountains.
    swing = (np.float32(1) - np.float32(0.7) * mountains) * np.float32(320.0 + 2.0 * place.river_m)
    xx = noise_grid(y, x, 1700.0, salt_of(seed, 15))
    yy = noise_grid(y, x, 1700.0, salt_of(seed, 16))
    xx += noise_grid(y, x, 620.0, salt_of(seed, 17)) * np.float32(0.35)
    yy += noise_grid(y, x, 620.0, salt_of(seed, 18)) * np.float32(0.35)
    xx *= swing
    yy *= swing
    xx += x.astype(np.float32)
    yy += y.astype(np.float32)[:, None]
    # Trunks run more or less side by side, some 12 km apart: a wave bent by noise has no closed level lines.
    course = np.float32(2 * np.pi * salt_of(seed, 23) / 2**32)
    phase = (xx * np.cos(course) + yy * np.sin(course)) * np.float32(2 * np.pi / 24000.0)
    phase += noise_at(yy, xx, 10500.0, salt_of(seed, 19)) * np.float32(2.6)
    phase += noise_at(yy, xx, 4300.0, salt_of(seed, 20)) * np.float32(0.7)
    trunk = np.sin(phase + np.float32(6.28 * salt_of(seed, 24) / 2**32)) * np.float32(0.4)
    trunk_m = _level_distance(trunk)
    breadth = np.float32(1) + noise_grid(y, x, 1300.0, salt_of(seed, 21)) * np.float32(0.9)
    main = np.abs(trunk_m) - breadth * np.float32(0.5 * place.river_m)
    branch = noise_at(yy, xx, 3900.0, salt_of(seed, 22))
    stream = _level_distance(branch)
    narrow = breadth * np.float32(0.5 * max(0.28 * place.river_m, 6.0))
    # Upstream, away from the trunk, a tributary thins out and ends; beyond the trunk there is none.
    gone = smoothstep(trunk_m, 2500.0, 6500.0)
    narrow *= np.float32(1) - gone
    joined = np.abs(stream) - narrow + gone * np.float32(1500) + np.maximum(-trunk_m, np.float32(0)) * np.float32(2)
    # A valley is some 2.5 km wide for the trunk and 1.2 km for a tributary, and fades where that ends.
    side = smoothstep(np.abs(branch) + gone * np.float32(0.35) + np.maximum(-trunk, np.float32(0)), 0.0, 0.35)
    return np.minimum(main, joined), smoothstep(np.abs(trunk), 0.0, 0.25) * (np.float32(0.4) + np.float32(0.6) * side)

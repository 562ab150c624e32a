"""Backscatter of water under wind.

VV follows the shape of the CMOD5.N model (H. Hersbach, "Comparison of C-band scatterometer CMOD5.N equivalent neutral
winds with ECMWF", J. Atmos. Oceanic Technol. 27, 2010) by three straight lines that are good to about 2 dB: 15 dB a
decade of wind speed, -0.45 dB a degree of incidence, 1.6 dB between up- or downwind and crosswind on either side of the
mean. VH is the linear relation of P. Vachon and J. Wolfe, "C-band cross-polarization wind speed mapping", IEEE GRSL
8(3), 2011. Below 1.5 m/s water is a mirror and what is seen is the noise floor. Waves, currents, ice and slicks are
left out.
"""

from __future__ import annotations

import numpy as np

from sardino_core.simulate.geometry import HEADING_DEG, Orbit
from sardino_core.simulate.noise import Axis, Float, noise_grid, salt_of


def wind_speed(y: Axis, x: Axis, open_water: Float, seed: int, season: int) -> Float:
    """Metres per second at 10 m height, (H, W); y and x in metres. Banks shelter narrow water."""
    draw = salt_of(seed, 90, season) / 2**32
    gusts = noise_grid(y, x, 9000.0, salt_of(seed, 91, season)) * np.float32(0.9)
    gusts += noise_grid(y, x, 1500.0, salt_of(seed, 92, season)) * np.float32(0.35)
    speed = np.float32(2.5 + 6.0 * draw) * (np.float32(1) + gusts) * (np.float32(0.62) + np.float32(0.38) * open_water)
    return np.maximum(speed, np.float32(0.5))


def water_db(speed: Float, incidence_deg: Float, orbit: Orbit, seed: int, season: int) -> tuple[Float, Float]:
    """Sigma0 of water in dB, VV and VH, for wind speeds (H, W) and incidence angles (1, W)."""
    wind_deg = salt_of(seed, 93, season) / 2**32 * 360.0
    look_deg = 90.0 - HEADING_DEG if orbit == "ascending" else 270.0 + HEADING_DEG
    upwind = np.float32(1.6 * np.cos(np.radians(2 * (wind_deg - look_deg))))
    vv = np.float32(-18.3) + np.float32(15.0) * np.log10(speed * np.float32(0.2)) + upwind
    vv = vv - np.float32(0.45) * (incidence_deg - np.float32(38.0))
    vv -= np.maximum(np.float32(1.5) - speed, np.float32(0)) * np.float32(6.0)
    vh = np.float32(0.58) * speed - np.float32(35.652)
    return vv, vh

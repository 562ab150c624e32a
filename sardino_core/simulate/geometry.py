"""The side-looking geometry of a terrain-corrected GRD scene: incidence, slopes, layover, shadow, noise floor.

The product imitated is sigma0 with respect to the ellipsoid: the brightening and darkening of slopes stays in. The
platform looks to its right: east when ascending, west when descending, turned by the heading's 12 degrees. Layover and
shadow are searched along rows within `HALO_PX`; the 12 degrees are left out there.

Sources: L. Ulander, "Radiometric slope correction of synthetic-aperture radar images", IEEE TGRS 34(5), 1996, for the
area factor; D. Small, "Flattening gamma", IEEE TGRS 49(8), 2011; ESA's Sentinel-1 product specification for the
incidence of 31 to 46 degrees over a 250 km swath of three sub-swaths, and for a noise floor to stay below -22 dB.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from sardino_core.simulate.noise import Float, salt_of
from sardino_core.simulate.relief import SPACING_M

Orbit = Literal["ascending", "descending"]
HALO_PX = 64
SWATH_PX = 25_000
NEAR_DEG, FAR_DEG = 30.5, 45.5
REFERENCE_DEG = 38.0
HEADING_DEG = 12.0
MAX_GAIN = 8.0  # of a slope at layover, power: the response spreads the rest


@dataclass(frozen=True)
class Geometry:
    """What the look direction does to a window, every array (H, W) or (1, W)."""

    incidence_deg: Float  # (1, W), against the ellipsoid
    cos_local: Float  # cosine of the local incidence angle, at least 0.05
    area_gain: Float  # illuminated area against the ellipsoid's, in power
    layover: np.ndarray  # bool
    shadow: np.ndarray  # bool
    nesz: Float  # (1, W), noise-equivalent sigma0 in power


def swath_position(cols: np.ndarray, orbit: Orbit, seed: int) -> np.ndarray:
    """0 at near range, 1 at far range, for pixel columns; folded beyond one swath so that no seam appears."""
    start = salt_of(seed, 80) / 2**32 * 0.6 + 0.1
    step = cols / SWATH_PX if orbit == "ascending" else -cols / SWATH_PX
    return np.asarray(1.0 - np.abs(1.0 - np.mod(start + step, 2.0)))


def geometry_of(height_m: Float, cols: np.ndarray, orbit: Orbit, seed: int) -> Geometry:
    """Geometry of the inner window of heights padded by one row and `HALO_PX` columns on both sides.

    `cols` are the inner columns' pixel coordinates.
    """
    position = swath_position(cols, orbit, seed)
    incidence_deg = (NEAR_DEG + (FAR_DEG - NEAR_DEG) * position).astype(np.float32)[None, :]
    theta = np.radians(incidence_deg)
    sign = np.float32(1 if orbit == "ascending" else -1)
    inner = slice(HALO_PX, -HALO_PX)
    east = (height_m[1:-1, HALO_PX + 1 : 1 - HALO_PX] - height_m[1:-1, HALO_PX - 1 : -1 - HALO_PX]) * np.float32(
        0.5 / SPACING_M
    )
    south = (height_m[2:, inner] - height_m[:-2, inner]) * np.float32(0.5 / SPACING_M)
    # Looking east by north (ascending) or west by north (descending): rise along the look is positive.
    toward = sign * np.float32(np.cos(np.radians(HEADING_DEG))) * east
    toward -= np.float32(np.sin(np.radians(HEADING_DEG))) * south
    length = np.sqrt(np.float32(1) + east * east + south * south)
    cos_local = np.maximum((toward * np.sin(theta) + np.cos(theta)) / length, np.float32(0.05))
    facing = (np.sin(theta) - toward * np.cos(theta)) / length
    gain = np.sin(theta) / np.maximum(facing, np.sin(theta) * np.float32(1 / MAX_GAIN))
    layover, shadow = _layover_and_shadow(height_m[1:-1], theta, orbit)
    gain = np.where(layover, np.maximum(gain, np.float32(3.0)), gain)
    return Geometry(incidence_deg, cos_local, gain, layover, shadow, _nesz(position))


def _layover_and_shadow(height_m: Float, theta: Float, orbit: Orbit) -> tuple[np.ndarray, np.ndarray]:
    """Masks of the inner columns; a pixel looks at most `HALO_PX` columns towards and away from the sensor."""
    if orbit == "descending":
        near, far = _layover_and_shadow(height_m[:, ::-1], theta[:, ::-1], "ascending")
        return near[:, ::-1], far[:, ::-1]
    width = height_m.shape[1] - 2 * HALO_PX
    tangent = np.tan(theta)
    centre = height_m[:, HALO_PX : HALO_PX + width]
    layover = np.zeros(centre.shape, bool)
    shadow = np.zeros(centre.shape, bool)
    # Neither is possible over a run that the window's whole height cannot span.
    reach = float(height_m.max() - height_m.min()) / (SPACING_M * float(np.tan(np.radians(NEAR_DEG))))
    for steps in range(1, min(HALO_PX, int(reach) + 1) + 1):
        run = np.float32(steps * SPACING_M)
        before = height_m[:, HALO_PX - steps : HALO_PX - steps + width] - centre
        shadow |= before * tangent > run
        layover |= before < -run * tangent
        after = height_m[:, HALO_PX + steps : HALO_PX + steps + width] - centre
        layover |= after > run * tangent
    return layover, shadow


def _nesz(position: np.ndarray) -> Float:
    """Noise floor in power: about -25.5 dB inside each of the three sub-swaths, -22.5 dB at their edges."""
    within = np.abs(np.mod(position * 2.999, 1.0) * 2 - 1)
    nesz_db = -25.5 + 2.5 * within**2 + 0.6 * position
    power: Float = (10 ** (nesz_db / 10)).astype(np.float32)[None, :]
    return power

"""Towns and hamlets: where they lie, and the streets and lots within them.

Centres lie on jittered lattices with heavy-tailed radii; each settlement has one street direction. Only the centres
near the window are visited, so the cost follows the number of settlements and not the pixels.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from sardino_core.raster.grid import PixelWindow
from sardino_core.simulate.noise import Float, UInt, hash_grid, hash_values, mix, noise_at, salt_of, unit
from sardino_core.simulate.place import Place
from sardino_core.simulate.relief import SPACING_M


@dataclass(frozen=True)
class Settlements:
    """Streets and lots of a window, every array (H, W)."""

    density: Float  # 0 open country, above 0 inside, 1 in the core
    street: np.ndarray  # bool: a street or yard
    lot: UInt  # random bits of the lot
    quarter: UInt  # random bits of the group of street blocks
    axis_deg: Float  # direction of the walls against north, 0 to 90


@dataclass(frozen=True)
class _Centre:
    y_m: float
    x_m: float
    radius_m: float
    axis_deg: float
    street_m: float
    salt: int


def settlements_of(window: PixelWindow, place: Place, seed: int) -> Settlements:
    """Compute a window; the same values whatever window they are asked in."""
    shape = (window.height, window.width)
    result = Settlements(
        np.zeros(shape, np.float32),
        np.zeros(shape, bool),
        np.zeros(shape, np.uint32),
        np.zeros(shape, np.uint32),
        np.zeros(shape, np.float32),
    )
    for spacing, share, radius, salt in (
        (place.town_spacing_m, 0.8, place.town_radius_m, salt_of(seed, 30)),
        (1300.0, place.hamlets, 85.0, salt_of(seed, 31)),
    ):
        for centre in _centres(window, spacing, share, radius, salt):
            _draw(result, window, centre)
    return result


def _centres(window: PixelWindow, spacing_m: float, share: float, radius_m: float, salt: int) -> Iterator[_Centre]:
    largest = 3.2 * radius_m
    top, left = window.row * SPACING_M, window.col * SPACING_M
    rows = np.arange(
        np.floor((top - 2 * largest) / spacing_m),
        np.floor((top + window.height * SPACING_M + 2 * largest) / spacing_m) + 1,
    ).astype(np.int64)
    cols = np.arange(
        np.floor((left - 2 * largest) / spacing_m),
        np.floor((left + window.width * SPACING_M + 2 * largest) / spacing_m) + 1,
    ).astype(np.int64)
    bits = hash_grid(rows, cols, salt)
    u = [unit(hash_values(bits, 100 + number)) for number in range(6)]
    for i, row in enumerate(rows):
        for j, col in enumerate(cols):
            if u[0][i, j] < share:
                yield _Centre(
                    y_m=float((row + 0.1 + 0.8 * u[1][i, j]) * spacing_m),
                    x_m=float((col + 0.1 + 0.8 * u[2][i, j]) * spacing_m),
                    radius_m=min(radius_m * 0.5 * float(u[3][i, j]) ** -0.55, largest),
                    axis_deg=90.0 * float(u[4][i, j]),
                    street_m=70.0 + 60.0 * float(u[5][i, j]),
                    salt=int(bits[i, j]),
                )


def _draw(result: Settlements, window: PixelWindow, centre: _Centre) -> None:
    """Add one settlement where it is denser than what is there already."""
    reach = 1.6 * centre.radius_m
    rows = _span(centre.y_m, reach, window.row, window.height)
    cols = _span(centre.x_m, reach, window.col, window.width)
    if rows.start >= rows.stop or cols.start >= cols.stop:
        return
    dy = ((np.arange(rows.start, rows.stop) + window.row + 0.5) * SPACING_M - centre.y_m).astype(np.float32)[:, None]
    dx = ((np.arange(cols.start, cols.stop) + window.col + 0.5) * SPACING_M - centre.x_m).astype(np.float32)[None, :]
    dy, dx = np.broadcast_arrays(dy, dx)
    ragged = noise_at(dy + 0.0, dx + 0.0, max(0.8 * centre.radius_m, 60.0), centre.salt)
    ragged += noise_at(dy + 0.0, dx + 0.0, max(0.3 * centre.radius_m, 40.0), centre.salt ^ 1) * np.float32(0.6)
    away = np.sqrt(dy * dy + dx * dx) * np.float32(1 / centre.radius_m)
    street, lot, quarter = _streets(dy, dx, centre)
    own = unit(hash_values(quarter, 1)) - np.float32(0.5)
    # A quarter is denser or greener as a whole, and its walls lean by up to 12 degrees against the town's axis.
    density = (np.float32(1) - away + ragged * np.float32(0.75)) * np.float32(1.25)
    density = np.where(density > 0, np.clip(density + own * np.float32(0.5), 0.02, 1), np.float32(0))
    axis_deg = np.float32(centre.axis_deg) + (unit(hash_values(quarter, 2)) - np.float32(0.5)) * np.float32(24)
    denser = density > result.density[rows, cols]
    np.copyto(result.density[rows, cols], density, where=denser)
    np.copyto(result.street[rows, cols], street, where=denser)
    np.copyto(result.lot[rows, cols], lot, where=denser)
    np.copyto(result.quarter[rows, cols], quarter, where=denser)
    np.copyto(result.axis_deg[rows, cols], axis_deg, where=denser)


def _span(centre_m: float, reach_m: float, start_px: int, length_px: int) -> slice:
    first = int(np.floor((centre_m - reach_m) / SPACING_M)) - start_px
    last = int(np.ceil((centre_m + reach_m) / SPACING_M)) - start_px
    return slice(max(first, 0), min(last, length_px))


def _streets(dy: Float, dx: Float, centre: _Centre) -> tuple[np.ndarray, UInt, UInt]:
    """A street grid turned by the axis, the lots of about 25 m between streets, and quarters of 3 x 2 street blocks."""
    turn = np.radians(centre.axis_deg)
    u = dx * np.float32(np.cos(turn)) + dy * np.float32(np.sin(turn))
    v = dy * np.float32(np.cos(turn)) - dx * np.float32(np.sin(turn))
    across = u * np.float32(1 / centre.street_m)
    along = v * np.float32(1 / (1.7 * centre.street_m))
    width = np.float32(13.0 / centre.street_m)
    street = (across - np.floor(across) < width) | (along - np.floor(along) < width * np.float32(1 / 1.7))
    lot_u = np.floor(u * np.float32(1 / 24.0)).astype(np.int32).astype(np.uint32)
    lot_v = np.floor(v * np.float32(1 / 30.0)).astype(np.int32).astype(np.uint32)
    quarter_u = np.floor(across * np.float32(1 / 3)).astype(np.int32).astype(np.uint32)
    quarter_v = np.floor(along * np.float32(1 / 2)).astype(np.int32).astype(np.uint32)
    quarter = mix(hash_values(quarter_u, centre.salt ^ 7) + quarter_v * np.uint32(0x85EBCA77))
    return street, mix(hash_values(lot_u, centre.salt) + lot_v * np.uint32(0x85EBCA77)), quarter

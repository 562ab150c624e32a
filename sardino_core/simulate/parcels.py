"""Farmland: blocks between tracks, each cut into parcels in its own direction."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sardino_core.simulate.noise import Float, UInt, cells_at, hash_values, mix, unit


@dataclass(frozen=True)
class Parcels:
    """Every array is (H, W)."""

    identity: UInt  # random bits of the parcel
    block: UInt  # random bits of the block
    track_m: Float  # distance to the track around the block


def parcels_at(y: Float, x: Float, block_m: float, length_m: float, width_m: float, salt: int) -> Parcels:
    """Parcels at points y, x (H, W), in metres. Neighbouring blocks tend to share a direction, not exactly."""
    cells = cells_at(y, x, block_m, salt)
    # A quarter of the blocks lie across, the rest within 12 degrees of the regional direction.
    lean = unit(hash_values(cells.identity, 11)) - np.float32(0.5)
    across = unit(hash_values(cells.identity, 12)) < np.float32(0.25)
    regional = np.float32((salt & 0xFFFF) / 65536.0 * np.pi)
    turn = regional + lean * np.float32(0.42) + np.where(across, np.float32(np.pi / 2), np.float32(0))
    cosine, sine = np.cos(turn), np.sin(turn)
    u = x * cosine + y * sine
    v = y * cosine - x * sine
    size = np.float32(0.6) + np.float32(0.9) * unit(hash_values(cells.identity, 13))
    row = _split(v / (size * np.float32(length_m)), cells.identity, 14)
    in_row = mix(row * np.uint32(0x9E3779B1) + cells.identity)
    wide = size * (np.float32(0.5) + unit(hash_values(in_row, 15))) * np.float32(width_m)
    column = _split(u / wide, in_row, 16)
    return Parcels(mix(column * np.uint32(0x85EBCA77) + in_row), cells.identity, cells.edge)


def _split(position: Float, identity: UInt, salt: int) -> UInt:
    """Number of the interval on a line whose unit intervals have borders moved by up to 0.3."""
    nearest = np.floor(position + np.float32(0.5))
    border = nearest.astype(np.int32).astype(np.uint32)
    shift = unit(mix(border * np.uint32(0x9E3779B1) + hash_values(identity, salt))) - np.float32(0.5)
    before = position - nearest < shift * np.float32(0.6)
    number: UInt = border - before.astype(np.uint32)
    return number

"""Functions of world coordinates: hashes, gradient noise and jittered cells, the same whatever block asks for them.

Everything here is a pure function of integer lattice coordinates and a salt, so any block of any size can be computed
alone. Coordinates are pixels of 10 m or metres, as the caller likes; a wavelength is in the same unit. Not for
cryptography, and not a general noise library.

Sources: gradient noise after K. Perlin, "Improving noise", SIGGRAPH 2002; cells after S. Worley, "A cellular texture
basis function", SIGGRAPH 1996; the integer mixer is a multiply-xorshift finaliser of the kind compared by
M. Jarzynski and M. Olano, "Hash functions for GPU rendering", JCGT 9(3), 2020.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Float = NDArray[np.float32]
Axis = NDArray[np.floating[Any]]  # coordinates along one side, float64
UInt = NDArray[np.uint32]

_M1 = np.uint32(0x7FEB352D)
_M2 = np.uint32(0x846CA68B)
_ROW = np.uint32(0x9E3779B1)
_COL = np.uint32(0x85EBCA77)


def mix(values: UInt) -> UInt:
    """Scramble 32-bit integers; changes `values` in place and returns it."""
    shifted = values >> np.uint32(16)
    np.bitwise_xor(values, shifted, out=values)
    np.multiply(values, _M1, out=values)
    np.right_shift(values, np.uint32(15), out=shifted)
    np.bitwise_xor(values, shifted, out=values)
    np.multiply(values, _M2, out=values)
    np.right_shift(values, np.uint32(16), out=shifted)
    np.bitwise_xor(values, shifted, out=values)
    return values


def salt_of(seed: int, *parts: int) -> int:
    """One 32-bit salt from a seed of any size and small integers that name a purpose."""
    state = 0x243F6A88
    for part in (seed & 0xFFFFFFFF, (seed >> 32) & 0xFFFFFFFF, *parts):
        word = np.array([(state ^ (part & 0xFFFFFFFF)) & 0xFFFFFFFF], dtype=np.uint32)
        state = (int(mix(word)[0]) * 5 + 0x6F2B) & 0xFFFFFFFF
    return state


def hash_grid(rows: NDArray[np.int64], cols: NDArray[np.int64], salt: int) -> UInt:
    """32 random bits per lattice point: rows (H,), cols (W,) -> (H, W)."""
    by_row = mix((rows & 0xFFFFFFFF).astype(np.uint32) * _ROW + np.uint32(salt))
    by_col = mix((cols & 0xFFFFFFFF).astype(np.uint32) * _COL ^ np.uint32(salt))
    return mix(by_row[:, None] + by_col[None, :])


def hash_values(values: UInt, salt: int) -> UInt:
    """32 random bits per identifier, same shape."""
    return mix(values * _ROW + np.uint32(salt))


def unit(bits: UInt) -> Float:
    """Bits as uniform numbers, 0 < u < 1 (2^-25 at the least)."""
    uniform: Float = (bits >> np.uint32(8)).astype(np.float32)
    uniform += np.float32(0.5)
    uniform *= np.float32(2.0**-24)
    return uniform


def _fade(fraction: Float) -> Float:
    inner = fraction * (fraction * np.float32(6) - np.float32(15)) + np.float32(10)
    faded: Float = fraction * fraction * fraction * inner
    return faded


def _gradients(row0: int, row1: int, col0: int, col1: int, salt: int) -> tuple[Float, Float]:
    """Unit gradients on lattice points row0..row1, col0..col1 inclusive: two arrays (rows, cols)."""
    bits = hash_grid(np.arange(row0, row1 + 1), np.arange(col0, col1 + 1), salt)
    angle = unit(bits) * np.float32(2 * np.pi)
    gx: Float = np.cos(angle)
    gy: Float = np.sin(angle)
    return gx, gy


def noise_grid(y: Axis, x: Axis, wavelength: float, salt: int) -> Float:
    """Gradient noise on a regular grid: y (H,), x (W,) -> (H, W), mean 0, standard deviation near 0.27.

    The grid is separable, so most of the work is done on (H, lattice columns).
    """
    v, u = y / wavelength + 0.37, x / wavelength + 0.71
    iv, iu = np.floor(v).astype(np.int64), np.floor(u).astype(np.int64)
    fv, fu = (v - iv).astype(np.float32)[:, None], (u - iu).astype(np.float32)
    gx, gy = _gradients(int(iv.min()), int(iv.max()) + 1, int(iu.min()), int(iu.max()) + 1, salt)
    rv, cu = iv - iv.min(), iu - iu.min()
    near, far = np.float32(1) - _fade(fv), _fade(fv)
    along_x = gx[rv] * near + gx[rv + 1] * far  # (H, lattice columns)
    along_y = gy[rv] * (near * fv) + gy[rv + 1] * (far * (fv - np.float32(1)))
    weight = _fade(fu)
    result: Float = np.take(along_x, cu, axis=1)
    result *= fu * (np.float32(1) - weight)
    for table, corner, factor in (
        (along_y, 0, np.float32(1) - weight),
        (along_x, 1, (fu - np.float32(1)) * weight),
        (along_y, 1, weight),
    ):
        term = np.take(table, cu + corner, axis=1)
        term *= factor
        result += term
    return result


def noise_at(y: Float, x: Float, wavelength: float, salt: int) -> Float:
    """Gradient noise at arbitrary points, y and x (H, W) -> (H, W): for warped coordinates."""
    v, u = y * np.float32(1 / wavelength), x * np.float32(1 / wavelength)
    iv, iu = np.floor(v), np.floor(u)
    v -= iv
    u -= iu
    row0, col0 = int(iv.min()), int(iu.min())
    gx, gy = _gradients(row0, int(iv.max()) + 1, col0, int(iu.max()) + 1, salt)
    width = gx.shape[1]
    index = (iv.astype(np.int32) - np.int32(row0)) * np.int32(width) + (iu.astype(np.int32) - np.int32(col0))
    wv, wu = _fade(v), _fade(u)
    gx, gy = gx.ravel(), gy.ravel()
    result = np.zeros_like(v)
    for dv in (0, 1):
        for du in (0, 1):
            at = index + np.int32(dv * width + du)
            term = gx.take(at) * (u - np.float32(du)) + gy.take(at) * (v - np.float32(dv))
            term *= (wv if dv else np.float32(1) - wv) * (wu if du else np.float32(1) - wu)
            result += term
    return result


def fractal_grid(y: Axis, x: Axis, wavelengths: tuple[float, ...], salt: int, roughness: float = 1.0) -> Float:
    """Sum of octaves whose amplitude follows (wavelength / longest) ** roughness: (H, W), std near 0.3."""
    total = noise_grid(y, x, wavelengths[0], salt)
    for number, wavelength in enumerate(wavelengths[1:], 1):
        octave = noise_grid(y, x, wavelength, salt + 7919 * number & 0xFFFFFFFF)
        octave *= np.float32((wavelength / wavelengths[0]) ** roughness)
        total += octave
    return total


@dataclass(frozen=True)
class Cells:
    """The jittered cell each point lies in; every array is (H, W)."""

    identity: UInt  # random bits of the cell
    edge: Float  # distance to the border with the cell of the second nearest centre, in the unit of the coordinates


def cells_at(y: Float, x: Float, size: float, salt: int) -> Cells:
    """Voronoi cells of a jittered lattice with the given mean size, y and x (H, W)."""
    v, u = y * np.float32(1 / size), x * np.float32(1 / size)
    iv, iu = np.floor(v), np.floor(u)
    v -= iv
    u -= iu
    row0, col0 = int(iv.min()) - 1, int(iu.min()) - 1
    bits = hash_grid(np.arange(row0, int(iv.max()) + 2), np.arange(col0, int(iu.max()) + 2), salt)
    jitter_v = (unit(bits.copy()) * np.float32(0.8) + np.float32(0.1)).ravel()
    jitter_u = (unit(hash_values(bits, 0x51ED27)) * np.float32(0.8) + np.float32(0.1)).ravel()
    width = bits.shape[1]
    base = (iv.astype(np.int32) - np.int32(row0)) * np.int32(width) + (iu.astype(np.int32) - np.int32(col0))
    first = np.full(v.shape, 9, np.float32)
    second = np.full(v.shape, 9, np.float32)
    best, runner = base.copy(), base.copy()
    for dv in (-1, 0, 1):
        for du in (-1, 0, 1):
            at = base + np.int32(dv * width + du)
            to_v = jitter_v.take(at) + (np.float32(dv) - v)
            to_u = jitter_u.take(at) + (np.float32(du) - u)
            distance = to_v * to_v + to_u * to_u
            closest = distance < first
            following = (distance < second) & ~closest
            np.copyto(second, first, where=closest)
            np.copyto(runner, best, where=closest)
            np.copyto(second, distance, where=following)
            np.copyto(runner, at, where=following)
            np.copyto(first, distance, where=closest)
            np.copyto(best, at, where=closest)
    apart_v = jitter_v.take(runner) - jitter_v.take(best) + (runner // width - best // width).astype(np.float32)
    apart_u = jitter_u.take(runner) - jitter_u.take(best) + (runner % width - best % width).astype(np.float32)
    apart = np.sqrt(apart_v * apart_v + apart_u * apart_u)
    edge = (second - first) * np.float32(size / 2) / np.maximum(apart, np.float32(1e-3))
    return Cells(bits.ravel().take(best), edge)


def smoothstep(values: Float, low: float, high: float) -> Float:
    """0 below `low`, 1 above `high`, smooth between."""
    t = np.clip((values - np.float32(low)) * np.float32(1 / (high - low)), np.float32(0), np.float32(1))
    smooth: Float = t * t * (np.float32(3) - np.float32(2) * t)
    return smooth

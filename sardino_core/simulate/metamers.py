"""SAR metamers: textures whose pixels are the very same numbers, differently arranged.

Every block holds one fixed set of (VV, VH) pairs, so that mean, variance, histogram and any other statistic of its
pixels, together or one by one, are equal to the last bit between the kinds. What differs is where each pair lies. The
name is that of colours that look alike and are made differently.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Float = NDArray[np.float32]
_GROUND_DB = (-11.0, 2.5)  # mean and deviation of VV over grounds, as between fields
_RATIO_DB = (-6.5, 1.5)  # VH less VV
_LOOKS = 5.0
_SPECKLE_PX = 0.75  # sigma of a Gaussian that gives neighbours a correlation of 0.64, as on real 10 m tiles
_SPECKLE_SHARE = 0.4  # of the arrangement's variance


def _smooth(white: NDArray[np.float64], sigma_px: float) -> NDArray[np.float64]:
    """A Gaussian filter on a torus, to unit variance."""
    rows, cols = (np.fft.fftfreq(size)[:, None] for size in white.shape)
    response = np.exp(-2 * (np.pi * sigma_px) ** 2 * (rows**2 + cols.T**2))
    field = np.fft.ifft2(np.fft.fft2(white) * response).real
    return _unit(field)


def _wave(shape: tuple[int, int], period_px: float, rng: np.random.Generator, crossed: bool) -> NDArray[np.float64]:
    """Rows of this period in any direction; crossed, a lattice."""
    angle, phase = rng.uniform(0, np.pi), rng.uniform(0, 2 * np.pi, 2)
    row, col = np.indices(shape)
    along = np.cos(2 * np.pi * (row * np.cos(angle) + col * np.sin(angle)) / period_px + phase[0])
    if crossed:
        along = along + np.cos(2 * np.pi * (col * np.cos(angle) - row * np.sin(angle)) / period_px + phase[1])
    return _unit(along)


def _unit(field: NDArray[np.float64]) -> NDArray[np.float64]:
    found: NDArray[np.float64] = (field - field.mean()) / field.std()
    return found


_KINDS: dict[str, Callable[[tuple[int, int], np.random.Generator], NDArray[np.float64]]] = {
    "grains": lambda shape, rng: _smooth(rng.normal(size=shape), 0.5),
    "clumps": lambda shape, rng: _smooth(rng.normal(size=shape), 2.5),
    "stands": lambda shape, rng: _smooth(rng.normal(size=shape), 7.0),
    "rows": lambda shape, rng: _wave(shape, 7.0, rng, crossed=False),
    "lattice": lambda shape, rng: _wave(shape, 8.0, rng, crossed=True),
}
KINDS = tuple(_KINDS)


def metamer_pixels(count: int) -> Float:
    """(2, count) the fixed VV and VH in dB, in rising order of VV: ground with speckle, VH not fixed by VV."""
    rng = np.random.default_rng(0)
    ground = rng.normal(*_GROUND_DB, count)
    ratio = rng.normal(*_RATIO_DB, count)
    fading = 10 * np.log10(rng.gamma(_LOOKS, 1 / _LOOKS, (2, count)))
    pairs = np.stack([ground, ground + ratio]) + fading
    return np.asarray(pairs[:, np.argsort(pairs[0])], np.float32)


def metamer(kind: str, side_px: int, seed: int) -> Float:
    """A block (2, side, side) of one kind: VV and VH in dB."""
    rng = np.random.default_rng([seed, KINDS.index(kind)])
    shape = (side_px, side_px)
    speckle = _smooth(rng.normal(size=shape), _SPECKLE_PX)
    order = np.sqrt(1 - _SPECKLE_SHARE) * _KINDS[kind](shape, rng) + np.sqrt(_SPECKLE_SHARE) * speckle
    pixels = metamer_pixels(side_px**2)
    block = np.empty_like(pixels)
    block[:, np.argsort(order, axis=None)] = pixels
    return block.reshape(2, *shape)

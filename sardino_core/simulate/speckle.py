"""Speckle as the sensor makes it: scatterers finer than the pixel, imaged coherently, detected, multilooked, resampled.

Rows are taken as azimuth and columns as ground range (the 12 degrees between them and the true heading are left out).
One pixel of 10 m holds 2 x 4 scatterers, on 5 m in azimuth and 2.5 m in ground range: circular complex Gaussian numbers
scaled by the square root of the reflectivity, plus coherent point targets. Then, in order:

1. the complex point response: 22.5 m in azimuth, 5.8 m in ground range, both of a Hamming-weighted aperture;
2. detection, |s|^2;
3. the product's multilook in range, and bilinear interpolation to the 10 m map grid.

Azimuth resolution and the looks (5 x 1, some 20 m in range) are those of ESA's Sentinel-1 product definition for IW
GRDH; 2.7 to 3.5 m in slant range are 5 m on the ground. The product's looks overlap in the range spectrum, and the map
interpolation is a user's own: the response in range and the multilook are therefore chosen, near those values, so that
looks and autocorrelation agree with real 10 m tiles. Random numbers are hashes of the scatterer's own coordinates: any
block can be made alone.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from sardino_core.raster.grid import PixelWindow
from sardino_core.simulate.noise import Float, hash_grid, mix, unit

AZIMUTH_SAMPLES = 2  # per pixel of 10 m
RANGE_SAMPLES = 4
AZIMUTH_RESOLUTION_M = 22.5
RANGE_RESOLUTION_M = 5.8  # before multilooking, on the ground; wider than one look, for looks that overlap
MULTILOOK_M = 22.0  # boxcar in range, before the interpolation
HAMMING = 0.75
PAD_PX = 5  # how far the response reaches
_CHUNK_ROWS = 64  # keeps the fine grid in cache


def _response(resolution_m: float, spacing_m: float, taps: int) -> Float:
    """One side, centre first, of the impulse response of a Hamming-weighted aperture; unit energy over both sides."""
    # 1.09 / bandwidth is the half-power width at a coefficient of 0.75.
    bandwidth = 1.09 / resolution_m
    frequency = np.linspace(-0.5, 0.5, 513) * bandwidth
    weight = HAMMING + (1 - HAMMING) * np.cos(2 * np.pi * frequency / bandwidth)
    lag_m = np.arange(taps + 1) * spacing_m
    taper = np.cos(0.5 * np.pi * np.arange(taps + 1) / (taps + 1)) ** 0.5  # ends the sidelobes without a step
    half = (weight[None, :] * np.cos(2 * np.pi * lag_m[:, None] * frequency[None, :])).sum(axis=1) * taper
    energy = half[0] ** 2 + 2 * (half[1:] ** 2).sum()
    result: Float = (half / np.sqrt(energy)).astype(np.float32)
    return result


def _interpolation(width_m: float, spacing_m: float) -> NDArray[np.float64]:
    """A symmetric kernel of the fine samples around a pixel's centre, which lies between two samples."""
    fine = 50
    step = spacing_m / fine
    count = int(np.ceil((width_m / 2 + 10.0) / step))
    at_m = np.arange(-count, count + 1) * step
    # Bilinear interpolation between pixels of 10 m: a triangle, after the boxcar of the multilook.
    triangle = np.clip(1 - np.abs(at_m) / 10.0, 0, None)
    if width_m > 0:
        box = np.ones(max(1, round(width_m / step)))
        triangle = np.convolve(triangle, box / box.size, mode="same")
    taps = int((width_m / 2 + 10.0) / spacing_m - 0.5)
    centres = (np.arange(-taps - 1, taps + 1) + 0.5) * spacing_m
    kernel = np.interp(centres, at_m, triangle)
    return np.asarray(kernel / kernel.sum())


_AZIMUTH = _response(AZIMUTH_RESOLUTION_M, 10.0 / AZIMUTH_SAMPLES, 7)
_RANGE = _response(RANGE_RESOLUTION_M, 10.0 / RANGE_SAMPLES, 4)
_LOOKS_RANGE = _interpolation(MULTILOOK_M, 10.0 / RANGE_SAMPLES)
_LOOKS_AZIMUTH = _interpolation(0.0, 10.0 / AZIMUTH_SAMPLES)


def image_intensity(reflectivity: Float, points: Float | None, window: PixelWindow, salt: int) -> Float:
    """The detected image of a window.

    `reflectivity` is the mean sigma0 in power and `points` the sigma0 of one coherent scatterer per pixel (0: none),
    both (height + 2 * PAD_PX, width + 2 * PAD_PX), padded around `window`. Returns power, (height, width).
    """
    result = np.empty((window.height, window.width), np.float32)
    for top in range(0, window.height, _CHUNK_ROWS):
        rows = min(_CHUNK_ROWS, window.height - top)
        part = slice(top, top + rows + 2 * PAD_PX)
        chunk = PixelWindow(window.row + top, window.col, rows, window.width)
        spot = None if points is None else points[part]
        result[top : top + rows] = _image_chunk(reflectivity[part], spot, chunk, salt)
    return result


def _image_chunk(reflectivity: Float, points: Float | None, window: PixelWindow, salt: int) -> Float:
    real, imaginary = _scatterers(window, salt)
    amplitude = np.sqrt(reflectivity)[:, None, :, None]
    shape = (reflectivity.shape[0], AZIMUTH_SAMPLES, reflectivity.shape[1], RANGE_SAMPLES)
    for part in (real, imaginary):
        cells = part.reshape(shape)
        cells *= amplitude
    if points is not None and points.any():
        # Unit-energy responses: a coherent scatterer of power p per pixel needs the energy of the pixel's 8 samples.
        real.reshape(shape)[:, 0, :, 1] += np.sqrt(points * np.float32(AZIMUTH_SAMPLES * RANGE_SAMPLES))
    power = _detect(real, imaginary)
    return _resample(power, window)


def _scatterers(window: PixelWindow, salt: int) -> tuple[Float, Float]:
    """Unit-power circular Gaussian numbers (Box and Muller, 1958) for the padded window: real, imaginary part."""
    row0 = (window.row - PAD_PX) * AZIMUTH_SAMPLES
    col0 = (window.col - PAD_PX) * RANGE_SAMPLES
    rows = np.arange(row0, row0 + (window.height + 2 * PAD_PX) * AZIMUTH_SAMPLES)
    cols = np.arange(col0, col0 + (window.width + 2 * PAD_PX) * RANGE_SAMPLES)
    bits = hash_grid(rows, cols, salt)
    radius = unit(bits)
    np.log(radius, out=radius)
    np.negative(radius, out=radius)
    np.sqrt(radius, out=radius)
    bits += np.uint32(0x9E3779B9)
    phase = unit(mix(bits))
    phase *= np.float32(2 * np.pi)
    real = np.cos(phase)
    np.sin(phase, out=phase)
    real *= radius
    phase *= radius
    return real, phase


def _detect(real: Float, imaginary: Float) -> Float:
    """Complex point response, then |s|^2: loses len - 1 samples of the response at every side."""
    power = _focused_power(real)
    power += _focused_power(imaginary)
    return power


def _focused_power(part: Float) -> Float:
    focused = _filter_columns(_filter_rows(part, _AZIMUTH), _RANGE)
    return np.multiply(focused, focused, out=focused)


def _filter_rows(image: Float, half: Float) -> Float:
    """Symmetric filter from row to row, valid part."""
    reach = len(half) - 1
    length = image.shape[0] - 2 * reach
    result: Float = image[reach : reach + length] * half[0]
    pair = np.empty_like(result)
    for lag in range(1, reach + 1):
        np.add(image[reach - lag : reach - lag + length], image[reach + lag : reach + lag + length], out=pair)
        np.multiply(pair, half[lag], out=pair)
        np.add(result, pair, out=result)
    return result


def _filter_columns(image: Float, half: Float) -> Float:
    """Symmetric filter from column to column, valid part."""
    reach = len(half) - 1
    length = image.shape[1] - 2 * reach
    result: Float = image[:, reach : reach + length] * half[0]
    pair = np.empty_like(result)
    for lag in range(1, reach + 1):
        np.add(image[:, reach - lag : reach - lag + length], image[:, reach + lag : reach + lag + length], out=pair)
        np.multiply(pair, half[lag], out=pair)
        np.add(result, pair, out=result)
    return result


def _resample(power: Float, window: PixelWindow) -> Float:
    """Average the fine power around every pixel's centre: (height, width)."""
    lost_rows, lost_cols = len(_AZIMUTH) - 1, len(_RANGE) - 1
    first = PAD_PX * AZIMUTH_SAMPLES + AZIMUTH_SAMPLES // 2 - len(_LOOKS_AZIMUTH) // 2 - lost_rows
    rows = np.zeros((window.height, power.shape[1]), np.float32)
    for number, weight in enumerate(_LOOKS_AZIMUTH):
        start = first + number
        stop = start + (window.height - 1) * AZIMUTH_SAMPLES + 1
        rows += power[start:stop:AZIMUTH_SAMPLES] * np.float32(weight)
    first = PAD_PX * RANGE_SAMPLES + RANGE_SAMPLES // 2 - len(_LOOKS_RANGE) // 2 - lost_cols
    result = np.zeros((window.height, window.width), np.float32)
    for number, weight in enumerate(_LOOKS_RANGE):
        start = first + number
        stop = start + (window.width - 1) * RANGE_SAMPLES + 1
        result += rows[:, start:stop:RANGE_SAMPLES] * np.float32(weight)
    return result

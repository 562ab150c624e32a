"""Means over time of linear power, the multitemporal speckle filter, and looks. Arrays in, arrays out.

The filter is that of S. Quegan and J. J. Yu, "Filtering of multichannel SAR images", IEEE TGRS 39 (2001): every date
becomes its local mean, times the mean over all dates of intensity over local mean. The place's own detail, which all
dates share, stays in that second factor; their independent speckle averages out.

Every row depends on its neighbours within `REACH_PX` and on nothing else, to the last bit: sums are taken in one order.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

REACH_PX = 3  # of the local window of 7 x 7 pixels, to each side
_FEW = 25  # of its 49 pixels, below which it tells no variance

Float = NDArray[np.float32]


class TemporalMean:
    """Sum and count of one group's dates; (B, h, w), NaN is left out."""

    def __init__(self, bands: int, height: int, width: int) -> None:
        """Begin with nothing."""
        self._sum = np.zeros((bands, height, width))
        self.count = np.zeros((height, width), np.uint16)  # dates with data

    def add(self, values: Float) -> None:
        """One date, valid in all bands or in none."""
        valid = np.isfinite(values[0])
        self._sum += values if valid.all() else np.where(valid, values, np.float32(0))
        self.count += valid

    def mean(self) -> Float:
        """(B, h, w), NaN where there was no date."""
        with np.errstate(invalid="ignore"):
            return np.asarray(self._sum / np.where(self.count, self.count, np.nan), np.float32)


def orbit_means(sizes: Sequence[int], powers: Iterator[Float], *, filtered: bool) -> list[tuple[Float, Float]]:
    """Mean power (B, h, w) and number of dates (h, w) of every group of one orbit.

    `powers` gives the dates, group after group, `sizes` of each; only one of them is held at a time.
    """
    means: list[TemporalMean] = []
    ratio: TemporalMean | None = None
    for size in sizes:
        for place in range(size):
            power = next(powers)
            if place == 0:
                means.append(TemporalMean(*power.shape))
            if filtered:
                smooth = local_mean(power)
                ratio = ratio or TemporalMean(*power.shape)
                ratio.add(power / smooth)
                power = smooth
            means[-1].add(power)
    detail = np.float32(1) if ratio is None else ratio.mean()
    return [(total.mean() * detail, total.count.astype(np.float32)) for total in means]


def local_mean(values: Float) -> Float:
    """(B, h, w): the mean of the valid pixels of the window around each; NaN stays NaN."""
    valid = np.isfinite(values)
    total = _window_sum(np.where(valid, values, 0.0))
    number = _window_sum(valid[:1].astype(np.float64))
    return np.where(valid, total / np.maximum(number, 1.0), np.nan).astype(np.float32)


def looks(power: Float) -> Float:
    """(B, h, w): the equivalent number of looks, mean^2 / variance of the window around each pixel.

    Texture and edges lower it (C. Oliver and S. Quegan, "Understanding Synthetic Aperture Radar Images", 1998): read
    it on even ground. NaN where fewer than half the window, or no variance, is there.
    """
    valid = np.isfinite(power)
    values = np.where(valid, power, 0.0).astype(np.float64)
    number = np.maximum(_window_sum(valid[:1].astype(np.float64)), 2.0)
    mean = _window_sum(values) / number
    variance = (_window_sum(values**2) / number - mean**2) * number / (number - 1)
    told = valid & (number >= _FEW) & (variance > 0)
    return np.where(told, mean**2 / np.where(told, variance, 1.0), np.nan).astype(np.float32)


def to_db(power: Float) -> Float:
    """Ten times the decimal logarithm; NaN stays NaN."""
    return np.asarray(10.0 * np.log10(power), np.float32)


def _window_sum(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Sum over the window around each pixel (B, h, w); beyond the edge there is nothing."""
    for axis in (1, 2):
        total = values.copy()
        length = values.shape[axis]
        for step in range(1, min(REACH_PX, length - 1) + 1):
            near, far = [slice(None)] * 3, [slice(None)] * 3
            near[axis], far[axis] = slice(0, length - step), slice(step, length)
            total[tuple(near)] += values[tuple(far)]
            total[tuple(far)] += values[tuple(near)]
        values = total
    return values

"""Backscatter with the spatial context that attention has: statistics of the patch, of its surroundings, of its window.

Attention and tokens of a patch depend on its whole window, and on nothing beyond. A fair opponent sees the same pixels:
for each band the mean, deviation and quantiles over the patch and over the 3 x 3 and 5 x 5 patches around it (as far as
the window reaches), mean and deviation over the window, and the patch's mean less the window's, since a tree cannot
subtract. Everything in dB, where speckle is additive and of one variance whatever the ground, so that a deviation is
texture. No position, and no order of the pixels within a patch: arrangement is what the network may add.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

REACHES = (0, 1, 2)  # patches to each side
QUANTILES = (0.1, 0.5, 0.9)
Array = NDArray[np.float32]


def names(bands: Sequence[str]) -> list[str]:
    """Of the columns of `sar_context`."""
    kinds = ["mean", "deviation", *(f"{level:.0%} quantile" for level in QUANTILES)]
    areas = ["patch", *(f"{2 * reach + 1}x{2 * reach + 1} patches" for reach in REACHES[1:])]
    local = [f"{band} {kind}, {area}" for area in areas for band in bands for kind in kinds]
    whole = [f"{band} {kind}, window" for kind in ("mean", "deviation") for band in bands]
    return [*local, *whole, *(f"{band} mean, patch less window" for band in bands)]


def sar_context(
    backscatter_db: Array,
    valid: NDArray[np.bool_],
    patches: NDArray[np.int64],
    patch_px: int,
    clip_db: tuple[float, float],
) -> Array:
    """Of one window (B, S, S) and (S, S): (m, columns) for the m patches with these row-major numbers.

    Each of them must have a valid pixel.
    """
    clipped = np.where(valid, np.clip(backscatter_db, *clip_db), np.nan).astype(np.float32)
    cells = _cells(clipped, patch_px)  # (B, n, n, p p)
    rows, cols = np.divmod(patches, cells.shape[1])
    columns = []
    for reach in REACHES:
        around = _around(cells, reach)[:, rows, cols]  # (B, m, pixels)
        columns += [part for band in around for part in _statistics(band)]
    mean, deviation = np.nanmean(clipped, axis=(1, 2)), np.nanstd(clipped, axis=(1, 2))  # (B,)
    ones = np.ones(len(patches), np.float32)
    columns += [value * ones for value in (*mean, *deviation)]
    per_reach = len(QUANTILES) + 2
    columns += [columns[band * per_reach] - mean[band] for band in range(len(clipped))]
    return np.stack(columns, axis=1).astype(np.float32)


def brightness(context: Array, bands: int) -> Array:
    """(m, 1): the patch's mean over all bands, in dB; from columns of `sar_context`."""
    per_reach = len(QUANTILES) + 2
    mean: Array = context[:, : bands * per_reach : per_reach].mean(axis=1, keepdims=True)
    return mean


def _cells(values: Array, patch_px: int) -> Array:
    bands, side = len(values), values.shape[1] // patch_px
    cells = values.reshape(bands, side, patch_px, side, patch_px).swapaxes(2, 3)
    return cells.reshape(bands, side, side, patch_px * patch_px)


def _around(cells: Array, reach: int) -> Array:
    """(B, n, n, p p) to (B, n, n, (2 reach + 1)^2 p p); NaN beyond the window. A view where it can be one."""
    margin = ((0, 0), (reach, reach), (reach, reach), (0, 0))
    padded = np.pad(cells, margin, constant_values=np.nan)
    size = 2 * reach + 1
    views = np.lib.stride_tricks.sliding_window_view(padded, (size, size), axis=(1, 2))  # (B, n, n, p p, s, s)
    return views if reach else cells


def _statistics(values: Array) -> list[Array]:
    """Mean, deviation and quantiles of (m, ...) over all but the first dimension, without NaN."""
    ordered = np.sort(values.reshape(len(values), -1), axis=1)  # NaN last
    count = np.isfinite(ordered).sum(axis=1)
    found = [np.nanmean(ordered, axis=1), np.nanstd(ordered, axis=1)]
    rows = np.arange(len(ordered))
    for level in QUANTILES:  # linear between neighbours, as numpy's default
        position = level * (count - 1)
        low = np.floor(position).astype(np.int64)
        high = np.minimum(low + 1, count - 1)
        found.append(ordered[rows, low] + (position - low) * (ordered[rows, high] - ordered[rows, low]))
    return [np.asarray(part, np.float32) for part in found]

"""Between the raster's pixels and the network's: windows of a raster whose spacing the model was not trained on.

A window of n cells has n * cell_px raster pixels and n * patch network pixels. Averaging is done in linear power, as a
sensor of that resolution would do it; the way back interpolates what the network said onto the raster's own pixels.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from sardino_core.contract.errors import SpacingUnsuitable

FARTHEST = 4.0  # times outside the model's range; beyond it the texture that the model knows is gone


def cell_size(spacing_m: float | None, allowed_m: tuple[float, float], patch: int) -> int:
    """Raster pixels per cell, so that the network's pixels lie within `allowed_m`; `patch` when no resampling is due.

    Raises SpacingUnsuitable when the spacing is more than four times outside the range.
    """
    low, high = allowed_m
    if spacing_m is None or low <= spacing_m <= high:
        return patch
    if not low / FARTHEST <= spacing_m <= high * FARTHEST:
        raise SpacingUnsuitable(
            f"The pixel spacing is {spacing_m:.4g} m; the model works from {low / FARTHEST:g} to {high * FARTHEST:g} m "
            f"(best {low:g} to {high:g} m).",
            "Use a Sentinel-1 product of 10 to 30 m, or resample the raster first.",
        )
    if spacing_m < low:
        return math.ceil(patch * low / spacing_m)
    return math.floor(patch * high / spacing_m)


def resampling_matrix(source: int, target: int) -> NDArray[np.float32]:
    """(target, source) weights along one dimension: area means downwards, linear upwards; each row sums to 1."""
    if target <= source:
        edges = np.arange(target + 1) * (source / target)
        left, right = np.arange(source), np.arange(1, source + 1)
        overlap = np.minimum(edges[1:, None], right) - np.maximum(edges[:-1, None], left)
        weights = np.clip(overlap, 0, None)
    else:
        centres = np.clip((np.arange(target) + 0.5) * (source / target) - 0.5, 0, source - 1)
        weights = np.clip(1 - np.abs(centres[:, None] - np.arange(source)), 0, None)
    return np.asarray(weights / weights.sum(axis=1, keepdims=True), np.float32)


def resample(values: NDArray[np.float32], matrix: NDArray[np.float32]) -> NDArray[np.float32]:
    """(C, S, S) -> (C, T, T) with the same matrix (T, S) along both dimensions."""
    return np.asarray(matrix @ values @ matrix.T, np.float32)


def resample_backscatter(
    backscatter_db: NDArray[np.float32], valid: NDArray[np.bool_], matrix: NDArray[np.float32]
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """(B, S, S) dB and (S, S) validity to (B, T, T) and (T, T): mean power of the valid pixels."""
    power = np.power(10.0, backscatter_db / 10.0, dtype=np.float32) * valid
    weight = resample(valid[None].astype(np.float32), matrix)[0]
    covered = weight > 1e-6
    mean = resample(power, matrix) / np.where(covered, weight, 1.0)
    db = 10.0 * np.log10(np.maximum(mean, 1e-10))
    return np.where(covered, db, 0.0).astype(np.float32), covered

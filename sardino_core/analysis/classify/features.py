"""What a classifier is given of a pixel: the columns of each feature set, and those that need no network.

`filtered` is speckle filtered at several scales: the mean power of the valid pixels in squares around the pixel, in dB
(a boxcar, or spatial multi-looking: Lee & Pottier 2009, Polarimetric Radar Imaging, chapter 5).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from sardino_core.contract.jobs import FEATURE_SETS, FeatureSet
from sardino_core.contract.model_spec import BandSpec, ModelSpec

Array = NDArray[np.float32]
SQUARES_PX = (3, 7, 15)
MARGIN_PX = max(SQUARES_PX) // 2  # what `pixel_features` needs around its rows
COMPONENTS = 16  # of the tokens
_LOWEST_POWER = 1e-10


def in_order(features: Sequence[FeatureSet]) -> tuple[FeatureSet, ...]:
    """The sets in the order of their columns; all of them where none is named."""
    return tuple(name for name in FEATURE_SETS if name in (features or FEATURE_SETS))


def use_network(features: Sequence[FeatureSet]) -> bool:
    """Whether the network has to run."""
    return bool({"attention", "tokens"} & set(features))


def use_pixels(features: Sequence[FeatureSet]) -> bool:
    """Whether backscatter itself is among the features."""
    return bool({"bands", "filtered"} & set(features))


def columns(features: Sequence[FeatureSet], spec: ModelSpec) -> tuple[str, ...]:
    """Names of the columns, in order."""
    bands = spec.inputs.bands
    named: dict[str, list[str]] = {
        "bands": [band.key for band in bands],
        "filtered": [f"{band.key} {side}x{side}" for side in SQUARES_PX for band in _measured(bands)],
        "attention": [f"head {index + 1}" for index in range(spec.backbone.heads)],
        "tokens": [f"component {index + 1}" for index in range(min(COMPONENTS, spec.backbone.width))],
    }
    return tuple(column for name in features for column in named[name])


def pixel_features(
    backscatter_db: Array, valid: NDArray[np.bool_], features: Sequence[FeatureSet], spec: ModelSpec
) -> Array:
    """Columns (F, rows, width) in dB of the rows within a margin of MARGIN_PX above and below.

    `backscatter_db` (B, rows + 2 margins, width), `valid` likewise; what lies beyond the raster is not valid there. A
    pixel's columns depend on the pixels around it alone, whichever rows are asked for together.
    """
    inner = slice(MARGIN_PX, backscatter_db.shape[1] - MARGIN_PX)
    low, high = map(np.float32, spec.inputs.clip_db)
    clipped = np.clip(backscatter_db, low, high)
    parts: list[Array] = []
    if "bands" in features:
        parts += list(clipped[:, inner])
    if "filtered" in features:
        measured = [index for index, band in enumerate(spec.inputs.bands) if "-" not in band.name]
        power = np.where(valid, np.power(10.0, clipped[measured] / 10.0), 0.0).astype(np.float32)
        for side in SQUARES_PX:
            count = np.maximum(_square_sums(valid[None].astype(np.float32), side), 1.0)
            mean = _square_sums(power, side) / count
            parts += list(10.0 * np.log10(np.maximum(mean, _LOWEST_POWER)))
    rows, width = inner.stop - inner.start, backscatter_db.shape[2]
    return np.asarray(parts, np.float32).reshape(len(parts), rows, width)


def _measured(bands: Sequence[BandSpec]) -> list[BandSpec]:
    """Those that were measured: a difference of two in dB has no power to be averaged."""
    return [band for band in bands if "-" not in band.name]


def _square_sums(values: Array, side: int) -> Array:
    """Sums over side x side pixels of (C, rows + 2 margins, width), for the rows within the margin."""
    reach = side // 2
    rows, width, start = values.shape[1] - 2 * MARGIN_PX, values.shape[2], MARGIN_PX - reach
    down = np.zeros((len(values), rows, width + 2 * reach), np.float32)
    for step in range(side):
        down[:, :, reach : reach + width] += values[:, start + step : start + step + rows]
    found = np.zeros((len(values), rows, width), np.float32)
    for step in range(side):
        found += down[:, :, step : step + width]
    return found

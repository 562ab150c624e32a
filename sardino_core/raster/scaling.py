"""Backscatter in dB to what a network takes: clipped, standardised per band, invalid pixels exactly 0 (the mean)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from sardino_core.contract.model_spec import BandSpec


def standardise(
    backscatter_db: NDArray[np.float32],
    valid: NDArray[np.bool_],
    bands: Sequence[BandSpec],
    clip_db: tuple[float, float],
) -> NDArray[np.float32]:
    """(clip(dB) - mean) / std per band, 0 where invalid.

    `backscatter_db` is (B, h, w) in the order of `bands`, `valid` (h, w). Returns a new C-contiguous float32 (B, h, w);
    the input is left as it is.
    """
    out: NDArray[np.float32] = np.empty(backscatter_db.shape, np.float32)
    invalid = None if valid.all() else ~valid
    for channel, values, band in zip(out, backscatter_db, bands, strict=True):
        np.clip(values, np.float32(clip_db[0]), np.float32(clip_db[1]), out=channel)
        channel -= np.float32(band.mean_db)
        channel *= np.float32(1.0 / band.std_db)
        if invalid is not None:
            np.copyto(channel, np.float32(0.0), where=invalid)
    return out

"""Two polarisations as one picture for the eye."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

NODATA = 255  # white


def false_colour(backscatter_db: NDArray[np.float32], valid: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """VV, VH and VV-VH as red, green and blue (h, w, 3), white where not valid.

    `backscatter_db` is (2 or more, h, w), VV first, `valid` (h, w). Each colour runs from the 2nd to the 98th
    percentile of the valid pixels.
    """
    vv, vh = backscatter_db[:2]
    bands = np.stack([vv, vh, vv - vh])
    if not valid.any():
        return np.full((*valid.shape, 3), NODATA, np.uint8)
    low, high = np.percentile(bands[:, valid], [2, 98], axis=1)[..., None, None]
    scaled = np.clip((np.nan_to_num(bands) - low) / np.maximum(high - low, 1e-6), 0, 1)
    colours = np.rint(255 * np.moveaxis(scaled, 0, -1)).astype(np.uint8)
    return np.where(valid[..., None], colours, np.uint8(NODATA))

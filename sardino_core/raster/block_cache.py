"""GDAL's cache of decoded blocks, bounded: its own default is a share of the machine's memory."""

from __future__ import annotations

import rasterio

# One row of tiles must fit, or each is decoded for every strip that crosses it: of 25,000 columns by 512 rows in two
# float32 bands they are 102 MB. In bytes: rasterio hands the number on as it is.
_BYTES = 192_000_000


def bounded_cache() -> rasterio.Env:
    """The context in which rasters are read and written."""
    return rasterio.Env(GDAL_CACHEMAX=_BYTES)

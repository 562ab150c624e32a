"""Whether a run waited for its files, and what would let them be read faster: decided from two measured times."""

from __future__ import annotations

from collections.abc import Sequence

from sardino_core.costs import duration
from sardino_core.raster.reading.file_layout import FileLayout

_SHARE = 1 / 3  # of the time in which the network worked or waited
_WORTH_S = 5.0  # of waiting; what is shorter is start-up, and no loss
_REWRITE = "rewrite it once: gdal_translate -of COG -co COMPRESS=ZSTD -co PREDICTOR=YES IN.tif OUT.tif"
_SLOW_TO_DECODE = {"deflate", "lzw", "lzma", "packbits"}  # ZSTD decodes half as fast again, uncompressed three times


def slow_reading(waited_s: float, predicted_s: float, files: Sequence[FileLayout], width_px: int) -> str | None:
    """One line for the end of a run, with the remedy; None where the network had no reason to complain.

    `width_px`: columns of the files that were needed.
    """
    total_s = waited_s + predicted_s
    if waited_s < _WORTH_S or waited_s < _SHARE * total_s:
        return None
    return (
        f"The network waited for the files for {duration(waited_s)} of {duration(total_s)}: {_remedy(files, width_px)}."
    )


def _remedy(files: Sequence[FileLayout], width_px: int) -> str:
    for item in files:
        if item.remote:
            return f"{item.name} is remote; copy it to a local disk first"
    for item in files:
        if item.strips and width_px < item.width_px / 2:
            return f"{item.name} has no tiles, so that rows are read whole for a part of them; {_REWRITE}"
    for item in files:
        if item.compression in _SLOW_TO_DECODE:
            return f"{item.name} is compressed by {item.compression.upper()}, which takes long to decode; {_REWRITE}"
    return "a faster disk would help"

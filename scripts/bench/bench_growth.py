"""The growth section of `make bench`: time and memory of `sardino segment` over the height of a raster."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from measure import table, tell, whole_process, write_tall
from numpy.typing import NDArray

HEIGHTS = (1024, 4096, 16384, 65536)


def growth(work: Path, block: NDArray[np.float32], model: str, heights: Sequence[int] = HEIGHTS) -> str:
    """Peak memory must not grow with the raster's height, and time no faster than it."""
    runs = []
    for height in heights:
        tell(f"growth, {height} rows")
        path = write_tall(work / "tall.tif", block, height)
        command = [sys.executable, "-m", "sardino_core", "segment", str(path), "--model", model, "--output"]
        runs.append(whole_process([*command, str(work / "tall_map.tif")]))
    columns = block.shape[2]
    rows = [
        (f"{columns} x {height}", f"{run.peak_mb:.0f} MB", f"{run.seconds:.1f} s", _pace(run.seconds, columns * height))
        for height, run in zip(heights, runs, strict=True)
    ]
    most, least = runs[-1].peak_mb, runs[-2].peak_mb
    return (
        f"## Growth\n\n`sardino segment` as a whole process, one run each.\n\n"
        f"{table(('columns x rows', 'peak memory', 'time', 'time per Mpixel'), rows)}\n\n"
        f"Memory from the last height but one to the last: **{most / least - 1:+.1%}** "
        "(within 5 % and at most 1,500 MB are wanted)."
    )


def _pace(seconds: float, pixels: int) -> str:
    return f"{seconds / pixels * 1e6:.2f} s"

"""What the benchmarks share: rasters of any height, whole processes measured from outside, tables."""

from __future__ import annotations

import os
import shlex
import statistics
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.windows import Window

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Run:
    """One command as a whole process."""

    seconds: float
    peak_mb: float


def tell(text: str) -> None:
    """Progress, for whoever waits."""
    print(text, file=sys.stderr, flush=True)


def write_tall(path: Path, block: NDArray[np.float32], height: int) -> Path:
    """A VV/VH raster of `height` rows that repeats the block (2, rows, columns)."""
    profile = {"driver": "GTiff", "count": 2, "dtype": "float32", "width": block.shape[2], "height": height}
    profile |= {"tiled": True, "blockxsize": 512, "blockysize": 512, "compress": "deflate", "zlevel": 1, "predictor": 3}
    transform = rasterio.transform.from_origin(500_000, 5_000_000, 10, 10)
    with rasterio.open(path, "w", crs="EPSG:32633", transform=transform, nodata=np.nan, **profile) as dataset:
        dataset.descriptions = ("VV", "VH")
        for row in range(0, height, block.shape[1]):
            rows = min(block.shape[1], height - row)
            dataset.write(block[:, :rows], window=Window(0, row, block.shape[2], rows))
    return path


def whole_process(command: Sequence[str]) -> Run:
    """Time and peak memory of one process, from the operating system's own account of it.

    A small process starts it and measures: a peak is inherited from whoever forks, and this one has held scenes.
    """
    launch = [sys.executable, "-S", "-c", _LAUNCHER, *command]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(launch, capture_output=True, text=True, check=False, env=environment)
    if done.returncode:
        raise SystemExit(f"error: {shlex.join(command)} failed: {done.stderr.strip()}")
    seconds, peak_kb = done.stdout.split()
    return Run(float(seconds), float(peak_kb) / 1024)


_LAUNCHER = """
import os, subprocess, sys, time
started = time.perf_counter()
process = subprocess.Popen(sys.argv[1:], stdout=subprocess.DEVNULL)
_, status, usage = os.wait4(process.pid, 0)
process.returncode = os.waitstatus_to_exitcode(status)
print(time.perf_counter() - started, usage.ru_maxrss)
sys.exit(process.returncode)
"""


def table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    """A Markdown table."""
    lines = [" | ".join(head), " | ".join("---" for _ in head), *(" | ".join(row) for row in rows)]
    return "\n".join(f"| {line} |" for line in lines)


def spread(ratios: Sequence[float]) -> str:
    """Median, lowest and highest of paired ratios."""
    return f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"

"""`make bench`: speed and memory of `sardino segment` and of training, as tables with machine, versions and date.

Every figure is measured here, in one run; a row that could not be measured says so.
"""

from __future__ import annotations

import argparse
import datetime
import importlib.metadata
import json
import os
import platform
import shlex
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import rasterio
from bench_training import training
from bench_worker import worker
from rasterio.windows import Window

from sardino_core.contract.jobs import RunOptions, SceneOptions, SegmentJob
from sardino_core.contract.listener import Listener
from sardino_core.inference import segment
from sardino_core.models.predictor import load_predictor
from sardino_core.pipeline import open_session
from sardino_core.raster.scaling import standardise
from sardino_core.raster.strips import read_tiles
from sardino_core.simulate import simulate_arrays

ROOT = Path(__file__).resolve().parents[2]
COLUMNS = 2048
BLOCK = 2048  # rows of the simulated block that a tall raster repeats


@dataclass(frozen=True)
class Run:
    """One command as a whole process."""

    seconds: float
    peak_mb: float


def main() -> int:
    """Measure, and write the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, default=Path("docs/benchmarks.md"))
    parser.add_argument("--model", default="starter")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--rows", type=int, nargs=2, default=(8192, 65536), help="heights for the memory comparison")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="sardino-bench-") as folder:
        work = Path(folder)
        tell("simulating")
        block = simulate_arrays(BLOCK, seed=1)[0]
        sections = [
            header(arguments.model),
            throughput(work, block, arguments.model, arguments.repeats),
            start_up(work, block, arguments.model, arguments.repeats),
            warm_worker(work, arguments.model),
            memory(work, block, arguments.model, arguments.rows),
            simulation(work),
            plugin(work, block),
            training(write_tall(work / "train.tif", block, BLOCK), arguments.repeats, table),
        ]
    arguments.output.write_text("\n\n".join(sections) + "\n", encoding="utf-8")
    tell(f"written: {arguments.output}")
    return 0


def tell(text: str) -> None:
    """Progress, for whoever waits."""
    print(text, file=sys.stderr, flush=True)


def header(model: str) -> str:
    """Where and when the figures were taken."""
    packages = ("numpy", "rasterio", "onnxruntime", "torch", "timm")
    versions = ", ".join(f"{name} {_version(name)}" for name in packages)
    lines = [
        "# Benchmarks",
        "",
        "Made by `make bench`; the command replaces this file. Medians of one run on one machine: compare ratios,",
        "not seconds, with other machines. Scenes are simulated. GPU rows: not measured.",
        "",
        f"- date: {datetime.date.today().isoformat()}",
        f"- machine: {_processor()}, {os.cpu_count()} cores, {_memory_gb():.0f} GB, {platform.system()}",
        f"- Python {platform.python_version()}, {versions}, GDAL {rasterio.__gdal_version__}",
        f"- model: `{model}`, {load_predictor(model).description}",
    ]
    return "\n".join(lines)


def throughput(work: Path, block: np.ndarray, model: str, repeats: int) -> str:
    """End-to-end `segment` against the bare forward pass over the same windows, in turn, in one process."""
    tell("throughput")
    size = BLOCK
    path = write_tall(work / "square.tif", block, size)
    run, scene = RunOptions(model), SceneOptions((str(path),))
    with open_session(scene, run, Listener()) as session:
        spec, batch, predictor = session.spec, session.batch, session.predictor
        windows = np.stack(
            [
                standardise(item.backscatter_db, item.valid, spec.inputs.bands, spec.inputs.clip_db)
                for item in read_tiles(session.scene, session.plan)
            ]
        )
    bare, whole = [], []
    predictor.segment(windows[:batch])
    for _ in range(repeats):
        started = time.perf_counter()
        for index in range(0, len(windows), batch):
            predictor.segment(windows[index : index + batch])
        bare.append(time.perf_counter() - started)
        started = time.perf_counter()
        segment(SegmentJob(scene, run, str(work / "map.tif"), confidence=str(work / "confidence.tif")))
        whole.append(time.perf_counter() - started)
    ratios = [forward / end_to_end for forward, end_to_end in zip(bare, whole, strict=True)]
    timed = [("bare forward pass over the windows", bare), ("`segment`, model loading to closed files", whole)]
    medians = [(name, statistics.median(seconds)) for name, seconds in timed]
    rows = [(name, f"{median:.2f} s", f"{size**2 / 1e6 / median:.3f}") for name, median in medians]
    text = table(("", "median", "Mpixel/s"), rows)
    return (
        f"## Throughput\n\n{size} x {size} pixels, {len(windows)} windows of {spec.window} pixels, overlap "
        f"{run.overlap:g}, batch {batch}, map and confidence written; {repeats} pairs in turn.\n\n{text}\n\n"
        f"Share of the bare forward pass: median **{statistics.median(ratios):.2f}** "
        f"({min(ratios):.2f} to {max(ratios):.2f}); at least 0.85 is wanted."
    )


def start_up(work: Path, block: np.ndarray, model: str, repeats: int) -> str:
    """What a small job spends before and beside its work."""
    tell("start-up")
    path = write_tall(work / "small.tif", block[:, :512, :512], 512)
    imports = "import numpy, rasterio, onnxruntime, sardino_core.inference"
    python, cli = [sys.executable, "-c"], [sys.executable, "-m", "sardino_core"]
    small = [*cli, "segment", str(path), "--model", model, "--output", str(work / "small_map.tif")]
    load = f"{imports}; from sardino_core.models.predictor import load_predictor; load_predictor({model!r})"
    commands = [
        ("`sardino --help` (under 0.3 s is wanted)", [*cli, "--help"]),
        ("an empty Python", [*python, "pass"]),
        ("Python and the imports of `segment`", [*python, imports]),
        ("the same, and the model loaded", [*python, load]),
        ("`sardino segment`, 512 x 512 pixels", small),
    ]
    medians = [statistics.median(whole_process(command).seconds for _ in range(repeats)) for _, command in commands]
    rows = [(name, f"{seconds:.2f} s") for (name, _), seconds in zip(commands, medians, strict=True)]
    loading, whole = medians[-2:]
    return (
        f"## Start-up\n\nWhole processes, medians of {repeats}.\n\n{table(('', 'median'), rows)}\n\n"
        f"Of a small tile's {whole:.2f} s, {loading:.2f} s ({loading / whole:.0%}) are imports and the model's loading."
    )


def warm_worker(work: Path, model: str) -> str:
    """What a program that talks to a worker waits for."""
    tell("worker")
    rows = worker(sys.executable, work / "small.tif", model, 5)
    return f"## Worker\n\n512 x 512 pixels, one window a batch; medians of 5 workers.\n\n{table(('', 'median'), rows)}"


def memory(work: Path, block: np.ndarray, model: str, heights: tuple[int, int]) -> str:
    """Peak memory must not grow with the raster's height."""
    rows, peaks = [], []
    for height in heights:
        tell(f"memory, {height} rows")
        path = write_tall(work / "tall.tif", block, height)
        command = [sys.executable, "-m", "sardino_core", "segment", str(path), "--model", model, "--output"]
        run = whole_process([*command, str(work / "tall_map.tif")])
        peaks.append(run.peak_mb)
        rows.append((f"{COLUMNS} x {height}", f"{run.peak_mb:.0f} MB", f"{run.seconds:.0f} s"))
    growth = peaks[-1] / peaks[0] - 1
    return (
        f"## Memory\n\nPeak resident memory of `sardino segment` as a whole process.\n\n"
        f"{table(('columns x rows', 'peak', 'time'), rows)}\n\n"
        f"Growth with height: **{growth:+.1%}** (within 5 % and at most 1,500 MB are wanted)."
    )


def simulation(work: Path) -> str:
    """A scene of 4096 x 4096 pixels from nothing."""
    tell("simulation")
    run = whole_process(
        [sys.executable, "-m", "sardino_core", "simulate", "--output", str(work / "place"), "--size", "4096"]
    )
    rows = [("4096 x 4096, VV and VH, labels", f"{run.peak_mb:.0f} MB", f"{run.seconds:.0f} s")]
    return f"## Simulation\n\n`sardino simulate` as a whole process.\n\n{table(('scene', 'peak', 'time'), rows)}"


def plugin(work: Path, block: np.ndarray) -> str:
    """Latencies in a real QGIS, where there is one."""
    tell("QGIS plugin")
    python = ROOT / ".venv-qgis" / "bin" / "python"
    if not python.exists():
        return "## QGIS plugin\n\nNot measured: there is no QGIS here (`make test-qgis` installs it where it can)."
    small = write_tall(work / "tile.tif", block[:, :384, :384], 384)
    large = write_tall(work / "square.tif", block, BLOCK)
    command = [str(python), str(ROOT / "scripts" / "bench" / "bench_plugin.py"), str(small), str(large)]
    environment = {**os.environ, "SARDINO_PYTHON": sys.executable}
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    found = json.loads(done.stdout)
    rows = [
        ("plugin loaded (under 150 ms is wanted)", f"{1000 * found['load']:.0f} ms"),
        ("`Segment land cover`, 384 x 384 pixels, the worker started for it", f"{found['cold']:.2f} s"),
        ("the same with a warm worker", f"{found['warm']:.2f} s"),
        ("Cancel in the midst of a run, median and longest (under 2 s is wanted)",
         f"{found['cancel']:.2f} s, {found['cancel_longest']:.2f} s"),
        ("longest time in which the main thread did not answer (under 100 ms is wanted)",
         f"{1000 * found['blocked']:.0f} ms"),
    ]  # fmt: skip
    return f"## QGIS plugin\n\nIn QGIS without a window; medians of 5.\n\n{table(('', 'measured'), rows)}"


def write_tall(path: Path, block: np.ndarray, height: int) -> Path:
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


def whole_process(command: list[str]) -> Run:
    """Time and peak memory of one process, from the operating system's own account of it.

    A small process starts it and measures: a peak is inherited from whoever forks, and this one has held scenes.
    """
    launch = [sys.executable, "-S", "-c", _LAUNCHER, *command]
    done = subprocess.run(launch, capture_output=True, text=True, check=False)
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


def table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    """A Markdown table."""
    lines = [" | ".join(head), " | ".join("---" for _ in head), *(" | ".join(row) for row in rows)]
    return "\n".join(f"| {line} |" for line in lines)


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "absent"


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        return next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def _memory_gb() -> float:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30


if __name__ == "__main__":
    sys.exit(main())

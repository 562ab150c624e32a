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
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import rasterio
from bench_explorer import section
from bench_floor import floor
from bench_growth import HEIGHTS, growth
from bench_segment import PEERS, throughput
from bench_tools import tools
from bench_training import training
from bench_worker import worker
from measure import ROOT, table, tell, whole_process, write_tall

from sardino_core.contract.jobs import SimulateJob
from sardino_core.models.predictor import load_predictor
from sardino_core.simulate import simulate_arrays, simulate_scene

BLOCK = 2048  # side of the simulated block that a tall raster repeats


def main() -> int:
    """Measure, and write the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, default=Path("docs/benchmarks.md"))
    parser.add_argument("--model", default="starter")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--rows", type=int, nargs="+", default=HEIGHTS, help="heights of the growth table")
    parser.add_argument("--peers", type=Path, default=PEERS, help="the Python of the peers' environment (peers.txt)")
    parser.add_argument("--quick", action="store_true", help="tries all but training on small rasters; not for a page")
    arguments = parser.parse_args()
    model, repeats = arguments.model, 1 if arguments.quick else arguments.repeats
    size, seam_px = (384, 320) if arguments.quick else (BLOCK, 768)
    with tempfile.TemporaryDirectory(prefix="sardino-bench-") as folder:
        work = Path(folder)
        tell("simulating")
        block = simulate_arrays(size, seed=1)[0]
        sections = [
            header(model),
            throughput(work, block, model, repeats, arguments.peers, seam_px),
            floor(work, block, repeats),
            start_up(work, block, model, repeats),
            warm_worker(work, model),
            growth(work, block, model, [size, 2 * size] if arguments.quick else arguments.rows),
            simulation(work, size if arguments.quick else 4096),
            tools(work, block, model, size if arguments.quick else 4096),
            explorer(work, model, 384 if arguments.quick else 2000),
            plugin(work, block),
        ]
        if not arguments.quick:
            sections.append(training(write_tall(work / "train.tif", block, size), repeats))
    arguments.output.write_text("\n\n".join(sections) + "\n", encoding="utf-8")
    tell(f"written: {arguments.output}")
    return 0


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


def simulation(work: Path, size: int) -> str:
    """A scene from nothing."""
    tell("simulation")
    run = whole_process(
        [sys.executable, "-m", "sardino_core", "simulate", "--output", str(work / "place"), "--size", str(size)]
    )
    rows = [(f"{size} x {size}, VV and VH, labels", f"{run.peak_mb:.0f} MB", f"{run.seconds:.0f} s")]
    return f"## Simulation\n\n`sardino simulate` as a whole process.\n\n{table(('scene', 'peak', 'time'), rows)}"


def explorer(work: Path, model: str, size: int) -> str:
    """What a click in the attention explorer waits for."""
    tell("explorer")
    simulate_scene(SimulateJob(str(work / "visible"), size, 7))
    return section(work / "visible" / "scene.tif", model, 20)


def plugin(work: Path, block: np.ndarray) -> str:
    """Latencies in a real QGIS, where there is one."""
    tell("QGIS plugin")
    python = ROOT / ".venv-qgis" / "bin" / "python"
    if not python.exists():
        return "## QGIS plugin\n\nNot measured: there is no QGIS here (`make test-qgis` installs it where it can)."
    small = write_tall(work / "tile.tif", block[:, :384, :384], 384)
    large = write_tall(work / "square.tif", block, block.shape[1])
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

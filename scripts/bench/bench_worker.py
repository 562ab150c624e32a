"""How soon a worker is at work, cold and warm, as a Markdown table: run by `make bench`, or alone with this Python.

usage: bench_worker.py [--python PYTHON] [--model M] [--repeats N]; the scene is simulated.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO, cast

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from sardino_core.contract.jobs import RunOptions, SceneOptions, SegmentJob, SimulateJob
from sardino_core.contract.messages import Failure, Hello, Message, Progress, Result, decode
from sardino_core.contract.orders import encode
from sardino_core.dispatch import run_job

Pipes = subprocess.Popen[str]


def main() -> int:
    """Measure, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--python", default=sys.executable, help="the worker's; default: this one")
    parser.add_argument("--model", default="starter")
    parser.add_argument("--repeats", type=int, default=5)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="sardino-bench-") as folder:
        run_job(SimulateJob(folder, 512))
        rows = worker(arguments.python, Path(folder) / "scene.tif", arguments.model, arguments.repeats)
    print("\n".join(["| | median |", "| --- | --- |", *(f"| {what} | {told} |" for what, told in rows)]))
    return 0


def worker(python: str, scene: Path, model: str, repeats: int) -> list[tuple[str, str]]:
    """Rows of a table: seconds from the process's start, or from sending the job to a warm one; medians."""
    job = SegmentJob(SceneOptions((str(scene),)), RunOptions(model, batch_size=1), str(scene.with_name("worker.tif")))
    greeted, cold, warm, second = [], [], [], []
    for _ in range(repeats):
        started = time.perf_counter()
        with subprocess.Popen(
            [python, "-m", "sardino_core", "worker"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as process:
            greeted.append(next(_until(process, Hello)) - started)
            cold.append(_windows(process, job)[0] - started)
            for _ in range(2):
                sent = time.perf_counter()
                first, after = _windows(process, job)
                warm.append(first - sent)
                second.append(after - first)
            cast("IO[str]", process.stdin).close()
    one = statistics.median(second)
    return [
        ("a worker greets", f"{statistics.median(greeted):.2f} s"),
        ("cold, to its first window (within 1 s is wanted)", f"{statistics.median(cold):.2f} s"),
        ("warm, from job to first window", f"{1000 * statistics.median(warm):.0f} ms"),
        ("of which one window takes", f"{1000 * one:.0f} ms"),
        ("what a warm worker adds (under 50 ms is wanted)", f"{1000 * (statistics.median(warm) - one):.0f} ms"),
    ]


def _windows(process: Pipes, job: SegmentJob) -> tuple[float, float]:
    """When the first and the second window of a job were done."""
    pipe = cast("IO[str]", process.stdin)
    pipe.write(encode(job) + "\n")
    pipe.flush()
    windows = _until(process, Progress, "window ")
    first, second = next(windows), next(windows)
    next(_until(process, Result))
    return first, second


def _until(process: Pipes, kind: type[Message], starting: str = "") -> Iterator[float]:
    """When each message of that kind came."""
    for line in cast("IO[str]", process.stdout):
        message = decode(line)
        if isinstance(message, Failure):
            raise SystemExit(f"error: {message.message} {message.hint}")
        if isinstance(message, kind) and getattr(message, "message", "").startswith(starting):
            yield time.perf_counter()


if __name__ == "__main__":
    sys.exit(main())

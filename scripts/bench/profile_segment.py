"""Where the time of `segment` goes, as processor time of each stage; docs/performance.md quotes it.

    python scripts/bench/profile_segment.py [--size 2048]

Processor time, not wall clock: what a stage takes of a core, in whichever thread it runs. On a busy machine the shares
hold, the seconds do not.
"""

from __future__ import annotations

import sys
import time
from argparse import ArgumentParser
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import wraps
from pathlib import Path
from pkgutil import resolve_name
from tempfile import TemporaryDirectory
from typing import Any
from unittest.mock import patch

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from measure import table, write_tall

from sardino_core.contract.jobs import RunOptions, SceneOptions, SegmentJob
from sardino_core.inference import segment
from sardino_core.simulate import simulate_arrays

# Functions that hold a stage, each in one thread; `forward` is what the whole process uses while it runs.
STAGES = {
    "model: loading and hashing": ("sardino_core.models.predictor.load_predictor",),
    "scene: opening, bands and units": ("sardino_core.pipeline.open_scene",),
    "read": ("sardino_core.raster.reading.scene.Scene.read",),
    "standardise": ("sardino_core.pipeline.standardise",),
    "softmax": ("sardino_core.models.outputs.probabilities",),
    "blend": ("sardino_core.raster.blending._Strip.add", "sardino_core.raster.blending._Strip.advance"),
    "argmax": ("sardino_core.inference.decide",),
    "write": ("sardino_core.raster.writing.writer.RasterWriter._write_block",),
}


def main() -> int:
    """Simulate, run, print."""
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, default=2048, help="pixels a side of the raster")
    parser.add_argument("--model", default="starter")
    arguments = parser.parse_args()
    with TemporaryDirectory(prefix="sardino-profile-") as folder:
        raster = write_tall(Path(folder) / "scene.tif", simulate_arrays(arguments.size, seed=1)[0], arguments.size)
        output = f"{folder}/map.tif"
        job = SegmentJob(SceneOptions((str(raster),)), RunOptions(arguments.model), output, f"{folder}/confidence.tif")
        segment(job)  # imports, and the files in the system's cache
        with timed_stages() as taken:
            began = time.process_time()
            segment(job)
            whole = time.process_time() - began
    print(report(taken, whole))
    return 0


@contextmanager
def timed_stages() -> Iterator[Counter[str]]:
    """Seconds of the calling thread by stage, summed over its calls, while the context lasts."""
    taken: Counter[str] = Counter()
    with ExitStack() as stack:
        for stage, functions in STAGES.items():
            for function in functions:
                stack.enter_context(patch(function, _timed(resolve_name(function), stage, taken)))
        yield taken


def report(taken: Counter[str], whole: float) -> str:
    """A table; what no stage holds is the network, on all its threads, and the little that is left."""
    rest = whole - sum(taken.values())
    rows = [("forward pass, all threads, and what is left", rest), *((stage, taken[stage]) for stage in STAGES)]
    return table(
        ("stage", "processor time", "share"),
        [(name, f"{seconds:.2f} s", f"{seconds / whole:.1%}") for name, seconds in (*rows, ("all", whole))],
    )


def _timed(function: Callable[..., Any], stage: str, taken: Counter[str]) -> Callable[..., Any]:
    @wraps(function)
    def call(*arguments: Any, **named: Any) -> Any:
        began = time.thread_time()
        try:
            return function(*arguments, **named)
        finally:
            taken[stage] += time.thread_time() - began  # two threads never share a stage

    return call


if __name__ == "__main__":
    sys.exit(main())

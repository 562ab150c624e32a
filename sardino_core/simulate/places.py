"""Many simulated places: what the scripts that train on simulation alone begin with."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from sardino_core.contract.jobs import SimulateJob
from sardino_core.contract.listener import Listener
from sardino_core.simulate.geometry import Orbit
from sardino_core.simulate.scene import simulate_scene

_ORBITS: tuple[Orbit, ...] = ("descending", "ascending")
_SEASONS: tuple[Literal["winter", "spring", "summer", "fall"], ...] = ("summer", "fall", "winter", "spring")


def varied(folder: Path, size: int, seed: int, index: int) -> SimulateJob:
    """A place seen from one orbit in one season; `index` counts through all of them."""
    return SimulateJob(str(folder), size, seed, _ORBITS[index % 2], _SEASONS[index // 2 % 4])


def simulate_missing(jobs: Sequence[SimulateJob], listener: Listener) -> None:
    """Make the places whose folders hold no labels yet: a place is written whole or not at all."""
    for done, job in enumerate(jobs):
        listener.raise_if_cancelled()
        if not (Path(job.output) / "labels.tif").exists():
            listener.progress(done / len(jobs), f"simulating {Path(job.output).name}")
            simulate_scene(job, cancelled=listener.cancelled)

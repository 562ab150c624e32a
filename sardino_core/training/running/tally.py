"""Sums over the steps since the last row of the log; part of a run's state, so that a resumed run logs the same."""

from __future__ import annotations

from collections.abc import Mapping

import torch

from sardino_core.training.running.distributed import Team

STEPS = "steps"


def add(sums: dict[str, float], values: Mapping[str, float]) -> None:
    """Add the numbers by name."""
    for name, value in values.items():
        sums[name] = sums.get(name, 0.0) + value


def take_means(sums: dict[str, float], crew: Team) -> dict[str, float]:
    """Means over all processes and the steps that were counted under `steps`, which stays a sum; clears the sums."""
    names = sorted(sums)
    total = crew.sum(torch.tensor([sums[name] for name in names], dtype=torch.float64, device=crew.device))
    found = dict(zip(names, (total / crew.size).tolist(), strict=True))
    sums.clear()
    return {name: value if name == STEPS else value / found[STEPS] for name, value in found.items()}

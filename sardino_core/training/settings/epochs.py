"""A run's length as passes over the data instead of steps. No torch."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any, Protocol, TypeVar


class Lengthy(Protocol):
    """An optimiser's configuration."""

    @property
    def epochs(self) -> float:
        """Passes over the data; 0: `steps` holds."""

    @property
    def steps(self) -> int:
        """Steps of the run."""

    @property
    def batch_size(self) -> int:
        """Windows per step."""


T = TypeVar("T", bound=Lengthy)


def with_epochs(optimiser: T, windows: int, stretched: tuple[str, ...]) -> T:
    """The configuration with `epochs` turned into steps, `windows` being one pass.

    The keys `stretched`, which count steps too, keep their share of the run.
    """
    if not optimiser.epochs:
        return optimiser
    steps = max(1, math.ceil(optimiser.epochs * windows / optimiser.batch_size))
    values: dict[str, Any] = {key: round(getattr(optimiser, key) * steps / optimiser.steps) for key in stretched}
    return replace(optimiser, steps=steps, epochs=0.0, **values)  # type: ignore[type-var]  # a dataclass

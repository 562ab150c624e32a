"""Scenes made by rule."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from sardino_core.contract.errors import SettingInvalid


@dataclass(frozen=True)
class SimulateJob:
    """A simulated Sentinel-1 scene with labels: for tests, demonstrations and benchmarks, never evidence."""

    output: str  # folder
    size: int = 1024
    seed: int = 0
    orbit: Literal["ascending", "descending"] = "descending"
    season: Literal["winter", "spring", "summer", "fall"] = "summer"
    all_seasons: bool = False
    take: int = 0  # another pass over the same place in the same season: the same ground, other speckle

    def __post_init__(self) -> None:
        """Validate ranges; raises SettingInvalid."""
        if not 0 <= self.take < 2**31:
            raise SettingInvalid(f"--take {self.take} is out of range; give 0 or more.")
        if not 16 <= self.size <= 131072:
            raise SettingInvalid(f"--size {self.size} is out of range; allowed is 16 to 131072 pixels.")

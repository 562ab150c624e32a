"""What is averaged together: the dates of one orbit and one season, month, or all; and what its bands are called."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from sardino_core.contract.model_spec import SEASONS
from sardino_core.raster.temporal.passes import Pass, by_orbit

By = Literal["all", "season", "month"]


@dataclass(frozen=True)
class Group:
    """Passes whose mean becomes one VV and one VH band."""

    period: str  # a season, a month such as 2024-06, or nothing for all
    orbit: str  # its label
    passes: tuple[Pass, ...]
    told: bool  # whether the bands' names must tell the orbit

    @property
    def label(self) -> str:
        """For messages and tags: `summer, descending 137`."""
        return f"{self.period or 'all dates'}, {self.orbit}"

    def band(self, name: str) -> str:
        """As the reader of scenes recognises it: `VV`, `VV@summer`, `VV 2024-06`, with the orbit where needed."""
        at = f"@{self.period}" if self.period in SEASONS else f" {self.period}" if self.period else ""
        return f"{name}{at} {self.orbit}" if self.told else f"{name}{at}"


def groups_of(passes: Sequence[Pass], by: By) -> list[list[Group]]:
    """The groups of every orbit, periods in their order."""
    orbits = by_orbit(passes)
    return [
        [
            Group(period, orbit, tuple(found for found in of_orbit if _period(found, by) == period), len(orbits) > 1)
            for period in _in_order({_period(found, by) for found in of_orbit})
        ]
        for orbit, of_orbit in orbits.items()
    ]


def season_of(date: str) -> str:
    """By the northern hemisphere's calendar, as models mean it: `winter` is December to February everywhere."""
    return SEASONS[int(date[5:7]) % 12 // 3]


def _period(found: Pass, by: By) -> str:
    return "" if by == "all" else found.date[:7] if by == "month" else season_of(found.date)


def _in_order(periods: set[str]) -> list[str]:
    return [season for season in SEASONS if season in periods] or sorted(periods)

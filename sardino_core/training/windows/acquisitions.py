"""What was taken where and when: acquisitions of a place, and which of them may be two views of it. No torch.

A place is ground that one or more rasters show on the same pixels; dates, seasons and orbits are its acquisitions.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date as Day
from pathlib import Path

from sardino_core.contract.jobs import SceneOptions, Units
from sardino_core.contract.model_spec import BandSpec
from sardino_core.raster.grid import PixelWindow, RasterGrid
from sardino_core.raster.reading.scene import Scene, open_scene
from sardino_core.training.settings.pretrain_config import ImageConfig
from sardino_core.training.windows.shared_ground import on_same_ground
from sardino_core.training.windows.sources import short_name

_CYCLE_DAYS = 6  # two Sentinel-1 satellites repeat a track every six days, one every twelve


@dataclass(frozen=True, eq=False)
class Acquisition:
    """One date (or season, or orbit) of a place: what to open and what is known of it."""

    source: ImageConfig
    files: tuple[Path, ...]
    bands: tuple[BandSpec, ...]
    grid: RasterGrid
    date: str = ""  # ISO 8601, as exact as known; or the season
    orbit: str = ""  # ascending, descending
    valid_share: float = 1.0
    units: Units = "auto"  # as recognised; opening the files again is quick then
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    numbers: Mapping[str, int] = field(default_factory=dict)  # of bands within the file, where one holds several dates
    origin: tuple[int, int] = (0, 0)  # (row, col) of the first pixel on the grid of the place's first acquisition

    @property
    def name(self) -> str:
        """`folder/file`, for messages and provenance: no machine's paths."""
        part = [self.date, self.orbit] if self.numbers else [self.bands[0].season or ""]
        told = ", ".join(text for text in part if text)
        return short_name(self.files[0]) + (f" ({told})" if told else "")

    def open(self) -> Scene:
        """The pixels. Raises what the raster reader raises."""
        bands = {**self.source.bands, **self.numbers}
        known = self.units != "auto"
        options = SceneOptions(
            tuple(map(str, self.files)), bands=bands, units=self.units if known else self.source.units
        )
        return open_scene(options, self.bands, model_name="configuration", known=known)

    def shown_by(self, window: PixelWindow, other: Acquisition) -> PixelWindow | None:
        """The ground of this one's `window` in another acquisition of the place; None where it shows not all of it."""
        row = window.row + self.origin[0] - other.origin[0]
        col = window.col + self.origin[1] - other.origin[1]
        inside = 0 <= row <= other.grid.height - window.height and 0 <= col <= other.grid.width - window.width
        return replace(window, row=row, col=col) if inside else None


@dataclass(frozen=True, eq=False)
class Place:
    """Acquisitions whose pixels coincide, though each may reach a little further than the others."""

    acquisitions: tuple[Acquisition, ...]

    @property
    def valid_px(self) -> float:
        """Pixels with data, summed over the acquisitions."""
        return sum(item.valid_share * item.grid.height * item.grid.width for item in self.acquisitions)

    def partners(self, index: int, dates: str, window: PixelWindow | None = None) -> list[int]:
        """The other acquisitions that may give the second view of acquisition `index`, or of a `window` of it.

        Of files without a date nothing tells whether they are of one day: they are partners for `any` alone.
        """
        first = self.acquisitions[index]

        def fits(other: Acquisition) -> bool:
            if dates == "off" or other is first:
                return False
            if dates == "any":
                return other.date != first.date or not first.date
            return other.date != first.date and same_orbit(first, other)

        found = [i for i, other in enumerate(self.acquisitions) if fits(other)]
        return [i for i in found if window is None or first.shown_by(window, self.acquisitions[i]) is not None]


def same_orbit(first: Acquisition, second: Acquisition) -> bool:
    """Whether two dates of a place were seen from the same track, as far as names and tags tell.

    Tracks repeat to the minute every twelve days, every six with two satellites (ESA, Sentinel-1 mission description);
    neighbouring tracks differ in both. Seasons and dates without a day are compared by direction alone.
    """
    if first.orbit and second.orbit and first.orbit != second.orbit:
        return False
    if len(first.date) < 10 or len(second.date) < 10:
        return True
    days = (Day.fromisoformat(first.date[:10]) - Day.fromisoformat(second.date[:10])).days
    if days % _CYCLE_DAYS not in (0, 1, _CYCLE_DAYS - 1):  # 1 and 5: passes around midnight, by time of day below
        return False
    if len(first.date) < 19 or len(second.date) < 19:
        return days % _CYCLE_DAYS == 0
    apart = abs(days * 1440 + _minutes(first.date) - _minutes(second.date)) % (_CYCLE_DAYS * 1440)
    return min(apart, _CYCLE_DAYS * 1440 - apart) <= 2


def into_places(found: Sequence[Acquisition]) -> list[Place]:
    """Those of a source whose pixels coincide and that share half of their ground, in the order of their first."""
    groups = on_same_ground([item.grid for item in found], [id(item.source) for item in found])
    return [Place(tuple(replace(found[index], origin=origin) for index, origin in group)) for group in groups]


def _minutes(stamp: str) -> float:
    return int(stamp[11:13]) * 60 + int(stamp[14:16]) + int(stamp[17:19]) / 60

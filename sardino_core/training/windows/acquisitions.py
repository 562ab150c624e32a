"""What was taken where and when: acquisitions of a place, and which of them may be two views of it. No torch.

A place is ground that one or more rasters show on the same pixels; dates, seasons and orbits are its acquisitions.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date as Day
from pathlib import Path

from sardino_core.contract.jobs import SceneOptions, Units
from sardino_core.contract.model_spec import BandSpec
from sardino_core.raster.grid import PixelWindow, RasterGrid
from sardino_core.raster.reading.scene import Scene, open_scene
from sardino_core.raster.reading.sources import aligned_offset
from sardino_core.training.settings.pretrain_config import ImageConfig
from sardino_core.training.windows.sources import short_name

_CYCLE_DAYS = 6  # two Sentinel-1 satellites repeat a track every six days, one every twelve
_LEAST_SHARED = 0.5  # of the larger of two rasters, to be one place
_Cell = tuple[object, int, int]


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
    """Those whose pixels coincide and that share half of their ground become one place, in the order of their first.

    Neighbours are looked up by the cell in which their centre lies, so that ten thousand files stay quick.
    """
    side = max((_extent(item.grid) for item in found), default=1.0)
    places: list[list[Acquisition]] = []
    cells: dict[_Cell, list[int]] = {}
    for item in found:
        cell = _cell(item, side)
        near = (number for key in _around(cell) for number in cells.get(key, ()))
        for number in sorted(near):
            offset = _shift(item.grid, places[number][0].grid)
            if offset is not None:
                places[number].append(replace(item, origin=offset))
                break
        else:
            cells.setdefault(cell, []).append(len(places))
            places.append([item])
    return [Place(tuple(items)) for items in places]


def _shift(own: RasterGrid, grid: RasterGrid) -> tuple[int, int] | None:
    """(row, col) of `own`'s first pixel on `grid`; None where pixels do not coincide or too little is shared."""
    offset = aligned_offset(own, grid)
    if offset is None:
        return None
    row, col = offset
    height = min(row + own.height, grid.height) - max(row, 0)
    width = min(col + own.width, grid.width) - max(col, 0)
    larger = max(own.height * own.width, grid.height * grid.width)
    return offset if min(height, width) > 0 and height * width >= _LEAST_SHARED * larger else None


def _extent(grid: RasterGrid) -> float:
    """The longer side, in the units of the CRS."""
    bounds = grid.bounds
    return max(bounds.xmax - bounds.xmin, bounds.ymax - bounds.ymin)


def _cell(item: Acquisition, side: float) -> _Cell:
    """What two acquisitions of a place have in common: source, CRS, and nearly the centre."""
    bounds = item.grid.bounds
    x, y = (bounds.xmin + bounds.xmax) / 2, (bounds.ymin + bounds.ymax) / 2
    # Without a CRS nothing is known to agree.
    located: object = id(item) if item.grid.crs is None else item.grid.crs.to_wkt()
    return (id(item.source), located), math.floor(y / side), math.floor(x / side)


def _around(cell: _Cell) -> Iterator[_Cell]:
    """A cell and its neighbours."""
    key, row, col = cell
    for down in (-1, 0, 1):
        for right in (-1, 0, 1):
            yield key, row + down, col + right


def _minutes(stamp: str) -> float:
    return int(stamp[11:13]) * 60 + int(stamp[14:16]) + int(stamp[17:19]) / 60

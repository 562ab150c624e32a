"""Unlabelled rasters as places with their dates: which files belong together, how much of each is valid. No torch.

A place is a grid; what was taken on the same grid on other days (or in other seasons) are further acquisitions of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date as Day
from pathlib import Path

import numpy as np

from sardino_core.contract.errors import BandsMissing, NotARaster, NoValidData, SardinoError, SpacingUnsuitable
from sardino_core.contract.jobs import SceneOptions
from sardino_core.contract.listener import Listener
from sardino_core.contract.model_spec import SEASONS, BandSpec
from sardino_core.raster.grid import PixelWindow, RasterGrid
from sardino_core.raster.resampling import cell_size
from sardino_core.raster.scene import Scene, open_scene
from sardino_core.training.pretrain_config import ImageConfig, PretrainConfig
from sardino_core.training.sources import expand, group_polarisations, short_name

_LOOK_PX = 64  # side of the windows that estimate the valid share
_LOOKS = 5  # per dimension
_CYCLE_DAYS = 6  # two Sentinel-1 satellites repeat a track every six days, one every twelve


@dataclass(frozen=True, eq=False)
class Acquisition:
    """One date (or season) of a place: what to open and what is known of it."""

    source: ImageConfig
    files: tuple[Path, ...]
    bands: tuple[BandSpec, ...]
    grid: RasterGrid
    date: str = ""  # ISO 8601, as exact as known; or the season
    orbit: str = ""  # ascending, descending
    valid_share: float = 1.0
    notes: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """`folder/file`, for messages and provenance: no machine's paths."""
        season = self.bands[0].season
        return short_name(self.files[0]) + (f" ({season})" if season else "")

    def open(self) -> Scene:
        """The pixels. Raises what the raster reader raises."""
        options = SceneOptions(tuple(map(str, self.files)), bands=self.source.bands, units=self.source.units)
        return open_scene(options, self.bands, model_name="configuration")


@dataclass(frozen=True, eq=False)
class Place:
    """A grid and all that was taken on it."""

    acquisitions: tuple[Acquisition, ...]

    @property
    def grid(self) -> RasterGrid:
        """The grid that all share."""
        return self.acquisitions[0].grid

    @property
    def valid_px(self) -> float:
        """Pixels with data, on the average of the dates."""
        share = sum(item.valid_share for item in self.acquisitions) / len(self.acquisitions)
        return share * self.grid.height * self.grid.width

    def partners(self, index: int, dates: str) -> list[int]:
        """The other acquisitions that may give the second view of acquisition `index`."""
        if dates == "off":
            return []
        first = self.acquisitions[index]
        others = [i for i, other in enumerate(self.acquisitions) if i != index and other.date != first.date]
        return [i for i in others if dates == "any" or same_orbit(first, self.acquisitions[i])]


@dataclass(frozen=True)
class Survey:
    """All places of a run, and the files that could not be used."""

    places: tuple[Place, ...]
    unreadable: tuple[str, ...]

    @property
    def acquisitions(self) -> list[Acquisition]:
        """All of them, place by place."""
        return [item for place in self.places for item in place.acquisitions]

    @property
    def names(self) -> tuple[str, ...]:
        """The rasters by name, for provenance and for telling whether a resumed run has the same."""
        return tuple(item.name for item in self.acquisitions)


def survey(config: PretrainConfig, listener: Listener) -> Survey:
    """Find, open and group all rasters. Damaged and empty ones are named and skipped; too many damaged are an error.

    Raises InputMissing, NotARaster, NoValidData and what the raster reader raises.
    """
    found: list[Acquisition] = []
    damaged: list[str] = []
    empty: NoValidData | None = None
    total = 0
    for source in config.sources:
        scenes = group_polarisations(expand(source.images, {}, source.name, "images"))
        total += len(scenes)
        for done, files in enumerate(scenes, 1):
            listener.raise_if_cancelled()
            listener.progress(0.02 * done / len(scenes), f"looking at {short_name(files[0])}")
            try:
                found += _acquisitions(source, files, config.model.inputs.bands)
                _require_spacing(found[-1], config)
            except NotARaster as error:
                damaged.append(short_name(files[0]))
                listener.log("warning", f"skipped: {error}")
                check_damage(damaged, total, config.unreadable, error)
            except NoValidData as error:
                empty = error
                listener.log("warning", f"skipped: {error}")
    if empty is not None and not found:
        raise empty
    return Survey(tuple(_grouped(found)), tuple(damaged))


def _require_spacing(item: Acquisition, config: PretrainConfig) -> None:
    """Raises SpacingUnsuitable, naming the raster, before any window is drawn from it."""
    try:
        cell_size(item.grid.spacing_m, config.model.inputs.spacing_m, config.model.backbone.patch)
    except SpacingUnsuitable as error:
        raise SpacingUnsuitable(f"{item.name}: {error.message}", error.hint) from error


def check_damage(damaged: Sequence[str], total: int, limit: float, error: SardinoError) -> None:
    """Raises NotARaster when more than the share `limit` of `total` rasters is damaged."""
    if len(damaged) > limit * total:
        raise NotARaster(
            f"{len(damaged)} of {total} rasters cannot be read, more than the {limit:.0%} that `unreadable` allows; "
            f"the last: {error.message}",
            "Repair or leave out these files.",
        ) from error


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


def _minutes(stamp: str) -> float:
    return int(stamp[11:13]) * 60 + int(stamp[14:16]) + int(stamp[17:19]) / 60


def _acquisitions(source: ImageConfig, files: tuple[Path, ...], bands: tuple[BandSpec, ...]) -> list[Acquisition]:
    """One, or one for each season that the file's bands are named after."""
    try:
        return [_looked_at(source, files, bands)]
    except BandsMissing:
        seasonal: list[Acquisition] = []
        for season in SEASONS:
            try:
                named = tuple(replace(band, season=season) for band in bands)
                seasonal.append(replace(_looked_at(source, files, named), date=season))
            except BandsMissing:
                continue
        if not seasonal or any(band.season for band in bands):
            raise
        return seasonal


def _looked_at(source: ImageConfig, files: tuple[Path, ...], bands: tuple[BandSpec, ...]) -> Acquisition:
    plain = Acquisition(source, files, bands, RasterGrid(1, 1, None, None))  # type: ignore[arg-type]
    with plain.open() as scene:
        date, orbit = scene.tags.get("ACQUISITION_DATE", ""), scene.tags.get("ORBIT", "")
        share = valid_share(scene)
        return replace(plain, grid=scene.grid, date=date, orbit=orbit, valid_share=share, notes=scene.notes)


def valid_share(scene: Scene) -> float:
    """Share of pixels with data, from windows spread over the scene; from all of it when it is small."""
    grid = scene.grid
    if grid.height * grid.width <= (_LOOKS * _LOOK_PX) ** 2:
        return float(scene.read(grid.full)[1].mean())
    height, width = min(_LOOK_PX, grid.height), min(_LOOK_PX, grid.width)
    shares = []
    for i in range(_LOOKS):
        for j in range(_LOOKS):
            row = int((i + 0.5) / _LOOKS * grid.height - height / 2)
            col = int((j + 0.5) / _LOOKS * grid.width - width / 2)
            window = PixelWindow(
                min(max(row, 0), grid.height - height), min(max(col, 0), grid.width - width), height, width
            )
            shares.append(float(scene.read(window)[1].mean()))
    return float(np.mean(shares))


def _grouped(found: Sequence[Acquisition]) -> list[Place]:
    """Acquisitions with the same grid, in the order of their first."""
    places: dict[object, list[Acquisition]] = {}
    for item in found:
        grid = item.grid
        located: object = id(item) if grid.crs is None else grid.crs.to_wkt()  # without a CRS nothing is known to agree
        key = id(item.source), located, tuple(grid.transform)[:6], grid.height, grid.width
        places.setdefault(key, []).append(item)
    return [Place(tuple(items)) for items in places.values()]

"""Unlabelled rasters found, looked at and grouped into places: which can be read, what they hold, how much is valid."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from sardino_core.contract.errors import BandsMissing, NotARaster, NoValidData, SpacingUnsuitable
from sardino_core.contract.listener import Listener
from sardino_core.contract.model_spec import SEASONS, BandSpec
from sardino_core.raster.grid import PixelWindow, RasterGrid
from sardino_core.raster.reading.scene import Scene
from sardino_core.raster.resampling import cell_size
from sardino_core.training.settings.pretrain_config import ImageConfig, PretrainConfig
from sardino_core.training.windows.acquisitions import Acquisition, Place, into_places
from sardino_core.training.windows.chips import UNITS, band_numbers, expand_chips, is_chip, look_at
from sardino_core.training.windows.probe_windows import ProbeWindows
from sardino_core.training.windows.sources import check_damage, expand, group_polarisations, listed, short_name

_LOOK_PX = 64  # side of the windows that estimate the valid share
_LOOKS = 5  # per dimension
_NAMED = 200  # rasters; more are told by the first and the last of each source
_Scene = tuple[ImageConfig, tuple[Path, ...]]


@dataclass(frozen=True)
class Survey:
    """All places of a run, and the files that could not be used."""

    places: tuple[Place, ...]
    unreadable: tuple[str, ...]
    probe: ProbeWindows | None = None  # labelled windows to look at the tokens with

    @property
    def acquisitions(self) -> list[Acquisition]:
        """All of them, place by place."""
        return [item for place in self.places for item in place.acquisitions]

    @property
    def names(self) -> tuple[str, ...]:
        """The rasters by name, for telling whether a resumed run has the same."""
        return tuple(item.name for item in self.acquisitions)

    @property
    def described(self) -> tuple[str, ...]:
        """The rasters for provenance: each by its name, or a line per source where they are many."""
        if len(self.names) <= _NAMED:
            return self.names
        found: dict[str, list[str]] = {}
        for item in self.acquisitions:
            found.setdefault(item.source.name, []).append(item.name)
        return tuple(f"{source}, {listed(names)}" for source, names in found.items())

    @property
    def warnings(self) -> tuple[str, ...]:
        """What the reader warned of, each once."""
        return tuple(dict.fromkeys(text for item in self.acquisitions for text in item.warnings))


def survey(config: PretrainConfig, listener: Listener) -> Survey:
    """Find, open and group all rasters. Damaged and empty ones are named and skipped; too many damaged are an error.

    Raises InputMissing, NotARaster, NoValidData and what the raster reader raises.
    """
    scenes = [scene for source in config.sources for scene in _scenes(source, config.paths)]
    found: list[Acquisition] = []
    damaged: list[str] = []
    empty: NoValidData | None = None
    for done, ((_, files), seen) in enumerate(zip(scenes, _seen(scenes, config), strict=True), 1):
        listener.raise_if_cancelled()
        listener.progress(0.02 * done / len(scenes), f"looking at {short_name(files[0])}")
        if isinstance(seen, NotARaster):
            damaged.append(short_name(files[0]))
            listener.log("warning", f"skipped: {seen}")
            check_damage(damaged, len(scenes), config.unreadable, seen)
        elif isinstance(seen, NoValidData):
            empty = seen
            listener.log("warning", f"skipped: {seen}")
        else:
            found += seen
    if empty is not None and not found:
        raise empty
    return Survey(tuple(into_places(found)), tuple(damaged))


def _scenes(source: ImageConfig, folders: dict[str, str]) -> list[_Scene]:
    paths = expand_chips(expand(source.images, folders, source.name, "images"), source.m3leo)
    return [(source, files) for files in group_polarisations(paths)]


def _seen(scenes: Sequence[_Scene], config: PretrainConfig) -> Iterator[list[Acquisition] | NotARaster | NoValidData]:
    """What there is to each scene, in order; looked at by several threads, since files may be far away."""

    def look(scene: _Scene) -> list[Acquisition] | NotARaster | NoValidData:
        try:
            found = _acquisitions(*scene, config.model.inputs.bands)
            _require_spacing(found[-1], config)
        except (NotARaster, NoValidData) as error:
            return error
        return found

    pool = ThreadPoolExecutor(config.run.readers, thread_name_prefix="survey")
    try:
        yield from pool.map(look, scenes)
    finally:
        pool.shutdown(cancel_futures=True)


def _require_spacing(item: Acquisition, config: PretrainConfig) -> None:
    """Raises SpacingUnsuitable, naming the raster, before any window is drawn from it."""
    try:
        cell_size(item.grid.spacing_m, config.model.inputs.spacing_m, config.model.backbone.patch)
    except SpacingUnsuitable as error:
        raise SpacingUnsuitable(f"{item.name}: {error.message}", error.hint) from error


def _acquisitions(source: ImageConfig, files: tuple[Path, ...], bands: tuple[BandSpec, ...]) -> list[Acquisition]:
    """One, or one for each season that the file's bands are named after, or M3LEO's seasons and orbits."""
    seasonal = any(band.season for band in bands)
    if is_chip(files[0]) and not source.bands and not seasonal:
        return _of_chip(source, files, bands)
    try:
        return [_looked_at(source, files, bands)]
    except BandsMissing:
        found: list[Acquisition] = []
        for season in SEASONS:
            try:
                named = tuple(replace(band, season=season) for band in bands)
                found.append(replace(_looked_at(source, files, named), date=season))
            except BandsMissing:
                continue
        if not found or seasonal:
            raise
        return found


def _of_chip(source: ImageConfig, files: tuple[Path, ...], bands: tuple[BandSpec, ...]) -> list[Acquisition]:
    """Up to eight: four seasons, ascending and descending."""
    chip = look_at(files[0])
    if not chip.shares:
        raise NoValidData(f"{short_name(files[0])} holds no season with data.", "Leave it out.")
    notes, told = (f"units: {UNITS}, by the M3LEO band layout",), (chip.warning,)
    return [
        Acquisition(source, files, bands, chip.grid, season, orbit, share, UNITS, notes, told,
                    band_numbers(season, orbit, bands))
        for (season, orbit), share in chip.shares.items()
    ]  # fmt: skip


def _looked_at(source: ImageConfig, files: tuple[Path, ...], bands: tuple[BandSpec, ...]) -> Acquisition:
    plain = Acquisition(source, files, bands, RasterGrid(1, 1, None, None))  # type: ignore[arg-type]
    with plain.open() as scene:
        date, orbit = scene.tags.get("ACQUISITION_DATE", ""), scene.tags.get("ORBIT", "")
        known = replace(plain, grid=scene.grid, units=scene.units, notes=scene.notes, warnings=scene.warnings)
        return replace(known, date=date, orbit=orbit, valid_share=valid_share(scene))


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

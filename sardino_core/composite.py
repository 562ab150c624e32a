"""From many dates to one raster in dB: the mean of their linear power per orbit and period, streamed strip by strip.

dates -> passes and orbits -> one grid -> power, read ahead -> means (filtered) -> GeoTIFF, published when complete.
"""

from __future__ import annotations

import json
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import sardino_core
from sardino_core.contract.errors import NoValidData, SettingInvalid
from sardino_core.contract.jobs import CompositeJob
from sardino_core.contract.listener import Listener
from sardino_core.contract.messages import Result
from sardino_core.contract.model_spec import BandSpec
from sardino_core.contract.serial import to_dict
from sardino_core.raster.block_cache import bounded_cache
from sardino_core.raster.grid import Bounds, PixelWindow, RasterGrid
from sardino_core.raster.reading.inputs import expand_inputs
from sardino_core.raster.reading.mosaic import union_grid
from sardino_core.raster.reading.sources import Source
from sardino_core.raster.temporal.averaging import REACH_PX, Float, looks, orbit_means, to_db
from sardino_core.raster.temporal.common_grid import PowerOnGrid
from sardino_core.raster.temporal.opening import OpenPass, common_tags, open_passes
from sardino_core.raster.temporal.passes import Pass, find_passes, of_one_orbit
from sardino_core.raster.temporal.periods import Group, groups_of
from sardino_core.raster.writing.staging import staged
from sardino_core.raster.writing.writer import RasterLayout, RasterWriter, to_cog
from sardino_core.read_ahead import read_ahead

_BANDS = ("VV", "VH")
_STRIP_ROWS, _STRIP_PX = 512, 1 << 22  # of one strip, at most; blocks of files are seldom higher
_AHEAD = 2  # dates' strips that are read while one is added


def composite(job: CompositeJob, listener: Listener | None = None) -> Result:
    """Write the means and, where asked for, how many dates and looks each pixel has. Raises SardinoError."""
    listener = listener or Listener()
    with staged() as staging, bounded_cache():
        _refuse_collisions(job)
        asides = {path: staging.path(path) for path in (job.output, job.quality) if path is not None}
        passes = of_one_orbit(find_passes(job.inputs, job.dates, job.bands), job.orbit)
        specs = tuple(BandSpec(name, 0.0, 1.0) for name in _BANDS)
        with open_passes(passes, specs, job.units, listener, model_name="composite") as opened:
            orbits = groups_of([item.found for item in opened], job.by)
            groups = [group for orbit in orbits for group in orbit]
            plan = _Plan(job, _grid(job, opened), orbits)
            readers = {item.found: PowerOnGrid(item.scene, len(_BANDS), plan.grid) for item in opened}
            _tell(orbits, readers, listener)
            layouts = _layouts(job, opened, groups, readers)
            with ExitStack() as stack:
                writers = [
                    stack.enter_context(RasterWriter(aside, plan.grid, layouts[path])) for path, aside in asides.items()
                ]
                seen = 0
                for strip in plan.strips(readers, listener):
                    seen += int(np.isfinite(strip.mean_db).sum())
                    for writer, rows in zip(writers, (strip.mean_db, strip.quality), strict=False):
                        writer.write(rows)
        if not seen:
            raise NoValidData("No date holds a valid pixel in this area.", "Check the extent, the grid and nodata.")
        if job.format == "cog":
            for path, aside in asides.items():
                to_cog(aside, layouts[path])
    outputs = {role: path for role, path in (("output", job.output), ("quality", job.quality)) if path is not None}
    return Result(outputs, {"dates": {group.label: len(group.passes) for group in groups}})


@dataclass(frozen=True)
class _Strip:
    """Finished rows of all groups."""

    mean_db: Float  # (groups * 2, rows, width): VV and VH of each
    quality: Float  # (groups * 3, rows, width): dates, looks of VV and VH of each; empty where not asked for


@dataclass(frozen=True)
class _Plan:
    """What is read and averaged, strip by strip."""

    job: CompositeJob
    grid: RasterGrid
    orbits: Sequence[Sequence[Group]]

    @property
    def reach(self) -> int:
        """Rows beyond a strip that its own rows depend on."""
        return REACH_PX * ((self.job.filter != "none") + (self.job.quality is not None))

    def strips(self, readers: Mapping[Pass, PowerOnGrid], listener: Listener) -> Iterator[_Strip]:
        """The strips from top to bottom."""
        with closing(read_ahead(self._powers(readers), _AHEAD)) as powers:
            for window in self._windows():
                padded = self._padded(window)
                inner = slice(window.row - padded.row, window.row - padded.row + window.height)
                means, counts = [], []
                for groups in self.orbits:
                    listener.raise_if_cancelled()
                    sizes = [len(group.passes) for group in groups]
                    found = orbit_means(sizes, _heeded(powers, listener), filtered=self.job.filter != "none")
                    means += [mean for mean, _ in found]
                    counts += [count[None] for _, count in found]
                yield self._strip(means, counts, inner)
                listener.progress((window.row + window.height) / self.grid.height, "averaging")

    def _strip(self, means: Sequence[Float], counts: Sequence[Float], inner: slice) -> _Strip:
        quality = [np.empty((0, 0, 0), np.float32)]
        if self.job.quality is not None:
            quality = [
                part[:, inner] for mean, count in zip(means, counts, strict=True) for part in (count, looks(mean))
            ]
        return _Strip(to_db(np.concatenate([mean[:, inner] for mean in means])), np.concatenate(quality))

    def _powers(self, readers: Mapping[Pass, PowerOnGrid]) -> Generator[Float]:
        """Every date of every group, for one strip after the other."""
        for window in self._windows():
            for groups in self.orbits:
                for found in (found for group in groups for found in group.passes):
                    yield readers[found].read(self._padded(window))

    def _windows(self) -> Iterator[PixelWindow]:
        rows = max(1, min(_STRIP_ROWS, _STRIP_PX // self.grid.width))
        for row in range(0, self.grid.height, rows):
            yield PixelWindow(row, 0, min(rows, self.grid.height - row), self.grid.width)

    def _padded(self, window: PixelWindow) -> PixelWindow:
        top = max(0, window.row - self.reach)
        bottom = min(self.grid.height, window.row + window.height + self.reach)
        return PixelWindow(top, 0, bottom - top, window.width)


def _heeded(powers: Iterator[Float], listener: Listener) -> Iterator[Float]:
    """The same, stopping when the listener wants it."""
    for power in powers:
        listener.raise_if_cancelled()
        yield power


def _grid(job: CompositeJob, opened: Sequence[OpenPass]) -> RasterGrid:
    """The pixels of --grid, or those of the earliest date extended to all, cut to the extent."""
    if job.grid is None:
        grid = union_grid(opened)
    else:
        with closing(Source(job.grid)) as source:
            grid = source.grid
        if grid.crs is None:
            raise SettingInvalid(f"--grid {source.name} has no CRS.", "Name a raster with map coordinates.")
    return grid.crop(grid.window_of(Bounds(*job.extent))) if job.extent else grid


def _tell(orbits: Sequence[Sequence[Group]], readers: Mapping[Pass, PowerOnGrid], listener: Listener) -> None:
    for group in (group for groups in orbits for group in groups):
        days = ", ".join(found.day for found in group.passes)
        listener.log("info", f"{group.label}: mean of {len(group.passes)} ({days})")
    unknown = sum(not found.orbit.key for found in readers)
    if unknown:
        listener.log("warning", f"{unknown} of {len(readers)} dates tell no orbit: they are averaged as one group.")
    if len(orbits) > 1:
        listener.log(
            "warning", f"The dates are of {len(orbits)} orbits, each with bands of its own; --orbit takes one."
        )
    resampled = _resampled(readers)
    if resampled:
        listener.log("info", f"{resampled} of {len(readers)} dates lie on other pixels: resampled (bilinear, in power)")


def _resampled(readers: Mapping[Pass, PowerOnGrid]) -> int:
    return sum(reader.resampled for reader in readers.values())


def _layouts(
    job: CompositeJob, opened: Sequence[OpenPass], groups: Sequence[Group], readers: Mapping[Pass, PowerOnGrid]
) -> dict[str, RasterLayout]:
    """Of both outputs, by their paths. The reader of scenes ignores bands that are called dates or looks."""
    tags = {
        **common_tags(opened),
        "TIFFTAG_SOFTWARE": f"sardino {sardino_core.__version__}",
        "SARDINO_JOB": "composite",
        "SARDINO_DATES": json.dumps({group.label: [found.date for found in group.passes] for group in groups}),
        "SARDINO_COUNTS": json.dumps({group.label: len(group.passes) for group in groups}),
        "SARDINO_FILTER": job.filter,
        "SARDINO_RESAMPLED": f"{_resampled(readers)} of {len(readers)} dates, bilinear, in linear power",
        "SARDINO_PARAMETERS": json.dumps(_settings(job)),
    }
    names = [group.band(name) for group in groups for name in _BANDS]
    in_db = {"SARDINO_UNITS": "dB", "SARDINO_MEANING": "mean of linear power over dates, in dB"}
    layouts = {job.output: RasterLayout("float32", names, np.nan, {**tags, **in_db})}
    if job.quality is not None:
        titles = ("count", *(f"looks {name}" for name in _BANDS))
        meaning = {"SARDINO_MEANING": "dates with data; looks: mean^2 / variance of 7 x 7 pixels, for even ground"}
        names = [group.band(title) for group in groups for title in titles]
        layouts[job.quality] = RasterLayout("float32", names, np.nan, {**tags, **meaning})
    return layouts


def _settings(job: CompositeJob) -> dict[str, Any]:
    """Everything that was asked for but where to write; files by name alone."""
    settings = to_dict(job)
    for key in ("output", "quality"):
        del settings[key]
    grid = Path(job.grid).name if job.grid else None
    return {**settings, "inputs": [Path(name).name for name in job.inputs], "grid": grid}


def _refuse_collisions(job: CompositeJob) -> None:
    outputs = [Path(path).resolve() for path in (job.output, job.quality) if path is not None]
    if len(set(outputs)) < len(outputs):
        raise SettingInvalid(f"{outputs[0]} is named for two outputs.", "Give every output its own name.")
    read = [*expand_inputs(job.inputs), *([job.grid] if job.grid else [])]
    for path in outputs:
        if path in {Path(name).resolve() for name in read}:
            raise SettingInvalid(f"The output {path} is also read by this run.", "Choose another name for the output.")

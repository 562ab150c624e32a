"""Windows drawn from unlabelled rasters: where, on which dates, at what scale. Read ahead by threads. No chipping step.

Every window is a function of (seed, step, number in the batch) alone: which process or thread reads it, or whether the
run was resumed in between, makes no difference.
"""

from __future__ import annotations

import math
from collections import Counter, OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sardino_core.contract.errors import NotARaster, NoValidData
from sardino_core.raster.grid import PixelWindow, RasterGrid
from sardino_core.raster.reading.scene import Scene
from sardino_core.raster.resampling import cell_size, resample_backscatter, resampling_matrix
from sardino_core.training.settings.pretrain_config import PretrainConfig
from sardino_core.training.windows.acquisitions import Acquisition, Place
from sardino_core.training.windows.places import Survey
from sardino_core.training.windows.read_ahead import ReadAhead
from sardino_core.training.windows.sources import check_damage

OPEN_SCENES = 40  # per thread, two or three files each; macOS allows 256 files
_PATIENCE = 500  # windows skipped in a row before the data are said to have nothing to offer
Pixels = tuple[NDArray[np.float32], NDArray[np.bool_]]  # dB (C, h, w), valid (h, w)


@dataclass(frozen=True)
class Chunk:
    """The windows of one forward pass, as arrays."""

    backscatter_db: NDArray[np.float32]  # (n, D, C, S, S)
    valid: NDArray[np.bool_]  # (n, D, S, S)
    origins: tuple[str, ...]  # n times `raster at row, col`
    skipped: Counter[str]  # by reason


class PixelStore:
    """Pixels of all rasters for one thread: from memory where they were kept, else from open files."""

    def __init__(self, kept: dict[Acquisition, Pixels]) -> None:
        """`kept`: what is in memory already, shared between threads."""
        self._kept = kept
        self._open: OrderedDict[Acquisition, Scene] = OrderedDict()

    def read(self, item: Acquisition, window: PixelWindow) -> Pixels:
        """A window that lies inside the raster. Raises NotARaster for damaged files."""
        if item in self._kept:
            db, valid = self._kept[item]
            return db[:, window.rows, window.cols], valid[window.rows, window.cols]
        if item not in self._open:
            while len(self._open) >= OPEN_SCENES:
                self._open.popitem(last=False)[1].close()
            self._open[item] = item.open()
        self._open.move_to_end(item)
        return self._open[item].read(window)

    def close(self) -> None:
        """Close all files."""
        while self._open:
            self._open.popitem()[1].close()


class WindowSampler:
    """Random windows: a place by its valid area, a spot, a scale, one date and a partner of it."""

    def __init__(self, found: Survey, config: PretrainConfig) -> None:
        """Raises NoValidData when there is no valid pixel at all."""
        self._places, self._config = found.places, config
        weights = np.array([p.valid_px * p.acquisitions[0].source.weight for p in self._places])
        if not weights.sum() > 0:
            raise NoValidData(
                "None of the rasters has valid pixels where it was looked at.", "Check their nodata value and units."
            )
        self._chances = weights / weights.sum()
        self._damaged: dict[str, None] = {}
        self._total = len(found.acquisitions)
        self._dates = config.views.dates
        self.dates = 2 if any(self._partners(place) for place in self._places) else 1

    def draw(self, store: PixelStore, rng: np.random.Generator, skipped: Counter[str]) -> tuple[Pixels, str]:
        """dB (D, C, S, S) and valid (D, S, S) of the next window that has enough data, and where it lies."""
        for _ in range(_PATIENCE):
            place = self._places[rng.choice(len(self._places), p=self._chances)]
            index = int(rng.integers(len(place.acquisitions)))
            item = first = place.acquisitions[index]
            window = self._window(first.grid, rng)
            partners = place.partners(index, self._dates, window)
            second = place.acquisitions[partners[int(rng.integers(len(partners)))]] if partners else first
            try:
                views = [self._view(store, item, window)] * self.dates
                if moved := first.shown_by(window, second) if second is not first else None:
                    item = second
                    views[1] = self._view(store, item, moved)
            except NotARaster as error:
                skipped[f"{item.name} cannot be read"] += 1
                self._damaged[item.name] = None
                check_damage(list(self._damaged), self._total, self._config.unreadable, error)
                continue
            if min(view[1].mean() for view in views) < self._config.least_valid:
                skipped["too little valid data"] += 1
                continue
            found = np.stack([view[0] for view in views]), np.stack([view[1] for view in views])
            return found, f"{first.name} at row {window.row}, column {window.col}"
        raise NoValidData(
            f"{_PATIENCE} windows in a row had less than {self._config.least_valid:.0%} valid data.",
            "Check the rasters' nodata value, or lower least_valid.",
        )

    def _partners(self, place: Place) -> bool:
        return any(place.partners(index, self._dates) for index in range(len(place.acquisitions)))

    def _window(self, grid: RasterGrid, rng: np.random.Generator) -> PixelWindow:
        """A square at a random scale around the context's; a small raster is not shrunk beyond what it has."""
        config = self._config
        low, high = config.views.zoom
        patch = config.model.backbone.patch
        base = cell_size(grid.spacing_m, config.model.inputs.spacing_m, patch) / patch
        scale = math.exp(rng.uniform(math.log(low), math.log(high))) * base
        side = max(8, round(config.context_px * scale))
        height, width = min(side, grid.height), min(side, grid.width)
        row, col = (int(rng.integers(0, extent + 1)) for extent in (grid.height - height, grid.width - width))
        return PixelWindow(row, col, height, width)

    def _view(self, store: PixelStore, item: Acquisition, window: PixelWindow) -> Pixels:
        """dB (C, S, S) and valid (S, S) at the network's scale; a raster smaller than the window is mirrored."""
        db, valid = store.read(item, window)
        side = max(window.height, window.width)
        margin = ((0, side - window.height), (0, side - window.width))
        if window.height != window.width:
            db, valid = np.pad(db, ((0, 0), *margin), "symmetric"), np.pad(valid, margin, "symmetric")
        wanted = self._config.context_px
        if side == wanted:
            return db, valid
        return resample_backscatter(db, valid, resampling_matrix(side, wanted))


class Loader(ReadAhead[PixelStore, tuple[int, int, int], Chunk]):
    """Chunks of windows in order, read ahead by threads while the network works."""

    def __init__(self, found: Survey, config: PretrainConfig) -> None:
        """Keeps the rasters in memory when all of them fit into `run.memory_mb`."""
        self.sampler = WindowSampler(found, config)
        self._config = config
        self._kept = _kept(found, config)
        super().__init__(lambda: PixelStore(self._kept), self._chunk, config.run.readers)

    @property
    def in_memory(self) -> bool:
        """True when no file is read any more."""
        return bool(self._kept)

    def chunk(self, plan: Sequence[tuple[int, int]], position: int, count: int) -> Chunk:
        """The chunk (step, part) at `position` of the plan, `count` windows; the following ones are started."""
        return self.get([(*key, count) for key in plan[position : position + 1 + self.threads]], 0)

    def _chunk(self, store: PixelStore, key: tuple[int, int, int]) -> Chunk:
        step, part, count = key
        skipped: Counter[str] = Counter()
        drawn = []
        for number in range(part * count, (part + 1) * count):
            rng = np.random.default_rng([self._config.seed, step, number])
            drawn.append(self.sampler.draw(store, rng, skipped))
        return Chunk(
            np.stack([pixels[0] for pixels, _ in drawn]),
            np.stack([pixels[1] for pixels, _ in drawn]),
            tuple(origin for _, origin in drawn),
            skipped,
        )


def _kept(found: Survey, config: PretrainConfig) -> dict[Acquisition, Pixels]:
    """All rasters in memory, or none."""
    bands = len(config.model.inputs.bands)
    pixels = sum(item.grid.height * item.grid.width for item in found.acquisitions)
    if pixels * (4 * bands + 1) > config.run.memory_mb * 1e6:
        return {}
    kept: dict[Acquisition, Pixels] = {}
    for item in found.acquisitions:
        try:
            with item.open() as scene:
                kept[item] = scene.read(scene.grid.full)
        except NotARaster:
            continue  # found, named and counted again when a window is drawn from it
    return kept

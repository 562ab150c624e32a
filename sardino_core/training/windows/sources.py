"""From globs to scenes with labels: which files belong together, opened on demand through the raster reader."""

from __future__ import annotations

import copy
import glob
import os
import re
from collections import OrderedDict
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
from numpy.typing import NDArray

from sardino_core.contract.errors import (
    AreaOutside,
    InputMissing,
    NotARaster,
    NoValidData,
    SardinoError,
    SettingInvalid,
)
from sardino_core.contract.jobs import SceneOptions, Units
from sardino_core.raster.grid import PixelWindow, RasterGrid
from sardino_core.raster.reading.labels import LabelRaster, overlaps
from sardino_core.raster.reading.scene import Scene, open_scene
from sardino_core.training.settings.finetune_config import FinetuneConfig, SourceConfig
from sardino_core.training.windows.chips import (
    FOLDED,
    ChipFolder,
    band_numbers,
    is_chip_folder,
    labels_are_numbers,
    look_at,
    numbered,
)
from sardino_core.training.windows.shared_ground import hold_out_together
from sardino_core.training.windows.split import BlockSplit
from sardino_core.training.windows.targets import ClassSets, Legend, erode

Pixels = tuple[NDArray[np.float32], NDArray[np.bool_], NDArray[np.int64]]  # dB (B, h, w), valid and target (h, w)
OPEN_SCENES = 80  # kept open at a time, two or three files each; macOS allows 256 files
_POLARISATION = re.compile(r"(?<![a-z0-9])(vv|vh|hh|hv)(?![a-z0-9])", re.IGNORECASE)


@dataclass(frozen=True, eq=False)
class LabelledScene:
    """One scene with its labels: what to open, how to read the labels, and which part validates."""

    source: SourceConfig
    images: tuple[Path, ...]
    labels: tuple[Path, ...]
    grid: RasterGrid
    legend: Legend
    split: BlockSplit
    notes: tuple[str, ...] = ()  # what the reader decided about the image: units, bands
    units: Units = "auto"  # as recognised; opening the image again is quick then
    place: Path = Path()  # an image of the first scene on the same pixels

    @property
    def name(self) -> str:
        """`folder/file`, for provenance: no machine's paths."""
        return short_name(self.images[0])


class SceneStore:
    """All scenes of a run; opens them when they are read and keeps the latest ones open. For one thread."""

    def __init__(self, config: FinetuneConfig) -> None:
        """Find and pair all files; damaged ones are left out, up to the share that `unreadable` allows.

        Raises InputMissing, AreaOutside, SettingInvalid, NoValidData when all scenes are empty, and what the reader
        raises.
        """
        self.sets = ClassSets.of(config.classes, config.sources)
        self.bands = config.model.inputs.bands
        self.damaged: dict[str, str] = {}  # name: what is wrong
        self.warnings: dict[str, None] = {}  # what the reader warned of, each once, in order
        self._config, self._total = config, 0
        self._kept: dict[LabelledScene, Pixels] = {}
        self._open: OrderedDict[LabelledScene, tuple[Scene, LabelRaster, ExitStack]] = OrderedDict()
        self._empty: NoValidData | None = None
        self.scenes = _hold_out_together([scene for source in config.sources for scene in self._find(source)])
        if self._empty is not None and not self.scenes:
            raise self._empty

    def twin(self) -> SceneStore:
        """The same scenes, for another thread: with files of its own, and the same pixels in memory."""
        twin = copy.copy(self)
        twin._open = OrderedDict()
        return twin

    def keep(self, scene: LabelledScene, pixels: Pixels) -> None:
        """Read this scene from memory from now on."""
        self._kept[scene] = pixels

    def leave_out(self, name: str, error: NotARaster) -> None:
        """Note a damaged scene. Raises NotARaster when there are too many."""
        self.damaged[name] = error.message
        check_damage(list(self.damaged), self._total, self._config.unreadable, error)

    def read(self, scene: LabelledScene, window: PixelWindow) -> Pixels:
        """dB (B, h, w), validity (h, w) and class-set numbers (h, w) of a window that lies inside the raster."""
        if scene in self._kept:
            db, valid, target = self._kept[scene]
            area = window.rows, window.cols
            return db[:, *area], valid[area], target[area].astype(np.int64)
        image, labels, _ = self._opened(scene)
        db, valid = image.read(window)
        return db, valid, self.read_target(scene, labels, window) * valid

    def read_target(self, scene: LabelledScene, labels: LabelRaster, window: PixelWindow) -> NDArray[np.int64]:
        """Class-set numbers (h, w), eroded as the source asks, with the surroundings taken into account."""
        reach = scene.source.erode_px
        row, col = max(0, window.row - reach), max(0, window.col - reach)
        bottom = min(scene.grid.height, window.row + window.height + reach)
        right = min(scene.grid.width, window.col + window.width + reach)
        wide = PixelWindow(row, col, bottom - row, right - col)
        target = erode(scene.legend.apply(*labels.read(wide), scene.labels[0].name), reach)
        inner = PixelWindow(window.row - row, window.col - col, window.height, window.width)
        return target[inner.rows, inner.cols]

    def described(self) -> tuple[str, ...]:
        """What the run trains on, a line per source; what is wholly held out is not among it."""
        found: dict[str, list[str]] = {}
        for scene in self.scenes:
            if not scene.split.held_out.all():
                found.setdefault(scene.source.name, []).append(scene.name)
        return tuple(f"{source}, {listed(names)}" for source, names in found.items())

    def close(self) -> None:
        """Close every file."""
        while self._open:
            self._open.popitem()[1][2].close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _opened(self, scene: LabelledScene) -> tuple[Scene, LabelRaster, ExitStack]:
        if scene not in self._open:
            while len(self._open) >= OPEN_SCENES:
                self._open.popitem(last=False)[1][2].close()
            with ExitStack() as stack:
                options = replace(_options(scene.source, scene.images), units=scene.units)
                image = stack.enter_context(open_scene(options, self.bands, known=True))
                labels = stack.enter_context(LabelRaster(scene.labels, scene.grid))
                self._open[scene] = image, labels, stack.pop_all()
        self._open.move_to_end(scene)
        return self._open[scene]

    def _find(self, source: SourceConfig) -> list[LabelledScene]:
        paths = expand(source.images, self._config.paths, source.name, "images")
        folders = [path for path in paths if is_chip_folder(path)]
        files = [path for path in paths if path not in folders]
        found = self._find_files(source, files) if files else []
        if folders:
            numbers = source.bands or band_numbers(source.m3leo.season, source.m3leo.orbit, self.bands)
            source = replace(source, bands=numbers)
        return found + [scene for folder in folders for scene in self._find_chips(source, folder)]

    def _find_files(self, source: SourceConfig, paths: Sequence[Path]) -> list[LabelledScene]:
        images = group_polarisations(paths)
        labels = expand(source.labels, self._config.paths, source.name, "labels")
        legend = Legend.of(self.sets, source)
        self._total += len(images)
        found = []
        for index, files in enumerate(images):
            paired = [labels[index]] if len(labels) == len(images) else labels
            try:
                found.append(self._scene(source, files, paired, legend, source.hold_out))
            except NotARaster as error:
                self.leave_out(short_name(files[0]), error)
            except NoValidData as error:
                self._empty = error
                self.warnings[f"skipped: {error.message}"] = None
        return found

    def _find_chips(self, source: SourceConfig, path: Path) -> list[LabelledScene]:
        """M3LEO's chips of one season and orbit, with its labels; its splits say which of them train and validate."""
        taken = source.m3leo
        folder, legend = ChipFolder.of(path, taken), Legend.of(self.sets, source)
        if labels_are_numbers(folder):
            legend = replace(legend, numbers=numbered(legend.numbers))
            self.warnings[FOLDED] = None
        chips = [(image, 0.0) for image in folder.chips(taken.train)]
        chips += [(image, 1.0) for image in folder.chips(taken.validate)]
        self._total += len(chips)
        found, missing = [], 0
        for image, hold_out in chips:
            label = folder.label_of(image)
            try:
                if label is None or (taken.season, taken.orbit) not in look_at(image).shares:
                    missing += 1
                else:
                    found.append(self._scene(source, (image,), (label,), legend, hold_out))
            except NotARaster as error:
                self.leave_out(short_name(image), error)
        if missing:
            self.warnings[f"{missing} chips have no labels, or no data in {taken.season}, {taken.orbit}."] = None
        return found

    def _scene(
        self, source: SourceConfig, images: tuple[Path, ...], labels: Sequence[Path], legend: Legend, hold_out: float
    ) -> LabelledScene:
        """The images as one scene, with those of the labels that meet it."""
        with open_scene(_options(source, images), self.bands, model_name="configuration") as seen:
            grid, notes, units = seen.grid, tuple(seen.notes), seen.units
            self.warnings |= dict.fromkeys(seen.warnings)
        own = tuple(path for path in labels if overlaps(path, grid))
        if not own:
            raise AreaOutside(
                f"No label raster of the source {source.name} overlaps {images[0].name}.",
                "Check that --images and --labels show the same places, and that both or neither have a CRS.",
            )
        checked = self._config.validation
        rules = hold_out, checked.block_px, checked.margin_px, self._config.seed
        split = BlockSplit.of(grid.height, grid.width, short_name(images[0]), *rules)
        return LabelledScene(source, images, own, grid, legend, split, notes, units)


def group_polarisations(paths: Sequence[Path]) -> list[tuple[Path, ...]]:
    """Files of one folder whose names differ in the polarisation alone make one scene; the order stays."""
    scenes: dict[tuple[Path, str], list[Path]] = {}
    for path in paths:
        scenes.setdefault((path.parent, _POLARISATION.sub("", path.name.replace("_", " "))), []).append(path)
    return [tuple(files) for files in scenes.values()]


def expand(patterns: Sequence[str], paths: dict[str, str], source: str, what: str) -> list[Path]:
    """All files that the globs match, each once, in sorted order. Raises InputMissing, or SettingInvalid."""
    found: list[Path] = []
    for pattern in patterns:
        matches = _matches(pattern, paths, source, what)
        for path in matches:
            if path.is_dir() and not path.suffix and not is_chip_folder(path):
                raise InputMissing(
                    f"{path} is a folder, and none of M3LEO's chips.", f"Name the rasters in it, such as {path}/*.tif."
                )
        known = set(found)
        found += [path for path in matches if path not in known]
    if not found:
        raise InputMissing(f"The source {source} names no {what}.", f"Give --{what}, or add them to the configuration.")
    return found


def _matches(pattern: str, paths: dict[str, str], source: str, what: str) -> list[Path]:
    """The file of that very name, whatever signs are in it; else what the glob matches, at least one."""
    if os.path.exists(os.path.expanduser(pattern)):  # noqa: PTH110, PTH111  # takes names of any length
        return [Path(pattern).expanduser()]
    if pattern.startswith("/vsi") or "://" in pattern:
        return [_inside_gdal(pattern)]
    try:
        filled = pattern.format_map(paths)
    except (KeyError, ValueError, IndexError) as error:
        raise SettingInvalid(
            f"The {what} of the source {source} name {pattern}, but `paths` has no {error}.", "Set paths.NAME=FOLDER."
        ) from None
    names = glob.glob(str(Path(filled).expanduser()), recursive=True)  # noqa: PTH207  # takes absolute patterns
    if not names:
        raise InputMissing(f"No file matches {filled} ({what} of the source {source}).", "Check the path.")
    return [Path(name) for name in sorted(names)]


def _inside_gdal(name: str) -> Path:
    """A file that GDAL alone finds, such as one in an archive or a bucket."""
    if str(Path(name)) != name:  # as a path, https:// becomes https:/
        raise InputMissing(
            f"{name} cannot be taken by this name; allowed are files, globs, and what GDAL opens by a name without //.",
            "Put it into a VRT (gdalbuildvrt scene.vrt NAME), and name that.",
        )
    return Path(name)


def check_damage(damaged: Sequence[str], total: int, limit: float, error: SardinoError) -> None:
    """Raises NotARaster when more than the share `limit` of `total` rasters is damaged."""
    if len(damaged) > limit * total:
        raise NotARaster(
            f"{len(damaged)} of {total} rasters cannot be read, more than the {limit:.0%} that `unreadable` allows; "
            f"the last: {error.message}",
            "Repair or leave out these files.",
        ) from error


def listed(names: Sequence[str]) -> str:
    """All of a few names; of many the first and the last."""
    scenes = f"{len(names)} scene{'s' if len(names) > 1 else ''}"
    return f"{scenes}: {', '.join(names)}" if len(names) <= 4 else f"{scenes}: {names[0]} to {names[-1]}"


def short_name(path: Path) -> str:
    """`folder/file`, for messages and provenance: no machine's paths."""
    return f"{path.parent.name}/{path.name}"


def _hold_out_together(scenes: list[LabelledScene]) -> list[LabelledScene]:
    grids, splits = [scene.grid for scene in scenes], [scene.split for scene in scenes]
    agreed = hold_out_together(grids, splits, [scene.source.hold_out for scene in scenes])
    return [
        replace(scene, split=ground.split, place=scenes[ground.first].images[0])
        for scene, ground in zip(scenes, agreed, strict=True)
    ]


def _options(source: SourceConfig, files: tuple[Path, ...]) -> SceneOptions:
    return SceneOptions(inputs=tuple(str(path) for path in files), bands=source.bands, units=source.units)

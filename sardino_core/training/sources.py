"""From globs to scenes with labels: which files belong together, opened on demand through the raster reader."""

from __future__ import annotations

import glob
import re
from collections import OrderedDict
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
from numpy.typing import NDArray

from sardino_core.contract.errors import AreaOutside, InputMissing, SettingInvalid
from sardino_core.contract.jobs import SceneOptions
from sardino_core.contract.model_spec import BandSpec
from sardino_core.raster.grid import PixelWindow, RasterGrid
from sardino_core.raster.labels import LabelRaster, overlaps
from sardino_core.raster.scene import Scene, open_scene
from sardino_core.training.config import FinetuneConfig, SourceConfig
from sardino_core.training.split import BlockSplit
from sardino_core.training.targets import ClassSets, Legend, erode

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

    @property
    def name(self) -> str:
        """`folder/file`, for provenance: no machine's paths."""
        return short_name(self.images[0])


class SceneStore:
    """All scenes of a run; opens them when they are read and keeps the latest ones open."""

    def __init__(self, config: FinetuneConfig) -> None:
        """Find and pair all files. Raises InputMissing, AreaOutside, SettingInvalid and what the reader raises."""
        self.sets = ClassSets.of(config.classes, config.sources)
        self.bands = config.model.inputs.bands
        self._open: OrderedDict[LabelledScene, tuple[Scene, LabelRaster, ExitStack]] = OrderedDict()
        self.scenes = [scene for source in config.sources for scene in self._find(source, config)]

    def read(
        self, scene: LabelledScene, window: PixelWindow
    ) -> tuple[NDArray[np.float32], NDArray[np.bool_], NDArray[np.int64]]:
        """dB (B, h, w), validity (h, w) and class-set numbers (h, w) of a window that lies inside the raster."""
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
        return tuple(f"{source}, {_listed(names)}" for source, names in found.items())

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
                image = stack.enter_context(open_scene(_options(scene.source, scene.images), self.bands))
                labels = stack.enter_context(LabelRaster(scene.labels, scene.grid))
                self._open[scene] = image, labels, stack.pop_all()
        self._open.move_to_end(scene)
        return self._open[scene]

    def _find(self, source: SourceConfig, config: FinetuneConfig) -> list[LabelledScene]:
        images = group_polarisations(expand(source.images, config.paths, source.name, "images"))
        labels = expand(source.labels, config.paths, source.name, "labels")
        legend = Legend.of(self.sets, source)
        checked = config.validation
        found = []
        for index, files in enumerate(images):
            grid = _grid(source, files, self.bands)
            own = [labels[index]] if len(labels) == len(images) else [path for path in labels if overlaps(path, grid)]
            if not own or not overlaps(own[0], grid):
                raise AreaOutside(
                    f"No label raster of the source {source.name} overlaps {files[0].name}.",
                    "Check that --images and --labels show the same places.",
                )
            rules = source.hold_out, checked.block_px, checked.margin_px, config.seed
            split = BlockSplit.of(grid.height, grid.width, short_name(files[0]), *rules)
            found.append(LabelledScene(source, files, tuple(own), grid, legend, split))
        return found


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
        try:
            filled = pattern.format_map(paths)
        except (KeyError, ValueError, IndexError) as error:
            raise SettingInvalid(
                f"The {what} of the source {source} name {pattern}, but `paths` has no {error}.",
                "Set paths.NAME=FOLDER.",
            ) from None
        names = glob.glob(str(Path(filled).expanduser()), recursive=True)  # noqa: PTH207  # takes absolute patterns
        matches = [Path(name) for name in sorted(names)]
        if not matches:
            raise InputMissing(f"No file matches {filled} ({what} of the source {source}).", "Check the path.")
        found += [path for path in matches if path not in found]
    if not found:
        raise InputMissing(f"The source {source} names no {what}.", f"Give --{what}, or add them to the configuration.")
    return found


def _listed(names: Sequence[str]) -> str:
    """All of a few names; of many the first and the last."""
    scenes = f"{len(names)} scene{'s' if len(names) > 1 else ''}"
    return f"{scenes}: {', '.join(names)}" if len(names) <= 4 else f"{scenes}: {names[0]} to {names[-1]}"


def short_name(path: Path) -> str:
    """`folder/file`, for messages and provenance: no machine's paths."""
    return f"{path.parent.name}/{path.name}"


def _grid(source: SourceConfig, files: tuple[Path, ...], bands: tuple[BandSpec, ...]) -> RasterGrid:
    with open_scene(_options(source, files), bands) as scene:
        return scene.grid


def _options(source: SourceConfig, files: tuple[Path, ...]) -> SceneOptions:
    return SceneOptions(inputs=tuple(str(path) for path in files), bands=source.bands, units=source.units)

"""What the next question about a scene needs, kept in memory between the jobs of one process: see explore.py.

Kept of a scene and a model are the loaded model, the queries and keys of the last few windows that were looked at, and,
once similarity was asked for, the tokens of all patches in float16. No file stays open. What is kept is bounded:
`_SCENES` scenes, of each at most `_WINDOW_BYTES` of windows (5 MB each for the starter) and `_TOKEN_BYTES` of tokens.
"""

from __future__ import annotations

import json
from collections import OrderedDict
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sardino_core.contract.errors import AreaOutside, NoValidData, SettingInvalid
from sardino_core.contract.jobs import RunOptions, SceneOptions
from sardino_core.contract.listener import Listener
from sardino_core.contract.serial import to_dict
from sardino_core.models.model_file import resolve_model
from sardino_core.pipeline import open_session
from sardino_core.products import token_embeddings
from sardino_core.raster.grid import RasterGrid
from sardino_core.raster.reading.inputs import expand_inputs

_SCENES = 2  # the whole layer, for attention, and the visible extent, for similarity
_WINDOW_BYTES = 64 * 1024 * 1024  # but always the last one
_TOKEN_BYTES = 256 * 1024 * 1024


@dataclass(frozen=True)
class Cell:
    """One patch of the scene's patch grid."""

    row: int
    col: int


@dataclass(frozen=True)
class Window:
    """The window around a place, as all layers of the network saw it."""

    first: Cell  # its upper left patch
    queries_keys: NDArray[np.float32]  # (layers, 2, heads, T, D / heads), T = prefix + n * n
    valid: NDArray[np.bool_]  # (n, n)


@dataclass(frozen=True)
class Tokens:
    """The tokens of all patches of the scene."""

    unit: NDArray[np.float16]  # (rows, cols, D), of length 1
    valid: NDArray[np.bool_]  # (rows, cols)


class Exploration:
    """A scene and a model, with what was computed of them so far. For one thread at a time."""

    def __init__(self, scene: SceneOptions, run: RunOptions, listener: Listener) -> None:
        """Load the model and look at the scene. Raises SardinoError."""
        self._scene, self._run = scene, run
        self._windows: OrderedDict[Cell, Window] = OrderedDict()
        self._tokens: Tokens | None = None
        self.computed = 0  # windows that the network ran over, so far
        with open_session(scene, run, listener) as session:
            self.session = session  # its scene is closed soon; what was found out about it stays

    @property
    def grid(self) -> RasterGrid:
        """The patch grid over the scene."""
        return self.session.cell_grid

    def cell_at(self, x: float, y: float) -> Cell:
        """The patch at a place in the raster's CRS. Raises AreaOutside."""
        pixels = self.session.scene.grid
        pixel = pixels.pixel_at(x, y)
        if pixel is None:
            bounds = pixels.bounds
            raise AreaOutside(
                f"The place {x:.10g},{y:.10g} lies outside the scene, which covers "
                f"{bounds.xmin:.10g},{bounds.ymin:.10g},{bounds.xmax:.10g},{bounds.ymax:.10g}.",
                "Choose a place inside, in the raster's CRS.",
            )
        return Cell(pixel.row // self.session.plan.cell_px, pixel.col // self.session.plan.cell_px)

    def window_around(self, cell: Cell, listener: Listener) -> Window:
        """The window with the patch in its middle, or as near to it as the scene's edges allow. Raises NoValidData."""
        side = self.session.spec.tokens_per_side
        first = Cell(_first(cell.row, side, self.grid.height), _first(cell.col, side, self.grid.width))
        if first not in self._windows:
            self._windows[first] = self._look(first, listener)
            while len(self._windows) > max(1, _WINDOW_BYTES // self._windows[first].queries_keys.nbytes):
                self._windows.popitem(last=False)
        self._windows.move_to_end(first)
        found = self._windows[first]
        if not found.valid[cell.row - first.row, cell.col - first.col]:
            raise _no_data()
        return found

    def tokens(self, cell: Cell, listener: Listener) -> Tokens:
        """The tokens of all patches, among which that of `cell` must have data. Raises NoValidData."""
        if self._tokens is None:
            self._tokens = self._read_tokens(listener)
        if not self._tokens.valid[cell.row, cell.col]:
            raise _no_data()
        return self._tokens

    def _look(self, first: Cell, listener: Listener) -> Window:
        with open_session(self._scene, self._run, listener, self.session) as session:
            window, valid = session.window_at(first.row, first.col)
        if window is None:
            raise _no_data()
        self.computed += 1
        return Window(first, session.predictor.queries_keys(window[None])[0], valid)

    def _read_tokens(self, listener: Listener) -> Tokens:
        width, (rows, cols) = self.session.spec.backbone.width, (self.grid.height, self.grid.width)
        most = _TOKEN_BYTES // (2 * width)
        if rows * cols > most:
            raise SettingInvalid(
                f"The area has {rows * cols} patches; similarity keeps the tokens of up to {most}.",
                "Zoom in, or give a smaller --extent.",
            )
        unit, valid = np.zeros((rows, cols, width), np.float16), np.zeros((rows, cols), np.bool_)
        with (
            open_session(self._scene, self._run, listener, self.session) as session,
            closing(session.rows(token_embeddings(session.predictor, None))) as stream,
        ):
            for part in stream:
                span = slice(part.row, part.row + part.valid.shape[0])
                lengths = np.linalg.norm(part.values, axis=0)
                unit[span] = np.moveaxis(part.values / np.maximum(lengths, np.finfo(np.float32).tiny), 0, 2)
                valid[span] = part.valid
        self.computed += session.plan.count
        return Tokens(unit, valid)


_kept: OrderedDict[str, Exploration] = OrderedDict()


def exploration_of(scene: SceneOptions, run: RunOptions, listener: Listener) -> Exploration:
    """The exploration of this scene by this model, kept from an earlier job if the files are still the same."""
    key = _key(scene, run)
    if key not in _kept:
        while len(_kept) >= _SCENES:
            _kept.popitem(last=False)
        _kept[key] = Exploration(scene, run, listener)
    _kept.move_to_end(key)
    return _kept[key]


def _key(scene: SceneOptions, run: RunOptions) -> str:
    """What the exploration depends on: how scene and model are read, and which state their files are in."""
    named = [*expand_inputs(scene.inputs), scene.cutline, scene.mask, str(resolve_model(run.model))]
    states = [
        (path.stat().st_mtime_ns, path.stat().st_size) for path in map(Path, filter(None, named)) if path.exists()
    ]
    return json.dumps([to_dict(scene), to_dict(run), states])


def _first(cell: int, side: int, length: int) -> int:
    """Where the window of `side` patches around `cell` begins, along one dimension of `length` patches."""
    return min(max(0, cell - side // 2), max(0, length - side))


def _no_data() -> NoValidData:
    return NoValidData(
        "The place has no valid pixel: it is nodata, NaN or masked.", "Choose a place where the scene has data."
    )

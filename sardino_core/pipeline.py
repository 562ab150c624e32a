"""From a raster and a model to finished rows of a product: read ahead, predict in batches, blend.

Reading runs in a thread of its own ahead of the network (read_ahead.py), writing (raster/writing) in another behind it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import chain, islice
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from sardino_core.contract.jobs import RunOptions, SceneOptions
from sardino_core.contract.listener import Listener
from sardino_core.contract.model_spec import ModelSpec
from sardino_core.costs import costs, duration
from sardino_core.products import Product, Windows
from sardino_core.raster.blending import Rows, TileValues, blend
from sardino_core.raster.block_cache import bounded_cache
from sardino_core.raster.grid import PixelWindow, RasterGrid
from sardino_core.raster.reading.scene import Scene, open_scene
from sardino_core.raster.resampling import cell_size, resample_backscatter, resampling_matrix
from sardino_core.raster.scaling import standardise
from sardino_core.raster.strips import TilePixels, cells_with_data, read_tile, read_tiles, read_window
from sardino_core.raster.tiles import Tile, TilePlan, plan_tiles
from sardino_core.read_ahead import batched, read_ahead
from sardino_core.resident_memory import resident_mb
from sardino_core.slow_reading import slow_reading

if TYPE_CHECKING:
    from sardino_core.models.predictor import Predictor

_WINDOWS_AHEAD = 2  # batches read while one is predicted
_TIMED_BATCH = 2  # from which the run's duration is told: the first one warms up


@dataclass(frozen=True)
class Session:
    """An opened scene, a loaded model, and the windows that they make together."""

    predictor: Predictor
    model_sha256: str
    scene: Scene
    plan: TilePlan
    batch: int
    listener: Listener

    @property
    def spec(self) -> ModelSpec:
        """The model's contract."""
        return self.predictor.spec

    @property
    def cell_grid(self) -> RasterGrid:
        """The patch grid over the scene."""
        return self.scene.grid.coarsen(self.plan.cell_px)

    def rows(self, product: Product, wanted: Callable[[Tile], bool] = lambda tile: True) -> Generator[Rows]:
        """Finished rows of the product from top to bottom, with progress; stops with Cancelled.

        Only windows that are `wanted` are computed; what they do not cover is not valid. Close it
        (contextlib.closing): a thread reads the scene until then.
        """
        inputs = (self._input(pixels, product.scale, wanted) for pixels in read_tiles(self.scene, self.plan))
        ahead = read_ahead(inputs, _WINDOWS_AHEAD * self.batch)
        predicted = self._predict(ahead, product)
        try:
            yield from blend(predicted, self.plan, product.channels, product.scale)
        finally:
            ahead.close()

    def sample(self, count: int) -> Iterator[tuple[Windows, NDArray[np.bool_]]]:
        """Up to `count` windows with data, spread evenly: batches (B, C, S, S) and their cells' validity (B, n, n)."""
        tiles = islice(self.plan.scattered(), 4 * count)  # of a scene that is mostly empty, not everything is read
        for group in batched(islice(self.read(tiles), count), self.batch):
            self.listener.raise_if_cancelled()
            yield stack(group), np.stack([item.valid for item in group])

    def read(self, tiles: Iterable[Tile], scale: int = 1) -> Iterator[WindowInput]:
        """Those of the windows that have data. Valid is what has data and is the raster's own, not mirrored."""
        for tile in tiles:
            item = self._input(read_tile(self.scene, self.plan, tile), scale)
            if item.window is not None:
                own, (height, width) = np.zeros_like(item.valid), self.plan.own(tile, scale)
                own[:height, :width] = True
                yield replace(item, valid=item.valid & own)

    def window_at(self, row: int, col: int) -> tuple[NDArray[np.float32] | None, NDArray[np.bool_]]:
        """The window (C, S, S) whose first cell is (row, col), None without data, and its cells' validity (n, n)."""
        cell_px, side_px = self.plan.cell_px, self.plan.window_px
        db, seen = read_window(self.scene, PixelWindow(row * cell_px, col * cell_px, side_px, side_px))
        return self._standardised(db, seen) if seen.any() else None, cells_with_data(seen, cell_px)

    def _input(self, pixels: TilePixels, scale: int, wanted: Callable[[Tile], bool] = lambda tile: True) -> WindowInput:
        valid = pixels.valid if scale == self.plan.cell_px else cells_with_data(pixels.valid, self.plan.cell_px)
        if not valid.any() or not wanted(pixels.tile):
            return WindowInput(pixels.tile, None, valid)
        return WindowInput(pixels.tile, self._standardised(pixels.backscatter_db, pixels.valid), valid)

    def _standardised(self, db: NDArray[np.float32], seen: NDArray[np.bool_]) -> NDArray[np.float32]:
        """Backscatter (C, s, s) in the raster's pixels as the network takes it, (C, S, S)."""
        if self.plan.cell_px != self.spec.backbone.patch:
            db, seen = resample_backscatter(db, seen, resampling_matrix(self.plan.window_px, self.spec.window))
        return standardise(db, seen, self.spec.inputs.bands, self.spec.inputs.clip_db)

    def _predict(self, inputs: Iterator[WindowInput], product: Product) -> Iterator[TileValues]:
        done, timed, waited_s, predicted_s = 0, 0, 0.0, 0.0
        asked = time.perf_counter()
        for group in chain(batched(islice(inputs, 1), 1), batched(inputs, self.batch)):  # the first is soon there
            self.listener.raise_if_cancelled()
            filled = sum(item.window is not None for item in group)
            started = time.perf_counter()
            values = iter(product.predict(stack(group)) if filled else ())
            ended = time.perf_counter()
            waited_s, predicted_s = waited_s + started - asked, predicted_s + ended - started
            timed += bool(filled)
            if filled and timed == _TIMED_BATCH:
                self._tell_costs((ended - started) / filled)
            for item in group:
                yield TileValues(item.tile, None if item.window is None else next(values), item.valid)
            done += len(group)
            self.listener.progress(done / self.plan.count, f"window {done} of {self.plan.count}")
            asked = time.perf_counter()
        if (complaint := slow_reading(waited_s, predicted_s, self.scene.files, self.scene.grid.width)) is not None:
            self.listener.log("info", complaint)

    def _tell_costs(self, seconds_per_window: float) -> None:
        found = costs(
            self.plan, self.spec, seconds_per_window=seconds_per_window, filled=1.0, resident_mb=resident_mb()
        )
        memory = f"{found.memory_mb:.0f} MB of memory, however high the raster is"
        self.listener.log("info", f"This will take about {duration(found.seconds)}, and {memory}.")


@dataclass(frozen=True)
class WindowInput:
    """A window ready for the network; None where not a single pixel is valid."""

    tile: Tile
    window: NDArray[np.float32] | None  # (C, S, S) standardised
    valid: NDArray[np.bool_]  # at the product's scale


def stack(items: Iterable[WindowInput]) -> Windows:
    """(B, C, S, S) of those that have data, of which there must be some."""
    return np.stack([item.window for item in items if item.window is not None])


@contextmanager
def open_session(
    scene_options: SceneOptions, run: RunOptions, listener: Listener, earlier: Session | None = None
) -> Iterator[Session]:
    """Load the model, open the scene, plan the windows; log what was decided.

    With an `earlier` session of the same files and model, which may be over, nothing is loaded, judged or told again.
    """
    if earlier is not None:
        bands, known = earlier.spec.inputs.bands, replace(scene_options, units=earlier.scene.units)
        with (
            bounded_cache(),
            open_scene(known, bands, model_name=earlier.spec.name, known=True) as scene,
        ):
            yield replace(earlier, scene=scene, listener=listener)
        return
    from sardino_core.models.model_file import resolve_model, weights_hash
    from sardino_core.models.predictor import load_predictor  # onnxruntime or torch: not before it is needed

    listener.progress(0.0, "loading the model")
    predictor = load_predictor(run.model, run.device, run.precision)
    spec = predictor.spec
    with (
        bounded_cache(),
        open_scene(scene_options, spec.inputs.bands, model_name=spec.name) as scene,
    ):
        session = session_on(scene, predictor, weights_hash(resolve_model(run.model)), run, listener)
        plan, spacing_m, cell_px = session.plan, scene.grid.spacing_m, session.plan.cell_px
        tell_of(scene, listener)
        if cell_px != spec.backbone.patch and spacing_m is not None:
            network_m = spacing_m * cell_px / spec.backbone.patch
            listener.log(
                "info",
                f"The pixel spacing of {spacing_m:.4g} m is outside the model's {spec.inputs.spacing_m[0]:g} to "
                f"{spec.inputs.spacing_m[1]:g} m: windows are resampled to {network_m:.3g} m, the result comes back.",
            )
        listener.log("info", f"{scene.grid.width} x {scene.grid.height} pixels, {plan.count} windows of {spec.window} "
                             f"pixels, {predictor.description}, batch {session.batch}")  # fmt: skip
        if spec.limits:
            listener.log("info", f"About the model {spec.name}: {spec.limits}")
        yield session


def session_on(scene: Scene, predictor: Predictor, model_sha256: str, run: RunOptions, listener: Listener) -> Session:
    """The windows that a model makes of an opened scene."""
    spec = predictor.spec
    cell_px = cell_size(scene.grid.spacing_m, spec.inputs.spacing_m, spec.backbone.patch)
    plan = plan_tiles(scene.grid, spec.tokens_per_side, cell_px, run.overlap)
    return Session(predictor, model_sha256, scene, plan, run.batch_size or predictor.suggest_batch(), listener)


def tell_of(scene: Scene, listener: Listener) -> None:
    """Log how the scene is read."""
    for note in scene.notes:
        listener.log("info", note)
    for warning in scene.warnings:
        listener.log("warning", warning)

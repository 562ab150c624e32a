"""A scene as a stream of features, from top to bottom: backscatter and its surroundings, and what a network sees in it.

Without features of the network none is loaded. With them, rows come as the windows' blending finishes them, and
backscatter is read once more for the same rows.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from sardino_core.analysis.classify.areas import Pixels
from sardino_core.analysis.classify.features import (
    COMPONENTS,
    MARGIN_PX,
    columns,
    in_order,
    pixel_features,
    use_network,
    use_pixels,
)
from sardino_core.analysis.explore.projection import NO_PROJECTION, Projection
from sardino_core.contract.jobs import FeatureSet, RunOptions, SceneOptions
from sardino_core.contract.listener import Listener
from sardino_core.contract.model_spec import ModelSpec
from sardino_core.inference import sample_tokens
from sardino_core.models.model_file import read_spec, resolve_model
from sardino_core.models.predictor import Predictor
from sardino_core.pipeline import Session, open_session, tell_of
from sardino_core.products import Product, Values, Windows
from sardino_core.raster.blending import Rows
from sardino_core.raster.block_cache import bounded_cache
from sardino_core.raster.grid import PixelWindow, RasterGrid
from sardino_core.raster.reading.scene import Scene, open_scene
from sardino_core.raster.resampling import resample, resampling_matrix
from sardino_core.raster.tiles import Tile, TilePlan

_ROWS = 128  # of a strip where no window decides
_FAINTEST = 1e-3  # of attention, whose logarithm is taken: uniform is 1


@dataclass(frozen=True)
class FeatureStream:
    """An opened scene and what is taken from its pixels."""

    features: tuple[FeatureSet, ...]
    spec: ModelSpec
    scene: Scene
    session: Session | None  # where the network runs
    projection: Projection = NO_PROJECTION  # of its tokens, where they are taken

    @property
    def grid(self) -> RasterGrid:
        """Of the scene."""
        return self.scene.grid

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the features."""
        return columns(self.features, self.spec)

    @property
    def runtime(self) -> str:
        """Who computes."""
        return "no network" if self.session is None else self.session.predictor.description

    def projected(self, projection: Projection) -> FeatureStream:
        """The same with these components of the tokens."""
        return replace(self, projection=projection)

    def rows(self, listener: Listener) -> Generator[Rows]:
        """Columns (F, rows, width) of all pixels. Close it."""
        return self._rows(listener, lambda row, height: True, lambda tile: True)

    def at(self, pixels: Pixels, listener: Listener) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """Columns (n, F) of single pixels, from top to bottom, the same as in the stream of all; and which are valid.

        Only what these pixels need is computed.
        """
        x, valid = np.zeros((len(pixels.rows), len(self.columns)), np.float32), np.zeros(len(pixels.rows), bool)

        def near(row: int, height: int) -> bool:
            first, last = np.searchsorted(pixels.rows, [row, row + height])
            return bool(last > first)

        def holds(tile: Tile) -> bool:
            return self.session is not None and _holds(self.session.plan, tile, pixels)

        with closing(self._rows(listener, near, holds)) as stream:
            for rows in stream:
                own = slice(*np.searchsorted(pixels.rows, [rows.row, rows.row + rows.values.shape[1]]))
                at = pixels.rows[own] - rows.row, pixels.cols[own]
                x[own], valid[own] = rows.values[:, *at].T, rows.valid[at]
        return x, valid

    def _rows(
        self, listener: Listener, near: Callable[[int, int], bool], wanted: Callable[[Tile], bool]
    ) -> Generator[Rows]:
        if self.session is None:
            yield from self._pixel_rows(listener, near)
            return
        session = replace(self.session, listener=listener)
        product = _network_features(session.predictor, session.plan.cell_px, self.features, self.projection)
        with closing(session.rows(product, wanted)) as stream:
            for rows in stream:
                height = rows.values.shape[1]
                if near(rows.row, height):
                    yield self._with_pixels(rows) if use_pixels(self.features) else rows

    def _pixel_rows(self, listener: Listener, near: Callable[[int, int], bool]) -> Iterator[Rows]:
        for row in range(0, self.grid.height, _ROWS):
            listener.raise_if_cancelled()
            height = min(_ROWS, self.grid.height - row)
            if near(row, height):
                yield self._read(row, height)
            listener.progress((row + height) / self.grid.height, f"row {row + height} of {self.grid.height}")

    def _with_pixels(self, rows: Rows) -> Rows:
        read = self._read(rows.row, rows.values.shape[1])
        return Rows(rows.row, np.concatenate([read.values, rows.values]), rows.valid)

    def _read(self, row: int, height: int) -> Rows:
        """Backscatter features of some rows; beyond the raster nothing is valid."""
        top, bottom = max(0, row - MARGIN_PX), min(self.grid.height, row + height + MARGIN_PX)
        db, valid = self.scene.read(PixelWindow(top, 0, bottom - top, self.grid.width))
        margin = (MARGIN_PX - (row - top), MARGIN_PX - (bottom - row - height))
        padded, known = np.pad(db, ((0, 0), margin, (0, 0))), np.pad(valid, (margin, (0, 0)))
        inner = slice(row - top, row - top + height)
        return Rows(row, pixel_features(padded, known, self.features, self.spec), valid[inner])


@contextmanager
def open_features(
    scene: SceneOptions, run: RunOptions, features: Sequence[FeatureSet], listener: Listener
) -> Iterator[FeatureStream]:
    """Open the scene and, where it is needed, the model. The tokens' components are those of this scene."""
    chosen = in_order(features)
    if not use_network(chosen):
        spec = read_spec(resolve_model(run.model))
        with (
            bounded_cache(),
            open_scene(scene, spec.inputs.bands, model_name=spec.name) as opened,
        ):
            tell_of(opened, listener)
            listener.log("info", f"{opened.grid.width} x {opened.grid.height} pixels; no network is run")
            yield FeatureStream(chosen, spec, opened, None)
        return
    with open_session(scene, run, listener) as session:
        spec = session.spec
        again = replace(scene, units=session.scene.units)  # another reader: the session's is read ahead in a thread
        with open_scene(again, spec.inputs.bands, model_name=spec.name, known=True) as opened:
            yield FeatureStream(chosen, spec, opened, session)


def with_components(stream: FeatureStream) -> FeatureStream:
    """The stream with principal components of this scene's tokens, where it takes tokens. Raises NoValidData."""
    if stream.session is None or "tokens" not in stream.features:
        return stream
    return stream.projected(Projection.fit(sample_tokens(stream.session), COMPONENTS))


def _network_features(
    predictor: Predictor, cell_px: int, features: Sequence[FeatureSet], projection: Projection
) -> Product:
    """Attention and tokens of a window, interpolated between the patches' centres to the raster's pixels."""
    spec = predictor.spec
    finer = resampling_matrix(spec.tokens_per_side, spec.tokens_per_side * cell_px)

    def predict(windows: Windows) -> Values:
        parts = []
        if "attention" in features:
            parts.append(np.log2(np.maximum(predictor.attention(windows, -1), np.float32(_FAINTEST))))
        if "tokens" in features:
            parts.append(np.moveaxis(projection.apply(predictor.tokens(windows)), 3, 1))
        return resample(np.concatenate(parts, axis=1), finer)

    own = [name for name in features if name in ("attention", "tokens")]
    return Product(len(columns(own, spec)), cell_px, predict)


def _holds(plan: TilePlan, tile: Tile, pixels: Pixels) -> bool:
    window = plan.window(tile)
    first, last = np.searchsorted(pixels.rows, [window.row, window.row + window.height])
    cols = pixels.cols[first:last]
    return bool(((cols >= window.col) & (cols < window.col + window.width)).any())

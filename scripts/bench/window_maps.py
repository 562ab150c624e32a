"""Maps of a raster in memory, by overlap and taper, and how they differ: what overlap.py compares. No page."""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from unittest.mock import patch

import numpy as np
import rasterio
from numpy.typing import NDArray

from sardino_core.contract.jobs import RunOptions, SceneOptions
from sardino_core.contract.listener import Listener
from sardino_core.contract.model_spec import ModelSpec
from sardino_core.pipeline import open_session
from sardino_core.products import class_probabilities
from sardino_core.raster.blending import taper
from sardino_core.raster.grid import RasterGrid
from sardino_core.raster.tiles import Axis

OVERLAPS = (0.0, 0.125, 0.25, 0.375, 0.5)
TAPERS: dict[str, Callable[[int], NDArray[np.float64]]] = {"raised cosine": taper, "flat mean": np.ones}
Extent = tuple[float, float, float, float]
# The labels' WorldCover classes, as the starter tells them apart.
_MERGED = {20: 30, 40: 30, 90: 30, 95: 10, 100: 30}


@dataclass(frozen=True)
class Map:
    """Probabilities of a whole raster, and the windows that they came from."""

    values: NDArray[np.float32]  # (K, h, w)
    valid: NDArray[np.bool_]  # (h, w)
    rows: Axis
    cols: Axis
    classes: NDArray[np.uint8]  # (K,) values

    @property
    def chosen(self) -> NDArray[np.uint8]:
        """The most probable class (h, w)."""
        return self.classes[self.values.argmax(axis=0)]

    def near_borders(self) -> NDArray[np.bool_]:
        """(h, w): at most a token from the edge of a window, the raster's own edges left out."""
        (height, width), reach = self.valid.shape, self.rows.unit
        return _near(self.rows, height, reach)[:, None] | _near(self.cols, width, reach)[None]


def shared_ground(tokens: int, spec: ModelSpec) -> range:
    """Tokens along a side that all views of all overlaps show, half a window from their edges."""
    margin = spec.tokens_per_side // 2
    shifts = {overlap: half_stride(spec, overlap) for overlap in OVERLAPS}
    ends = (fitting(tokens - shift, spec, overlap) for overlap, shift in shifts.items())
    return range(max(shifts.values()) + margin, min(ends) - margin)


def half_stride(spec: ModelSpec, overlap: float) -> int:
    """In tokens, by which windows are moved."""
    return round(spec.tokens_per_side * (1 - overlap) / 2)


def fitting(tokens: int, spec: ModelSpec, overlap: float) -> int:
    """The longest side, in tokens, that windows cover with this overlap and no more: on others they lie closer."""
    stride = math.floor(spec.tokens_per_side * (1 - overlap))
    return spec.tokens_per_side + (tokens - spec.tokens_per_side) // stride * stride


def mapped(scene: Path, model: str, overlap: float, extent: Extent | None = None) -> dict[str, Map]:
    """By taper, the probabilities that `segment` would blend, of a raster or a part of it."""
    options = SceneOptions((str(scene),), extent=extent)
    with open_session(options, RunOptions(model, overlap=overlap), Listener()) as session:
        product = class_probabilities(session.predictor, session.plan.cell_px)
        classes = np.array([item.value for item in session.spec.classes], np.uint8)
        kept: list[NDArray[np.float32]] = []

        def predict(windows: NDArray[np.float32]) -> NDArray[np.float32]:
            kept.append(product.predict(windows))
            return kept[-1]

        maps = {}
        for name, shape in TAPERS.items():
            again = iter(tuple(kept))
            asked = replace(product, predict=(lambda _, again=again: next(again)) if kept else predict)
            with patch("sardino_core.raster.blending.taper", shape), closing(session.rows(asked)) as rows:
                values, valid = zip(*((part.values, part.valid) for part in rows), strict=True)
            axes = session.plan.axes(product.scale)
            maps[name] = Map(np.concatenate(values, axis=1), np.concatenate(valid), *axes, classes)
    return maps


def changed(first: Map, second: Map, shift: int, ground: range, cell: int) -> float:
    """Share of the ground whose class differs; the second view begins `shift` pixels further down and to the right."""
    a = slice(ground.start * cell, ground.stop * cell)
    b = slice(a.start - shift, a.stop - shift)
    valid = first.valid[a, a] & second.valid[b, b]
    return float((first.chosen[a, a] != second.chosen[b, b])[valid].mean())


def square(grid: RasterGrid, start: int, side: int) -> Extent:
    """The square of `side` pixels whose first row and column are `start`, in the raster's CRS."""
    (x, y), (far_x, far_y) = (grid.transform @ (at, at) for at in (start, start + side))
    return min(x, far_x), min(y, far_y), max(x, far_x), max(y, far_y)


def labels_of(path: Path) -> NDArray[np.uint8]:
    """Labels of a simulated place (h, w), merged as the starter's classes are."""
    with rasterio.open(path) as dataset:
        given: NDArray[np.uint8] = dataset.read(1)
    for value, merged in _MERGED.items():
        given[given == value] = merged
    return given


def confusion(given: NDArray[np.uint8], chosen: NDArray[np.integer], values: NDArray[np.uint8]) -> NDArray[np.int64]:
    """(K, K), reference by map, where the label is one of `values`; `chosen` are indices into them."""
    count = len(values)
    index = np.zeros(256, np.int64)
    index[values] = np.arange(count)
    known = np.isin(given, values)
    return np.bincount(index[given[known]] * count + chosen[known], minlength=count**2).reshape(count, count)


def _near(axis: Axis, length: int, reach: int) -> NDArray[np.bool_]:
    edges = [axis.start(index) for index in range(axis.count)]
    edges = [edge for start in edges for edge in (start, start + axis.window) if 0 < edge < length]
    at = np.arange(length)
    return np.any([(at >= edge - reach) & (at < edge + reach) for edge in edges] or [at < 0], axis=0)

"""What is made of a window, and of finished rows: the arithmetic between the network and the files.

No files, no threads: arrays in, arrays out.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from sardino_core.analysis.explore.steady import SteadySpace
from sardino_core.contract.model_spec import UNSURE_VALUE, ModelSpec
from sardino_core.models.outputs import layer_index
from sardino_core.raster.blending import Rows
from sardino_core.raster.resampling import resample, resampling_matrix
from sardino_core.raster.writing.class_legend import NODATA

if TYPE_CHECKING:
    from sardino_core.models.predictor import Predictor

Windows = NDArray[np.float32]  # (B, C, S, S), standardised, network pixels
Values = NDArray[np.float32]  # (B, channels, n * scale, n * scale), n cells a side
Shares = Callable[[NDArray[np.float32]], NDArray[np.float32]]  # tokens (..., D) to clusters (..., K)


@dataclass(frozen=True)
class Product:
    """What one job asks of every window: how many channels, at how many output pixels per cell, and how."""

    channels: int
    scale: int
    predict: Callable[[Windows], Values]


def class_probabilities(predictor: Predictor, cell_px: int) -> Product:
    """Probability of each class at every pixel of the raster."""
    spec = predictor.spec
    if cell_px == spec.backbone.patch:
        return Product(len(spec.classes), cell_px, predictor.segment)
    back = resampling_matrix(spec.window, spec.tokens_per_side * cell_px)
    return Product(len(spec.classes), cell_px, lambda windows: resample(predictor.segment(windows), back))


def attention_maps(predictor: Predictor, cell_px: int, layer: int, heads: str, resolution: str) -> Product:
    """Attention of the class token to each patch, times the number of patches: 1 is indifference."""
    backbone, side = predictor.spec.backbone, predictor.spec.tokens_per_side
    layer_index(layer, backbone.depth)  # a wrong layer is told before any work
    finer = resampling_matrix(side, side * cell_px) if resolution == "pixel" else None

    def predict(windows: Windows) -> Values:
        maps = reduce_heads(predictor.attention(windows, layer), heads)
        return maps if finer is None else resample(maps, finer)

    return Product(backbone.heads if heads == "all" else 1, 1 if finer is None else cell_px, predict)


def reduce_heads(maps: Values, heads: str) -> Values:
    """(B, heads, n, n) to all of them, their mean, or the highest."""
    if heads == "mean":
        return np.asarray(maps.mean(axis=1, keepdims=True))
    return np.asarray(maps.max(axis=1, keepdims=True)) if heads == "max" else maps


@dataclass(frozen=True)
class Projection:
    """Principal components of token space: project(token) = (token - mean) @ basis."""

    mean: NDArray[np.float32]  # (D,)
    basis: NDArray[np.float32]  # (D, N), orthonormal columns by falling variance
    explained: NDArray[np.float32]  # (N,) share of the variance

    @staticmethod
    def fit(tokens: NDArray[np.float32], components: int) -> Projection:
        """From (samples, D) tokens. The sign of a component is fixed so that reruns and scenes agree."""
        mean = tokens.mean(axis=0, dtype=np.float64)
        centred = tokens - mean
        variance, vectors = np.linalg.eigh(centred.T @ centred / max(1, len(tokens) - 1))
        order = np.argsort(variance)[::-1][:components]
        basis = vectors[:, order]
        basis = basis * np.sign(basis[np.abs(basis).argmax(axis=0), np.arange(basis.shape[1])])
        explained = np.clip(variance[order], 0, None) / max(float(variance.clip(0).sum()), 1e-12)
        return Projection(mean.astype(np.float32), basis.astype(np.float32), explained.astype(np.float32))

    def apply(self, tokens: NDArray[np.float32]) -> NDArray[np.float32]:
        """(..., D) to (..., N)."""
        return np.asarray((tokens - self.mean) @ self.basis, np.float32)


NO_PROJECTION = Projection(np.empty(0, np.float32), np.empty((0, 0), np.float32), np.empty(0, np.float32))


def token_embeddings(predictor: Predictor, projection: Projection | SteadySpace | None) -> Product:
    """Patch tokens on the patch grid, all dimensions or projected."""
    channels = predictor.spec.backbone.width if projection is None else projection.basis.shape[1]

    def predict(windows: Windows) -> Values:
        tokens = predictor.tokens(windows)  # (B, n, n, D)
        if projection is not None:
            tokens = projection.apply(tokens)
        return np.ascontiguousarray(np.moveaxis(tokens, 3, 1))

    return Product(channels, 1, predict)


def token_contrasts(predictor: Predictor) -> Product:
    """Patch tokens less their median over the window, dimension by dimension: what sets a patch apart from the others.

    Every token carries its whole window along, and that part differs from date to date all over the window at once. A
    change of less than half the window moves the median little.
    """
    tokens = token_embeddings(predictor, None)

    def predict(windows: Windows) -> Values:
        values = tokens.predict(windows)
        return np.asarray(values - np.median(values, axis=(2, 3), keepdims=True), np.float32)

    return Product(tokens.channels, 1, predict)


def cluster_shares(predictor: Predictor, shares: Shares, clusters: int, cell_px: int, refine: bool) -> Product:
    """How much each patch belongs to each cluster; refined: interpolated between the patches' centres to pixels.

    Shares are interpolated, not tokens: halfway between water and a town, tokens would be those of a third cluster.
    """
    side = predictor.spec.tokens_per_side
    finer = resampling_matrix(side, side * cell_px) if refine else None

    def predict(windows: Windows) -> Values:
        found = np.ascontiguousarray(np.moveaxis(shares(predictor.tokens(windows)), 3, 1))  # (B, K, n, n)
        return found if finer is None else resample(found, finer)

    return Product(clusters, 1 if finer is None else cell_px, predict)


def measured_bands(spec: ModelSpec) -> list[str]:
    """The bands that are measured, not differences of others."""
    return [band.key for band in spec.inputs.bands if "-" not in band.name]


def cell_backscatter(windows: Windows, spec: ModelSpec) -> Values:
    """Mean dB in each cell of the measured bands, (B, n, n, bands), clipped as the network sees them."""
    side, patch = spec.tokens_per_side, spec.backbone.patch
    cells = windows.reshape(*windows.shape[:2], side, patch, side, patch).mean(axis=(3, 5))
    bands = [(index, band) for index, band in enumerate(spec.inputs.bands) if "-" not in band.name]
    return np.stack([cells[:, index] * band.std_db + band.mean_db for index, band in bands], axis=-1)


def cells_with_data(valid: NDArray[np.bool_], cell_px: int) -> NDArray[np.bool_]:
    """(n * cell, n * cell) pixel validity to (n, n): a cell counts when any pixel of it does."""
    side = valid.shape[0] // cell_px
    return np.asarray(valid.reshape(side, cell_px, side, cell_px).any(axis=(1, 3)))


@dataclass(frozen=True)
class ClassRows:
    """Rows of the class map and of its confidence."""

    classes: NDArray[np.uint8]  # (1, rows, width)
    confidence: NDArray[np.float32]  # (1, rows, width), NaN without data


def classify(rows: Rows, spec: ModelSpec, abstain: bool) -> ClassRows:
    """The most probable class where it is probable enough, `unsure` where it is not, nodata where there is no input."""
    values = np.array([item.value for item in spec.classes], np.uint8)
    confidence = rows.values.max(axis=0)
    classes = values[rows.values.argmax(axis=0)]
    if abstain:
        classes[confidence < spec.calibration.unsure_below] = UNSURE_VALUE
    classes[~rows.valid] = NODATA
    return ClassRows(classes[None], np.where(rows.valid, confidence, np.nan).astype(np.float32)[None])


def with_nodata(rows: Rows) -> NDArray[np.float32]:
    """The rows' values (C, rows, width) with NaN where there is no input."""
    return np.where(rows.valid, rows.values, np.float32("nan"))


@dataclass(frozen=True)
class Int8Scale:
    """Linear quantisation per band: physical = stored * scale + offset, stored -127..127, -128 is nodata."""

    scale: NDArray[np.float32]  # (C,)
    offset: NDArray[np.float32]  # (C,)

    @staticmethod
    def fit(values: NDArray[np.float32]) -> Int8Scale:
        """From (samples, C): the range of the samples with a tenth to spare; what lies beyond is clipped."""
        low, high = values.min(axis=0), values.max(axis=0)
        half = np.maximum((high - low) * 0.55, 1e-6)
        return Int8Scale((half / 127).astype(np.float32), ((low + high) / 2).astype(np.float32))

    def store(self, rows: Rows) -> NDArray[np.int8]:
        """Rows (C, rows, width) as int8."""
        steps = np.rint((rows.values - self.offset[:, None, None]) / self.scale[:, None, None])
        return np.where(rows.valid, np.clip(steps, -127, 127), -128).astype(np.int8)

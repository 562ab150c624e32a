"""What a job asks of the network in every window: probabilities, attention, tokens and what is made of them.

No files, no threads: arrays in, arrays out. What is made of the blended rows is in finished_rows.py.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from sardino_core.analysis.explore.projection import Projection
from sardino_core.analysis.explore.steady import SteadySpace
from sardino_core.models.outputs import layer_index
from sardino_core.raster.resampling import resample, resampling_matrix

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

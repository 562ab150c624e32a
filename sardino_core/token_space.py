"""Patches of a scene as several windows show them: what clusters and likeness to marked places are measured by."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import islice, product

import numpy as np
from numpy.typing import NDArray

from sardino_core.analysis.explore.steady import SteadySpace
from sardino_core.contract.model_spec import ModelSpec
from sardino_core.inference import require_data
from sardino_core.pipeline import Session, WindowInput, stack
from sardino_core.products import Values, Windows
from sardino_core.raster.tiles import Tile, TilePlan, plan_tiles

_SPOTS = 48  # where windows overlap, spread over the scene: some thousand patches
_COMPONENTS = 16  # of the steady space; from 8 on docs/token_space.md changes little


@dataclass(frozen=True)
class Patches:
    """Sampled patches, the space that they are compared in, and their backscatter."""

    space: SteadySpace
    points: NDArray[np.float32]  # (samples, N) in that space, mean of the windows
    backscatter_db: NDArray[np.float32]  # (samples, B), of the measured bands


def sample_patches(session: Session) -> Patches:
    """Up to four windows over each of many spots. Raises NoValidData where there is none."""
    session.listener.progress(0.0, "sampling token space")
    found = list(islice(_spots(session), _SPOTS))
    require_data(len(found))
    tokens = np.concatenate([item[0] for item in found])  # (samples, windows, D)
    space = SteadySpace.fit(tokens, min(_COMPONENTS, tokens.shape[2]))
    session.listener.log(
        "info",
        f"{len(tokens)} patches were sampled in {tokens.shape[1]} windows each; {space.moved:.0%} of their tokens' "
        f"variance changes with the window and is kept out.",
    )
    return Patches(space, space.apply(tokens).mean(axis=1), np.concatenate([item[1] for item in found]))


def _spots(session: Session) -> Iterator[tuple[NDArray[np.float32], NDArray[np.float32]]]:
    """Tokens (patches, windows, D) and dB (patches, B) where neighbouring windows overlap by half."""
    spec = session.spec
    plan = plan_tiles(session.scene.grid, spec.tokens_per_side, session.plan.cell_px, 0.5)
    half = replace(session, plan=plan)
    steps = [range(min(2, axis.count)) for axis in (plan.rows, plan.cols)]
    corners = (
        tile for tile in plan.scattered()
        if tile.row_index + steps[0][-1] < plan.rows.count and tile.col_index + steps[1][-1] < plan.cols.count
    )  # fmt: skip
    for corner in islice(corners, 4 * _SPOTS):  # of a scene that is mostly empty, not everything is read
        session.listener.raise_if_cancelled()
        tiles = [Tile(corner.row_index + row, corner.col_index + col) for row, col in product(*steps)]
        items = list(half.read(tiles))
        if len(items) < len(tiles):  # a window without data: none in what they have in common either
            continue
        windows = stack(items)
        parts = [_common(plan, tiles, item) for item in items]
        valid = items[0].valid[parts[0]]
        tokens = session.predictor.tokens(windows)
        if valid.any():
            seen = [found[part][valid] for found, part in zip(tokens, parts, strict=True)]
            yield np.stack(seen, axis=1), cell_backscatter(windows[:1], spec)[0][parts[0]][valid]


def _common(plan: TilePlan, tiles: list[Tile], item: WindowInput) -> tuple[slice, slice]:
    """The cells of one of the windows that all of them show."""
    starts = [(plan.rows.start(tile.row_index), plan.cols.start(tile.col_index)) for tile in tiles]
    first, last = np.min(starts, axis=0), np.max(starts, axis=0)
    here = plan.rows.start(item.tile.row_index), plan.cols.start(item.tile.col_index)
    ends = (first[0] + plan.rows.window, first[1] + plan.cols.window)
    rows, cols = (slice(int(low - own), int(high - own)) for low, high, own in zip(last, ends, here, strict=True))
    return rows, cols


def measured_bands(spec: ModelSpec) -> list[str]:
    """The bands that are measured, not differences of others."""
    return [band.key for band in spec.inputs.bands if "-" not in band.name]


def cell_backscatter(windows: Windows, spec: ModelSpec) -> Values:
    """Mean dB in each cell of the measured bands, (B, n, n, bands), clipped as the network sees them."""
    side, patch = spec.tokens_per_side, spec.backbone.patch
    cells = windows.reshape(*windows.shape[:2], side, patch, side, patch).mean(axis=(3, 5))
    bands = [(index, band) for index, band in enumerate(spec.inputs.bands) if "-" not in band.name]
    return np.stack([cells[:, index] * band.std_db + band.mean_db for index, band in bands], axis=-1)

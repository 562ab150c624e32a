"""What the network relates to one place of a scene: where it attends to, or what resembles it, as a small raster.

For questions in a row, such as clicks on a map: explorations.py keeps what the next one needs.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from sardino_core.contract.errors import SettingInvalid
from sardino_core.contract.jobs import ExploreJob
from sardino_core.contract.listener import Listener
from sardino_core.contract.messages import Result
from sardino_core.contract.model_spec import BackboneSpec
from sardino_core.explorations import Cell, Exploration, Tokens, Window, exploration_of
from sardino_core.inference import tags_of
from sardino_core.models.outputs import attention_maps, attention_of, layer_index
from sardino_core.output_files import OutputFiles
from sardino_core.raster.grid import PixelWindow, RasterGrid
from sardino_core.raster.writing.staging import staged
from sardino_core.raster.writing.writer import RasterLayout

_MEANINGS = {
    "attention": "attention of the patch at one place within the window around it, times the number of patches "
    "(1 = uniform)",
    "class": "attention of the class token within the window around one place, times the number of patches "
    "(1 = uniform)",
    "similarity": "cosine of each patch's token with the one at one place (1 = the same direction)",
}


def explore(job: ExploreJob, listener: Listener | None = None) -> Result:
    """Write what one place attends to or resembles, on the patch grid. Raises SardinoError."""
    listener = listener or Listener()
    with staged() as staging, OutputFiles(staging, job.scene, job.run, [job.output]) as files:
        exploration = exploration_of(job.scene, job.run, listener)
        before, cell, backbone = exploration.computed, exploration.cell_at(*job.at), exploration.session.spec.backbone
        layer = layer_index(job.layer, backbone.depth)
        _require_head(job.head, backbone)
        if job.mode == "similarity":
            grid, values = exploration.grid, similarity(exploration.tokens(cell, listener), cell)
            told = f"similarity to the place, {np.nanmin(values):.3f} to {np.nanmax(values):.3f}"
        else:
            window = exploration.window_around(cell, listener)
            shares = attention_of(window.queries_keys[layer], _token(job, exploration, window, cell))
            grid, values = _on_the_map(exploration, window, _one_map(shares, window, job.head))
            told = _told(job, shares, values, layer)
        tags = {**tags_of(exploration.session, job), "SARDINO_MEANING": _MEANINGS[job.mode]}
        write = files.open(job.output, grid, RasterLayout("float32", [job.mode], np.nan, tags))
        write(values[None])
        files.finish()
    computed = exploration.computed - before
    values_told = {"told": told, "windows": computed, "layer": layer, "model": exploration.session.spec.name}
    return Result({"output": job.output}, values_told)


def similarity(tokens: Tokens, cell: Cell) -> NDArray[np.float32]:
    """Cosine of the token of `cell` with all, (rows, cols) from -1 to 1, NaN without data."""
    one = tokens.unit[cell.row, cell.col].astype(np.float32)
    cosines = np.stack([row.astype(np.float32) @ one for row in tokens.unit]).clip(-1, 1)
    return np.where(tokens.valid, cosines, np.float32("nan"))


def _token(job: ExploreJob, exploration: Exploration, window: Window, cell: Cell) -> int:
    """Which of the window's tokens asks: the class token is the first, the registers follow, then the patches."""
    if job.mode == "class":
        return 0
    side = exploration.session.spec.tokens_per_side
    prefix = 1 + exploration.session.spec.backbone.register_tokens
    return prefix + (cell.row - window.first.row) * side + cell.col - window.first.col


def _one_map(shares: NDArray[np.float32], window: Window, head: str) -> NDArray[np.float32]:
    """Attention (heads, T) of one token to the patches (n, n), uniform = 1: of one head, or mean or highest of all."""
    side = window.valid.shape[0]
    maps = attention_maps(shares[None, :, -side * side :], side)[0]  # (heads, n, n)
    if head == "mean":
        return np.asarray(maps.mean(axis=0))
    return np.asarray(maps.max(axis=0) if head == "max" else maps[int(head) - 1])


def _on_the_map(
    exploration: Exploration, window: Window, values: NDArray[np.float32]
) -> tuple[RasterGrid, NDArray[np.float32]]:
    """The part of the window that lies in the scene, with NaN where there is no data."""
    grid, first, side = exploration.grid, window.first, len(values)
    height, width = min(side, grid.height - first.row), min(side, grid.width - first.col)
    seen = np.where(window.valid, values, np.float32("nan"))[:height, :width]
    return grid.crop(PixelWindow(first.row, first.col, height, width)), seen


def _told(job: ExploreJob, shares: NDArray[np.float32], values: NDArray[np.float32], layer: int) -> str:
    heads = f"head {job.head}" if job.head.isdecimal() else f"{job.head} of {len(shares)} heads"
    who = "the class token" if job.mode == "class" else "the place"
    return f"attention of {who}, layer {layer}, {heads}: up to {np.nanmax(values):.1f} times indifference"


def _require_head(head: str, backbone: BackboneSpec) -> None:
    if head.isdecimal() and int(head) > backbone.heads:
        raise SettingInvalid(f"Head {head} does not exist; the model has 1 to {backbone.heads}.")

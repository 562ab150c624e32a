"""The patches that are probed: which window they lie in, their class, their place. Arrays alone."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sardino_core.contract.errors import NoValidData
from sardino_core.contract.model_spec import ClassSpec

Ints = NDArray[np.int64]
_LEAST = 20  # patches of a class in a place that thinning leaves, where there are so many
_BLOCKS = (2, 4)  # per side of a raster, at least and at most


@dataclass(frozen=True)
class Windows:
    """W windows with n x n patches each, at the network's scale."""

    backscatter_db: NDArray[np.float32]  # (W, B, S, S); 0 where not valid
    valid: NDArray[np.bool_]  # (W, S, S)
    classes: Ints  # (W, n, n) index of the class, -1: none
    place: Ints  # (W,)
    raster_row: Ints  # (W, n) of the patches' centres on their place's first raster, in its pixels
    raster_col: Ints  # (W, n)
    block_px: Ints  # (W,) side of the blocks that the place falls into
    margin_px: Ints  # (W,) of a patch

    @property
    def side(self) -> int:
        """Patches per side, n."""
        return int(self.classes.shape[1])


@dataclass(frozen=True)
class Samples:
    """M patches."""

    classes: tuple[ClassSpec, ...]  # those that occur, in the model's order
    label: Ints  # (M,) index into `classes`
    window: Ints  # (M,)
    patch: Ints  # (M,) number in the window, row-major
    place: Ints  # (M,) as the windows number them
    block: Ints  # (M,) number of the block, counted over all places

    @property
    def counts(self) -> Ints:
        """(places, classes): patches."""
        found = np.zeros((self.place.max() + 1, len(self.classes)), np.int64)
        np.add.at(found, (self.place, self.label), 1)
        return found


def draw_samples(windows: Windows, classes: tuple[ClassSpec, ...], limit: int, seed: int) -> Samples:
    """Up to `limit` labelled patches: of each class in each place its share, but not less than a few.

    In a single place the patches along the blocks' borders are left out, so that no two blocks touch. Raises
    NoValidData when fewer than two classes are left.
    """
    window, row, col = np.nonzero(windows.classes >= 0)
    rows, cols = windows.raster_row[window, row], windows.raster_col[window, col]
    block_px = windows.block_px[window]
    if len(np.unique(windows.place)) == 1:
        inner = _inside(rows, block_px, windows.margin_px[window]) & _inside(cols, block_px, windows.margin_px[window])
        window, row, col, rows, cols, block_px = (part[inner] for part in (window, row, col, rows, cols, block_px))
    label, place = windows.classes[window, row, col], windows.place[window]
    chosen = thin(label, place, limit, seed)
    window, row, col, rows, cols, block_px, label, place = (
        part[chosen] for part in (window, row, col, rows, cols, block_px, label, place)
    )
    seen, label = np.unique(label, return_inverse=True)
    if len(seen) < 2:
        names = " and ".join(classes[index].name for index in seen) or "no class"
        raise NoValidData(
            f"The labelled patches show {names}; a probe needs two classes at least.",
            "Give places with more classes, or check the mapping; patches of mixed cover are left out (`agree`).",
        )
    blocks = np.unique(np.stack([place, rows // block_px, cols // block_px]), axis=1, return_inverse=True)[1].ravel()
    present = tuple(classes[index] for index in seen)
    return Samples(present, label, window, row * windows.side + col, place, blocks)


def thin(label: Ints, place: Ints, limit: int, seed: int) -> Ints:
    """Indices, in order, of at most `limit` patches: of each class in each place its share, but a few at least."""
    if len(label) <= limit:
        return np.arange(len(label))
    _, stratum, counts = np.unique(np.stack([place, label]), axis=1, return_inverse=True, return_counts=True)
    least = np.minimum(counts, min(_LEAST, max(1, limit // len(counts))))
    rest = max(0, limit - int(least.sum()))
    take = least + (counts - least) * rest // max(1, int((counts - least).sum()))
    order = np.random.default_rng([seed, 1]).permutation(len(label))
    stratum = stratum.ravel()[order]
    by_stratum = np.argsort(stratum, kind="stable")
    rank = np.empty(len(label), np.int64)  # within its stratum, in random order
    rank[by_stratum] = np.arange(len(label)) - np.repeat(np.cumsum(counts) - counts, counts)
    return np.sort(order[rank < take[stratum]])


def block_side(height: int, width: int, window_px: int) -> int:
    """Of the blocks of a raster: two to four along its longer side, of about a window where there is room."""
    longer = max(height, width)
    low, high = _BLOCKS
    return -(-longer // min(max(longer // window_px, low), high))


def _inside(position: Ints, block_px: Ints, margin_px: Ints) -> NDArray[np.bool_]:
    """Whether a patch's centre keeps a patch's distance from the next block; the raster's own border does not count."""
    within = position % block_px
    last = position // block_px == (position // block_px).max(initial=0)
    inside: NDArray[np.bool_] = ((within >= margin_px) | (position < block_px)) & (
        (within < block_px - margin_px) | last
    )
    return inside

"""The feature tables: what of a patch each probe is given, from the network and from the backscatter itself."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from sardino_core.analysis.probe.samples import Samples, Windows
from sardino_core.analysis.probe.sar_context import brightness, sar_context
from sardino_core.contract.model_spec import ModelSpec
from sardino_core.raster.scaling import standardise

Array = NDArray[np.float32]
HEADS, SCORES, TOKENS, SAR, BRIGHTNESS = "heads", "scores", "tokens", "sar", "brightness"
RANDOM = "random "  # before the names of what a network with random weights gives
Tables = dict[str, Array]  # (M, columns) by name; columns of heads and scores run over heads, then over layers
Report = Callable[[float, str], None]


class Seen(Protocol):
    """What a backbone shows of B windows."""

    @property
    def attention(self) -> Array:
        """(B, L, H, N), uniform = 1."""

    @property
    def scores(self) -> Array:
        """(B, L, H, N), before the softmax, mean 0 over the window."""

    @property
    def tokens(self) -> Array:
        """(B, N, D)."""


class Looks(Protocol):
    """A backbone that can be looked into."""

    @property
    def spec(self) -> ModelSpec:
        """What the model file says."""

    def look(self, windows: Array) -> Seen:
        """At (B, C, S, S) standardised dB."""

    def suggest_batch(self) -> int:
        """Windows per call."""


@dataclass(frozen=True)
class Recipe:
    """A feature set: tables side by side, and with `pick` the one column of a table that the training fold prefers."""

    name: str
    parts: tuple[str, ...] = ()
    pick: str = ""


BEST, ALL, TOKEN, CONTEXT = "best head", "all heads", "tokens", "SAR in context"
BEFORE, LIKE_RANDOM = ", before softmax", ", random weights"
RECIPES = (
    Recipe(BEST, pick=HEADS),
    Recipe(BEST + BEFORE, pick=SCORES),
    Recipe(ALL, (HEADS,)),
    Recipe(ALL + BEFORE, (SCORES,)),
    Recipe(TOKEN, (TOKENS,)),
    Recipe(CONTEXT, (SAR,)),
    Recipe("best head + tokens", (TOKENS,), HEADS),
    Recipe("all heads + tokens", (HEADS, TOKENS)),
    Recipe("best head + SAR", (SAR,), HEADS),
    Recipe("all heads + SAR", (HEADS, SAR)),
    Recipe("brightness alone", (BRIGHTNESS,)),
    Recipe("best SAR statistic", pick=SAR),
    Recipe(BEST + LIKE_RANDOM, pick=RANDOM + HEADS),
    Recipe(ALL + LIKE_RANDOM, (RANDOM + HEADS,)),
    Recipe(TOKEN + LIKE_RANDOM, (RANDOM + TOKENS,)),
    Recipe("all heads + SAR" + LIKE_RANDOM, (RANDOM + HEADS, SAR)),
)


def gather(samples: Samples, windows: Windows, trained: Looks, untrained: Looks, report: Report) -> Tables:
    """All tables of the recipes, of the patches of `samples`."""
    report(0.0, "statistics of the backscatter")
    tables = _of_backscatter(samples, windows, trained.spec)
    report(0.2, "attention and tokens")
    tables |= _of_network(samples, windows, trained)
    report(0.6, "attention and tokens of random weights")
    control = _of_network(samples, windows, untrained)
    return tables | {RANDOM + name: control[name] for name in (HEADS, TOKENS)}


def network_windows(windows: Windows, indices: NDArray[np.int64], spec: ModelSpec) -> Array:
    """Those windows as the network takes them, (m, C, S, S)."""
    bands, clip_db = spec.inputs.bands, spec.inputs.clip_db
    return np.stack([standardise(windows.backscatter_db[i], windows.valid[i], bands, clip_db) for i in indices])


def _of_backscatter(samples: Samples, windows: Windows, spec: ModelSpec) -> Tables:
    patch_px, clip_db = spec.backbone.patch, spec.inputs.clip_db
    parts = [
        sar_context(windows.backscatter_db[window], windows.valid[window], samples.patch[rows], patch_px, clip_db)
        for window, rows in _rows_by_window(samples)
    ]
    context = np.concatenate(parts)
    return {SAR: context, BRIGHTNESS: brightness(context, len(spec.inputs.bands))}


def _of_network(samples: Samples, windows: Windows, network: Looks) -> Tables:
    """Windows with samples alone are looked at, a batch at a time, and only the samples' rows are kept."""
    groups = list(_rows_by_window(samples))
    step, found = network.suggest_batch(), []
    for start in range(0, len(groups), step):
        batch = groups[start : start + step]
        seen = network.look(network_windows(windows, np.array([window for window, _ in batch]), network.spec))
        for index, (_, rows) in enumerate(batch):
            patches = samples.patch[rows]
            per_head = [part[index][..., patches].reshape(-1, len(patches)).T for part in (seen.attention, seen.scores)]
            found.append((*per_head, seen.tokens[index, patches]))
    tables = [np.concatenate(parts) for parts in zip(*found, strict=True)]
    return dict(zip((HEADS, SCORES, TOKENS), tables, strict=True))


def _rows_by_window(samples: Samples) -> Iterator[tuple[int, NDArray[np.int64]]]:
    """Each window and its samples, which lie one after the other."""
    numbers, first = np.unique(samples.window, return_index=True)
    ends = [*first[1:], len(samples.window)]
    for window, start, end in zip(numbers.tolist(), first, ends, strict=True):
        yield window, np.arange(start, end)

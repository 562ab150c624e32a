"""Each head of each layer by itself: what its attention tells about the class, how evenly and how far it looks."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sardino_core.analysis.probe.config import ProbeConfig
from sardino_core.analysis.probe.features import HEADS, RANDOM, SCORES, Tables
from sardino_core.analysis.probe.folds import Folds
from sardino_core.analysis.probe.probes import KINDS, Prober
from sardino_core.analysis.probe.samples import Samples
from sardino_core.analysis.probe.scores import binned_information, confusion, information_within, mean_iou

Array = NDArray[np.float64]  # (L, H)
VARIANTS = (HEADS, SCORES)


@dataclass(frozen=True)
class HeadTable:
    """All (L, H), by layer and head."""

    information: Mapping[str, Array]  # nats within places, by variant and of random weights: `information_within`
    pooled: Array  # nats of the attention over all places together: `binned_information`
    miou: Mapping[tuple[str, str], Array]  # held out, by variant and probe, of quick one-column probes
    statistics: Mapping[str, Array]  # as `models.attention_statistics` names them
    tokens: int  # patches in a window
    patch_px: int
    patch_m: float  # on the ground; NaN where the spacing is unknown
    uniform_distance: float  # in patches: what attention to all patches alike gives

    @property
    def relative_entropy(self) -> Array:
        """1: the class token attends to all patches alike."""
        relative: Array = self.statistics["entropy"] / np.log(self.tokens)
        return relative


def head_scores(
    samples: Samples, tables: Tables, folds: Folds, config: ProbeConfig, shape: tuple[int, int],
    report: Callable[[float, str], None],
) -> tuple[dict[str, Array], Array, dict[tuple[str, str], Array]]:  # fmt: skip
    """Mutual information and held-out mIoU of each head; nothing is chosen here, so that no choice can flatter."""
    prober = Prober(config, len(samples.classes))
    own = samples.label, samples.place, config.bins
    information = {
        name: np.array([information_within(column, *own) for column in tables[name].T])
        for name in (*VARIANTS, RANDOM + HEADS)
    }
    pooled = np.array([binned_information(column, samples.label, config.bins) for column in tables[HEADS].T])
    miou = {}
    for done, (name, probe) in enumerate([(name, probe) for name in VARIANTS for probe in KINDS]):
        report(done / 4, f"each head by itself, {probe}")
        miou[name, probe] = np.array([_held_out(column, samples, folds, prober, probe) for column in tables[name].T])
    return (
        {name: values.reshape(shape) for name, values in information.items()},
        pooled.reshape(shape),
        {key: values.reshape(shape) for key, values in miou.items()},
    )


def _held_out(column: NDArray[np.float32], samples: Samples, folds: Folds, prober: Prober, probe: str) -> float:
    """mIoU of one confusion matrix over all folds."""
    values, label, kinds = column[:, None], samples.label, len(samples.classes)
    total = np.zeros((kinds, kinds), np.int64)
    for fit, scored in folds.splits:
        total += confusion(label[scored], prober.quick(probe, values[fit], label[fit], values[scored]), kinds)
    return float(mean_iou(total))

"""Chunks of labelled windows for fine-tuning, read ahead by threads. No torch.

Every window is a function of (seed, step, number in the batch) alone: which process or thread reads it, or whether the
run was resumed in between, makes no difference.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sardino_core.training.settings.finetune_config import FinetuneConfig
from sardino_core.training.windows.label_blocks import Census
from sardino_core.training.windows.patches import PatchSampler
from sardino_core.training.windows.read_ahead import ReadAhead
from sardino_core.training.windows.sources import SceneStore


@dataclass(frozen=True)
class Chunk:
    """The n windows of one forward pass, as arrays."""

    backscatter_db: NDArray[np.float32]  # (n, B, S, S); 0 where not valid
    valid: NDArray[np.bool_]  # (n, S, S)
    target: NDArray[np.int64]  # (n, S, S) numbers of class sets; 0: no label
    origins: tuple[str, ...]  # n times `scene at row, column`
    skipped: Counter[str]  # by reason


class LabelledLoader(ReadAhead[SceneStore, tuple[int, int], Chunk]):
    """Chunks by (step, part)."""

    def __init__(self, store: SceneStore, census: Census, config: FinetuneConfig) -> None:
        """`config` with `optimiser.micro_batch` filled in."""
        self._sampler = PatchSampler(census, config)
        self._config = config
        super().__init__(store.twin, self._chunk, config.run.readers)

    def _chunk(self, store: SceneStore, key: tuple[int, int]) -> Chunk:
        (step, part), count = key, self._config.optimiser.micro_batch
        skipped: Counter[str] = Counter()
        drawn = []
        for number in range(part * count, (part + 1) * count):
            rng = np.random.default_rng([self._config.seed, step, number])
            drawn.append(self._sampler.draw(store, rng, skipped))
        patches = [patch for patch, _ in drawn]
        return Chunk(
            np.stack([patch.backscatter_db for patch in patches]),
            np.stack([patch.valid for patch in patches]),
            np.stack([patch.target for patch in patches]),
            tuple(origin for _, origin in drawn),
            skipped,
        )

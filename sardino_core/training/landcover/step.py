"""The pieces of one fine-tuning step: the windows of a part of the batch, and the loss of the logits for them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from sardino_core.training.augment import Batch, augment, standardise_batch
from sardino_core.training.landcover.losses import label_weights, partial_cross_entropy, soft_dice
from sardino_core.training.running.distributed import Team
from sardino_core.training.settings.finetune_config import FinetuneConfig, LossConfig
from sardino_core.training.windows.label_blocks import Census
from sardino_core.training.windows.labelled import Chunk
from sardino_core.training.windows.targets import ClassSets


@dataclass(frozen=True)
class Part:
    """The n windows of one forward pass, ready for the network."""

    windows: Tensor  # (n, C, S, S) standardised
    target: Tensor  # (n, S, S) numbers of class sets; 0: no label
    seed: int  # for drop path
    origins: tuple[str, ...]


def prepare(chunk: Chunk, config: FinetuneConfig, step: int, number: int, device: torch.device) -> Part:
    """Augment and standardise a chunk: a function of the seed, the step and the part's number in the batch."""
    changes, drop_path = np.random.SeedSequence([config.seed, step, number]).generate_state(2)
    arrays = chunk.backscatter_db, chunk.valid, chunk.target
    batch = Batch(*(torch.from_numpy(array) for array in arrays)).to(device)
    inputs = config.model.inputs
    batch = augment(batch, config.augment, torch.Generator().manual_seed(int(changes)), inputs.bands)
    return Part(standardise_batch(batch, inputs.bands, inputs.clip_db), batch.target, int(drop_path), chunk.origins)


@dataclass(frozen=True)
class Criterion:
    """The loss, as configured for these labels."""

    config: LossConfig
    table: Tensor  # (sets, K) bool: which classes each label allows
    weights: Tensor  # (K,) of the classes

    @staticmethod
    def of(config: FinetuneConfig, sets: ClassSets, census: Census, device: torch.device) -> Criterion:
        """With class weights from the configuration and from how common each class is."""
        weights = torch.from_numpy(class_weights(config, sets, census))
        return Criterion(config.loss, torch.from_numpy(sets.table).to(device), weights.float().to(device))

    def total(self, batch: Sequence[Part], crew: Team) -> Tensor:
        """What all labelled pixels of the step count together, over all passes and processes."""
        mine = torch.stack([label_weights(part.target, self.table, self.weights).sum() for part in batch]).sum()
        return crew.sum(mine).clamp(min=1e-6)

    def __call__(self, logits: Tensor, part: Part, total: Tensor, share: float) -> Tensor:
        """This part's share of the step's loss; `logits` (n, K, S, S), `share` one over the number of all passes.

        Cross-entropy is the mean over the pixels of the whole step, however it is cut into passes; Dice is the mean
        of the passes' values.
        """
        config = self.config
        loss = partial_cross_entropy(
            logits,
            part.target,
            self.table,
            self.weights,
            config.label_smoothing,
            config.focal_gamma,
            total,
            config.doubt,
        )
        if config.dice:
            loss = loss + share * config.dice * soft_dice(logits, part.target, self.table)
        return loss


def class_weights(config: FinetuneConfig, sets: ClassSets, census: Census) -> np.ndarray:
    """(K,): `loss.class_weights` times (share / mean share)^-`loss.balance`; labels of several classes do not count."""
    counts = census.used[[sets.number([item.value]) for item in sets.classes]].astype(np.float64)
    mean = counts[counts > 0].mean() if counts.any() else 1.0
    common = np.where(counts > 0, counts, mean) / mean
    asked = np.array([config.loss.class_weights.get(item.value, 1.0) for item in sets.classes])
    weights: np.ndarray = asked * common**-config.loss.balance
    return weights

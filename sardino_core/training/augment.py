"""Random changes to a batch of windows in dB that leave their labels true. Batched torch, on any device.

What each stands for: flips east-west turn an ascending look into a descending one (shadows and bright slopes change
sides), flips north-south nearly keep the look, quarter turns would make a look that no satellite has and are left out;
gain offsets stand for calibration, sigma0 against gamma0 (1 to 2 dB over IW's incidence angles of 30 to 46 degrees) and
soil moisture; stripes and holes stand for swath edges, layover masks and tile borders; averages over pixels stand for
more looks, composites and speckle filters. Spacing jitter is done where windows are read (`patches`), since it needs
the surroundings.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from sardino_core.contract.model_spec import BandSpec
from sardino_core.training.settings.finetune_config import AugmentConfig

_BOXES = (3, 5)  # pixels along a side that are averaged
_FLOOR = 1e-5  # of power: -50 dB


@dataclass(frozen=True)
class Batch:
    """N windows of S x S pixels, C bands."""

    backscatter_db: Tensor  # (N, C, S, S)
    valid: Tensor  # (N, S, S) bool
    target: Tensor  # (N, S, S) int64 numbers of class sets

    def to(self, device: torch.device) -> Batch:
        """The same batch on another device."""
        return Batch(self.backscatter_db.to(device), self.valid.to(device), self.target.to(device))


def augment(batch: Batch, config: AugmentConfig, generator: torch.Generator, bands: Sequence[BandSpec] = ()) -> Batch:
    """All of them, drawn for each window by itself; `bands` tell which are differences of two others."""
    batch = flip(batch, -1, _chosen(batch, config.flip_east_west, generator))
    batch = flip(batch, -2, _chosen(batch, config.flip_north_south, generator))
    batch = offset_gain(batch, config.gain_db, config.band_gain_db, generator, bands)
    batch = lose_data(batch, config.invalid, config.invalid_share, generator)
    return smooth(batch, config.multilook, generator, bands)


def flip(batch: Batch, dim: int, chosen: Tensor) -> Batch:
    """Mirror the `chosen` (N,) windows along `dim`: -1 east-west, -2 north-south; image, mask and labels alike."""

    def mirrored(x: Tensor) -> Tensor:
        return torch.where(chosen.view(-1, *[1] * (x.dim() - 1)), x.flip(dim), x)

    return Batch(mirrored(batch.backscatter_db), mirrored(batch.valid), mirrored(batch.target))


def offset_gain(
    batch: Batch, common_db: float, band_db: float, generator: torch.Generator, bands: Sequence[BandSpec] = ()
) -> Batch:
    """Add normally distributed offsets in dB: one to all bands, one to each band.

    In a difference such as `VV-VH` what is common cancels; where its two parts are there, it is theirs afterwards.
    """
    count, channels = batch.backscatter_db.shape[:2]
    common, own = _normal((count, 1, 1, 1), generator), _normal((count, channels, 1, 1), generator)
    shares = torch.tensor([float("-" not in band.name) for band in bands] or [1.0] * channels).view(1, -1, 1, 1)
    offset = common_db * common * shares + band_db * own
    db = batch.backscatter_db + offset.to(batch.backscatter_db.device)
    return Batch(subtracted(db, bands), batch.valid, batch.target)


def subtracted(backscatter_db: Tensor, bands: Sequence[BandSpec]) -> Tensor:
    """(N, C, S, S) with every difference of two of the bands taken anew: whatever changed the two changed it, too."""
    channels = list(backscatter_db.unbind(1))
    for index, first, second in differences(bands):
        channels[index] = channels[first] - channels[second]
    return torch.stack(channels, dim=1)


def differences(bands: Sequence[BandSpec]) -> list[tuple[int, int, int]]:
    """Where differences are among the bands, and where their two parts are, if both are there."""
    places = {(band.name, band.season): index for index, band in enumerate(bands)}
    found = []
    for index, band in enumerate(bands):
        parts = [places.get((name, band.season)) for name in band.name.split("-")]
        if len(parts) == 2 and parts[0] is not None and parts[1] is not None:
            found.append((index, parts[0], parts[1]))
    return found


def smooth(batch: Batch, probability: float, generator: torch.Generator, bands: Sequence[BandSpec] = ()) -> Batch:
    """The chosen windows as a smoother product shows them: `multilook`, on dB."""
    if probability == 0:
        return batch
    power = multilook(10 ** (batch.backscatter_db / 10), batch.valid, probability, generator)
    return Batch(subtracted(10 * power.clamp(min=_FLOOR).log10(), bands), batch.valid, batch.target)


def multilook(power: Tensor, valid: Tensor, probability: float, generator: torch.Generator) -> Tensor:
    """(N, C, S, S) with the chosen images averaged in power over a box of 3 x 3 or 5 x 5 valid pixels (N, S, S)."""
    draws = torch.rand(len(power), 2, generator=generator)
    for level, box in enumerate(_BOXES):
        mine = (draws[:, 0] < probability) & ((draws[:, 1] * len(_BOXES)).long() == level)
        index = mine.nonzero().flatten().to(power.device)
        if len(index):
            known = valid[index].unsqueeze(1).to(power.dtype)  # (M, 1, S, S)
            total = F.avg_pool2d(power[index] * known, box, stride=1, padding=box // 2)
            weight = F.avg_pool2d(known, box, stride=1, padding=box // 2)
            power = power.index_copy(0, index, total / weight.clamp(min=1e-6))
    return power


def lose_data(batch: Batch, probability: float, share: float, generator: torch.Generator) -> Batch:
    """Declare a rectangle (half of the time a stripe over the whole window) invalid; its labels are forgotten."""
    count, side = batch.valid.shape[0], batch.valid.shape[-1]
    position = torch.arange(side).view(1, side)

    def span() -> Tensor:
        length = torch.rand(count, 1, generator=generator) * share * side
        start = torch.rand(count, 1, generator=generator) * (side - length)
        return (position >= start) & (position < start + length)

    rows, cols, stripe = span(), span(), torch.randint(0, 4, (count, 1), generator=generator)
    gap = (rows | (stripe == 0)).unsqueeze(2) & (cols | (stripe == 1)).unsqueeze(1)  # (N, S, S)
    gap &= _chosen(batch, probability, generator).cpu().view(-1, 1, 1)
    valid = batch.valid & ~gap.to(batch.valid.device)
    return Batch(batch.backscatter_db, valid, batch.target * valid)


def standardise_batch(batch: Batch, bands: Sequence[BandSpec], clip_db: tuple[float, float]) -> Tensor:
    """(N, C, S, S) as the network wants it, the batched twin of `raster.scaling.standardise`; 0 where not valid."""
    db = batch.backscatter_db.clamp(*clip_db)
    mean = db.new_tensor([band.mean_db for band in bands]).view(1, -1, 1, 1)
    std = db.new_tensor([band.std_db for band in bands]).view(1, -1, 1, 1)
    return torch.where(batch.valid.unsqueeze(1), (db - mean) / std, 0.0)


def _chosen(batch: Batch, probability: float, generator: torch.Generator) -> Tensor:
    return (torch.rand(len(batch.valid), generator=generator) < probability).to(batch.valid.device)


def _normal(shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
    return torch.randn(shape, generator=generator)

"""Random views of backscatter: crops, and what a sensor, a product or a day would change. Batched, on the device.

All that averages or multiplies works in linear power, where it belongs; what adds offsets works in dB. Validity goes
along everywhere. In order, with the physics and the reason of each default (`ViewConfig`):

- **dates**: two global views from two passes. Fields grow, soils dry, water ripples, the place stays. The same relative
  orbit by default: another track looks from another side, and slopes, walls and shadows change with it.
- **crop**: a random part, averaged in power to the crop's pixels, as a sensor of that spacing would (linear between
  pixels when enlarged). Areas as in DINO. Sides are stretched by 1.1 at most: map pixels are square.
- **multi-look**: 3 x 3 or 5 x 5 pixels averaged in power, as smoother products and composites are.
- **speckle**: fading multiplies power by Gamma numbers of mean 1 and variance 1/L (Goodman 1976, J. Opt. Soc. Am. 66);
  L evenly in the logarithm from 4 (a GRD pixel has 4.4 looks) to 40 (hardly seen). Correlated from pixel to pixel by
  0.62 to 0.70, as measured on real 10 m tiles, whose pixels are finer than the sensor's resolution; independent
  between VV and VH, as over natural surfaces. Half of the crops, so that the unchanged product stays the commonest.
- **gain**: calibration, sigma0 against gamma0, moisture. 1 dB in common, 0.5 dB per band.
- **flips**: east-west turns an ascending look into a descending one; north-south nearly keeps it. No quarter turns.
- **gaps**: swath edges, layover masks.
- **missing band**: single-polarised products, and the habit of looking at both; a tenth of the crops.

Spacing jitter of a whole window is done where it is read (`unlabelled`), which needs no second resampling.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from sardino_core.contract.model_spec import BandSpec, InputSpec
from sardino_core.training.augment import (
    Batch,
    differences,
    flip,
    lose_data,
    multilook,
    offset_gain,
    standardise_batch,
)
from sardino_core.training.settings.pretrain_config import ViewConfig

_CORRELATION = (0.62, 0.70)  # of speckle at a lag of one pixel
_FLOOR = 1e-6  # power: -60 dB


@dataclass(frozen=True)
class Windows:
    """n windows of S x S pixels with C bands, each on D dates (1 or 2)."""

    backscatter_db: Tensor  # (n, D, C, S, S); 0 where not valid
    valid: Tensor  # (n, D, S, S) bool

    def to(self, device: torch.device) -> Windows:
        """The same windows on another device."""
        return Windows(self.backscatter_db.to(device, non_blocking=True), self.valid.to(device, non_blocking=True))


@dataclass(frozen=True)
class Views:
    """Standardised crops, view by view: the first n are view 0 of every window."""

    large: Tensor  # (2 n, C, G, G)
    small: Tensor | None  # (L n, C, g, g)


@dataclass(frozen=True)
class Image:
    """N images in linear power with their validity."""

    power: Tensor  # (N, C, S, S)
    valid: Tensor  # (N, S, S) bool


def make_views(
    windows: Windows,
    side: int,
    config: ViewConfig,
    inputs: InputSpec,
    choices: torch.Generator,
    fields: torch.Generator,
) -> Views:
    """Two global crops of `side` pixels and the local ones of every window.

    `choices` draws the parameters, on the CPU; `fields` draws speckle, on the windows' device.
    """
    count, dates = windows.valid.shape[:2]
    n = torch.arange(count)
    first = torch.randint(0, dates, (count,), generator=choices)
    second = (first + 1) % dates
    image = Image(torch.pow(10.0, windows.backscatter_db / 10).flatten(0, 1), windows.valid.flatten(0, 1))

    def views(index: Tensor, area: tuple[float, float], size: int) -> Tensor:
        chosen = index.to(image.power.device)
        boxes = draw_boxes(len(index), image.valid.shape[-1], area, config.aspect, choices)
        cut = crop(Image(image.power[chosen], image.valid[chosen]), boxes.to(image.power.device), size)
        return change(cut, config, inputs, choices, fields)

    large = views(torch.cat([n * dates + first, n * dates + second]), config.global_area, side)
    if not config.local_crops:
        return Views(large, None)
    small = n.repeat(config.local_crops) * dates
    small = small + torch.randint(0, dates, small.shape, generator=choices)
    return Views(large, views(small, config.local_area, config.local_size))


def change(
    image: Image, config: ViewConfig, inputs: InputSpec, choices: torch.Generator, fields: torch.Generator
) -> Tensor:
    """Everything after the crop, drawn for each image by itself; returns the standardised (N, C, S, S)."""
    image = Image(multilook(image.power, image.valid, config.multilook, choices), image.valid)
    image = speckle(image, config.speckle, config.speckle_looks, choices, fields)
    db = 10 * image.power.clamp(min=_FLOOR).log10()
    batch = Batch(db, image.valid, torch.zeros((), dtype=torch.int64, device=db.device).expand(image.valid.shape))
    batch = offset_gain(batch, config.gain_db, config.band_gain_db, choices, inputs.bands)
    batch = flip(batch, -1, _chosen(batch, config.flip_east_west, choices))
    batch = flip(batch, -2, _chosen(batch, config.flip_north_south, choices))
    batch = lose_data(batch, config.invalid, config.invalid_share, choices)
    standardised = standardise_batch(batch, inputs.bands, inputs.clip_db)
    return drop_band(standardised, config.drop_band, choices, inputs.bands)


def draw_boxes(count: int, side: int, area: tuple[float, float], aspect: float, generator: torch.Generator) -> Tensor:
    """(count, 4) random boxes inside side x side pixels: top, left, height, width, not rounded."""
    low, high = area
    share = low + (high - low) * torch.rand(count, generator=generator)
    stretch = aspect ** (torch.rand(count, generator=generator) - 0.5)  # sides differ by `aspect` at most
    height = (side * share.sqrt() * stretch).clamp(max=side)
    width = (side * share.sqrt() / stretch).clamp(max=side)
    top = (side - height) * torch.rand(count, generator=generator)
    left = (side - width) * torch.rand(count, generator=generator)
    return torch.stack([top, left, height, width], dim=1)


def crop(image: Image, boxes: Tensor, size: int) -> Image:
    """Boxes (N, 4) of the images as `size` x `size` pixels: mean power of the valid pixels under each."""
    side = image.valid.shape[-1]
    rows = _weights(boxes[:, 0], boxes[:, 2], side, size)  # (N, size, S)
    cols = _weights(boxes[:, 1], boxes[:, 3], side, size)
    weight = rows @ image.valid.to(rows.dtype) @ cols.mT  # (N, size, size)
    power = image.power * image.valid.unsqueeze(1)
    mean = (rows.unsqueeze(1) @ power @ cols.unsqueeze(1).mT) / weight.clamp(min=1e-6).unsqueeze(1)
    return Image(mean, weight > 0.5)


def speckle(
    image: Image,
    probability: float,
    looks: tuple[float, float],
    choices: torch.Generator,
    fields: torch.Generator,
) -> Image:
    """Multiply the chosen images by correlated Gamma noise of mean 1, its looks drawn evenly in the logarithm."""
    count, bands, side, _ = image.power.shape
    draws = torch.rand(count, 3, generator=choices).to(image.power.device)
    low, high = looks
    number = low * (high / low) ** draws[:, 1]
    lag1 = _CORRELATION[0] + (_CORRELATION[1] - _CORRELATION[0]) * draws[:, 2]
    fading = gamma_field((count, bands, side, side), number, lag1, fields)
    keep = (draws[:, 0] >= probability).view(-1, 1, 1, 1)
    return Image(image.power * torch.where(keep, 1.0, fading), image.valid)


def gamma_field(shape: tuple[int, int, int, int], looks: Tensor, lag1: Tensor, generator: torch.Generator) -> Tensor:
    """(N, C, S, S) Gamma numbers of mean 1 and variance 1/looks (N,), correlated by `lag1` (N,) between neighbours.

    A correlated normal field through the Wilson-Hilferty transform (1931, PNAS 17): the cube root of a Gamma variable
    is nearly normal with mean 1 - 1/(9 L) and variance 1/(9 L).
    """
    count, bands, height, width = shape
    white = torch.randn(count, bands, height + 2, width + 2, generator=generator, device=generator.device)
    # [a, 1, a] along both dimensions has the lag-1 correlation 2a / (1 + 2a^2).
    side = ((1 - (1 - 2 * lag1**2).clamp(min=0).sqrt()) / (2 * lag1)).view(-1, 1, 1, 1)
    rows = white[:, :, 1:-1] + side * (white[:, :, :-2] + white[:, :, 2:])
    normal = rows[..., 1:-1] + side * (rows[..., :-2] + rows[..., 2:])
    normal = normal / (1 + 2 * side**2)
    number = looks.view(-1, 1, 1, 1)
    return (1 - 1 / (9 * number) + normal / (3 * number.sqrt())).clamp(min=0) ** 3


def drop_band(
    windows: Tensor, probability: float, generator: torch.Generator, bands: Sequence[BandSpec] = ()
) -> Tensor:
    """Set one band of the chosen standardised windows (N, C, S, S) to its mean, 0, where there are several.

    With a polarisation its difference to another goes as well: a product that lacks the one has not the other.
    """
    count, channels = windows.shape[:2]
    draws = torch.rand(count, generator=generator)
    band = torch.randint(0, channels, (count,), generator=generator)
    if channels == 1:
        return windows
    gone = (draws < probability).unsqueeze(1) & (torch.arange(channels) == band.unsqueeze(1))  # (N, C)
    for index, first, second in differences(bands):
        gone[:, index] |= gone[:, first] | gone[:, second]
    return windows.masked_fill(gone.to(windows.device)[..., None, None], 0.0)


def _weights(start: Tensor, length: Tensor, source: int, target: int) -> Tensor:
    """(N, target, source): area means where a box is shrunk, linear where it is enlarged; rows sum to 1."""
    step = (length / target).view(-1, 1, 1)
    at = torch.arange(target, device=start.device, dtype=start.dtype).view(1, -1, 1)
    pixel = torch.arange(source, device=start.device, dtype=start.dtype).view(1, 1, -1)
    low = start.view(-1, 1, 1) + at * step
    area = (torch.minimum(low + step, pixel + 1) - torch.maximum(low, pixel)).clamp(min=0)
    centre = (low + step / 2 - 0.5).clamp(0, source - 1)
    linear = (1 - (centre - pixel).abs()).clamp(min=0)
    weights = torch.where(step >= 1, area, linear)
    return weights / weights.sum(dim=-1, keepdim=True)


def _chosen(batch: Batch, probability: float, generator: torch.Generator) -> Tensor:
    return (torch.rand(len(batch.valid), generator=generator) < probability).to(batch.valid.device)

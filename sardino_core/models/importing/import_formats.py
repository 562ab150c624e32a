"""The checkpoints that can be imported: how each is recognised, what its channels are, how its input is normalised.

Facts alone; the weights themselves are translated in `weights_import`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from torch import Tensor

from sardino_core.contract.errors import ModelInvalid, SettingInvalid
from sardino_core.contract.model_spec import BandSpec, InputSpec
from sardino_core.models.importing.checkpoint_reader import Checkpoint

AUTO = "auto"
PATCHES = "patch_embed.proj.weight"
SAR_BANDS = ("VV", "VH", "VV-VH")
# Architecture and heads by width: heads cannot be read off the weights, and every format here has 64 numbers a head.
SIZES = {192: ("vit_tiny", 3), 384: ("vit_small", 6), 768: ("vit_base", 12), 1024: ("vit_large", 16)}
HEAD_WIDTH = 64

# Mean and standard deviation in dB, VV and VH. Those of SSL4EO-S12 (Wang et al. 2023, arXiv 2211.07044) also serve
# networks that never saw SAR.
_SSL4EO_S12 = {"VV": (-12.59, 5.26), "VH": (-20.26, 5.91)}
_SOFTCON = {"VV": (-12.548, 5.257), "VH": (-20.192, 5.912)}
_DINO_MM = {"VV": (-12.59, 5.04), "VH": (-19.22, 5.42)}
_DIFFERENCE_STD_DB = 3.5  # of VV-VH, speckle included: 2.7 to 3.8 over tiles of BigEarthNet

_RGB_NOTE = (
    "The weights were trained on RGB normalised by its own mean and standard deviation; the patch embedding is the "
    "average over R, G and B for every SAR band, times 3 / bands, and takes standardised dB instead."
)


@dataclass(frozen=True)
class SourceFormat:
    """One way in which others publish a ViT."""

    name: str
    label: str
    channels: int  # of the published patch embedding
    columns: Mapping[str, int] = field(default_factory=dict)  # band to channel; empty: RGB, averaged
    statistics: Mapping[str, tuple[float, float]] = field(default_factory=lambda: _SSL4EO_S12)
    two_sigma: bool = False  # trained on clip(mean +- 2 std) mapped to 0..1, rather than on (dB - mean) / std
    note: str = ""

    @property
    def is_rgb(self) -> bool:
        """Whether the weights have never seen SAR."""
        return not self.columns


FORMATS: dict[str, SourceFormat] = {
    item.name: item
    for item in (
        SourceFormat("dino", "DINO backbone", 3, note=_RGB_NOTE),
        SourceFormat("dino-checkpoint", "DINO full checkpoint (student, teacher)", 3, note=_RGB_NOTE),
        SourceFormat("dinov2", "DINOv2", 3, note=_RGB_NOTE),
        SourceFormat("dinov3", "DINOv3", 3, note=_RGB_NOTE),
        SourceFormat(
            "torchgeo-s1",
            "torchgeo Sentinel-1 (MAE, FG-MAE, CLOSP, SoftCon)",
            2,
            {"VV": 0, "VH": 1},
            note="Normalised as torchgeo does: (dB - mean) / std.",
        ),
        SourceFormat(
            "softcon-s1",
            "SoftCon Sentinel-1, normalised as its authors do",
            2,
            {"VV": 0, "VH": 1},
            _SOFTCON,
            two_sigma=True,
        ),
        SourceFormat(
            "dino-mm",
            "DINO-MM (Sentinel-2 and Sentinel-1)",
            14,
            {"VH": 12, "VV": 13},
            _DINO_MM,
            two_sigma=True,
            note="Of 14 channels those of Sentinel-1 are kept, which equals the whole network with Sentinel-2 at 0.",
        ),
    )
}

_STRANGERS = (  # a name that others' networks have, and what it is a sign of
    ("layer1.0.conv1.weight", "a ResNet; a vision transformer is needed"),
    ("layers.0.blocks.0.norm1.weight", "a Swin transformer; a plain vision transformer is needed"),
    ("embeddings.patch_embeddings.projection.weight", "the layout of the transformers library; take its authors' file"),
    ("patch_embed.weight", "a network with another patch embedding; a plain vision transformer is needed"),
)


def choose_format(checkpoint: Checkpoint, asked: str) -> SourceFormat:
    """The format asked for, or with `auto` the only one that fits. Raises ModelInvalid naming what it looks like."""
    if asked != AUTO and asked not in FORMATS:
        raise SettingInvalid(f"--format {asked} is unknown; allowed are {', '.join((AUTO, *FORMATS))}.")
    fitting = formats_that_fit(checkpoint)
    if asked in fitting:
        return FORMATS[asked]
    if asked == AUTO and len(fitting) == 1:
        return FORMATS[fitting[0]]
    if asked == AUTO and fitting:
        raise ModelInvalid(
            f"{checkpoint.name} fits {' and '.join(fitting)}, which differ in how the input is normalised.",
            f"Choose with --format {fitting[0]} or --format {fitting[1]}.",
        )
    if fitting:
        raise ModelInvalid(
            f"{checkpoint.name} is not of the format {asked} ({FORMATS[asked].label}): it looks like "
            f"{' or '.join(f'{name} ({FORMATS[name].label})' for name in fitting)}.",
            f"Use --format {fitting[0]}.",
        )
    raise ModelInvalid(
        f"{checkpoint.name} is of no format that can be imported: it looks like {_stranger(checkpoint)}.",
        f"Allowed are {', '.join(FORMATS)}.",
    )


def formats_that_fit(checkpoint: Checkpoint) -> tuple[str, ...]:
    """The formats that the names and the shape of the patch embedding allow; several only where both are true."""
    weights = checkpoint.weights
    channels = _channels(weights)
    has_scale = any(name.endswith((".ls1.gamma", ".gamma_1")) for name in weights)
    if channels == 14:
        return ("dino-mm",)
    if channels == 2:
        return ("torchgeo-s1", "softcon-s1") if has_scale else ("torchgeo-s1",)
    if channels != 3 or any(name.startswith("decoder_") for name in weights):
        return ()
    if is_rotary(weights):
        return ("dinov3",)
    if has_scale:
        return ("dinov2",)
    return ("dino-checkpoint",) if checkpoint.branch else ("dino",)


def is_rotary(weights: Mapping[str, Tensor]) -> bool:
    """Whether positions turn queries and keys (DINOv3, and timm's layout of it, which has no periods)."""
    return "rope_embed.periods" in weights or ("pos_embed" not in weights and "blocks.0.gamma_1" in weights)


def require_size(checkpoint: Checkpoint) -> None:
    """Raise ModelInvalid unless a network of ours can have this width and patch; checked before any arithmetic."""
    width, _, height, patch = checkpoint.weights[PATCHES].shape
    if width not in SIZES:
        raise ModelInvalid(
            f"{checkpoint.name} has width {width}; allowed are {', '.join(map(str, SIZES))} (ViT-Tiny to ViT-Large), "
            "since the number of heads is known for those."
        )
    if height != patch or not 1 <= patch <= 64:
        raise ModelInvalid(
            f"{checkpoint.name} has patches of {height} x {patch}; allowed are squares of 1 to 64 pixels."
        )


def input_spec(source: SourceFormat, bands: tuple[str, ...]) -> InputSpec:
    """The normalisation that the weights were trained with, for `bands` in this order.

    Where training clipped each band to mean +- 2 std and mapped that to 0..1, mean_db is the lower limit and std_db the
    width of the range. The clip range of a model holds for all bands: it spans theirs.
    """
    statistics = {band: _statistics(source, band) for band in bands}
    spacing_m = InputSpec(()).spacing_m if source.is_rgb else (8.0, 20.0)  # trained at 10 m, on crops of varying scale
    radiometry = InputSpec(()).radiometry if source.is_rgb else "sigma0"
    if not source.two_sigma:
        specs = tuple(BandSpec(band, *values) for band, values in statistics.items())
        return InputSpec(specs, spacing_m=spacing_m, radiometry=radiometry)
    limits = {band: (mean - 2 * std, mean + 2 * std) for band, (mean, std) in statistics.items()}
    specs = tuple(BandSpec(band, round(low, 4), round(high - low, 4)) for band, (low, high) in limits.items())
    lowest, highest = min(low for low, _ in limits.values()), max(high for _, high in limits.values())
    clip_db = (round(lowest, 4), round(highest, 4))
    return InputSpec(specs, clip_db=clip_db, spacing_m=spacing_m, radiometry=radiometry)


def notes_on_input(source: SourceFormat, bands: tuple[str, ...]) -> tuple[str, ...]:
    """What a user must know about the normalisation, for the model's provenance."""
    notes = [source.note] if source.note else []
    if source.two_sigma:
        notes.append(
            "Trained on values clipped per band to mean +- 2 std and mapped to 0..1 in 256 steps; here one clip range "
            "spans all bands, so that values outside a band's own range go a little below 0 or above 1."
        )
    if not source.is_rgb and "VV-VH" in bands:
        notes.append("VV-VH was not in the training: its weights are 0 until fine-tuning changes them.")
    return tuple(notes)


def require_bands(source: SourceFormat, bands: tuple[str, ...]) -> None:
    """Raise SettingInvalid for bands that are unknown, repeated, or fewer than the weights were trained on."""
    found = ",".join(bands)
    if not bands or len(set(bands)) < len(bands) or not set(bands) <= set(SAR_BANDS):
        raise SettingInvalid(
            f"--bands {found} cannot be imported to; allowed are {', '.join(SAR_BANDS)}, each once.",
            "Give for instance --bands VV,VH or --bands VV,VH,VV-VH.",
        )
    lacking = [band for band in ("VV", "VH") if band in source.columns and band not in bands]
    if lacking:
        raise SettingInvalid(
            f"--bands {found} lacks {' and '.join(lacking)}, which the weights of {source.name} were trained on.",
            "Give --bands VV,VH or --bands VV,VH,VV-VH.",
        )


def _statistics(source: SourceFormat, band: str) -> tuple[float, float]:
    if band in source.statistics:
        return source.statistics[band]
    return round(source.statistics["VV"][0] - source.statistics["VH"][0], 4), _DIFFERENCE_STD_DB


def _channels(weights: Mapping[str, Tensor]) -> int:
    patches = weights.get(PATCHES)
    return patches.shape[1] if patches is not None and patches.ndim == 4 else 0


def _stranger(checkpoint: Checkpoint) -> str:
    for sign, what in _STRANGERS:
        if any(name.endswith(sign) for name in checkpoint.weights):
            return what
    channels = _channels(checkpoint.weights)
    if channels == 3:
        return "a masked autoencoder of RGB, with its decoder"
    if channels:
        return f"a vision transformer of {channels} channels; allowed are 3 (RGB), 2 (VV, VH) and 14 (DINO-MM)"
    total = sum(math.prod(value.shape) for value in checkpoint.weights.values())
    return f"something else ({len(checkpoint.weights)} tensors, {total} numbers, no {PATCHES})"

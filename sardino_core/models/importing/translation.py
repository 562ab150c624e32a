"""Foreign weights under our names: positions, class token, registers, layer scale, biases, patch embedding.

Our networks add positions to patches alone; what others add to the class token is added into it here. Every step says
what it did, for the layer report.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

import torch
from torch import Tensor

from sardino_core.contract.errors import ModelInvalid
from sardino_core.contract.model_spec import ModelSpec
from sardino_core.models.importing.checkpoint_reader import Checkpoint
from sardino_core.models.importing.import_formats import HEAD_WIDTH, PATCHES, SourceFormat, is_rotary
from sardino_core.models.importing.layer_report import LayerReport, named
from sardino_core.models.network import Network
from sardino_core.models.rotary import periods

_RENAMED = {"register_tokens": "reg_token", "storage_tokens": "reg_token"}
_RENAMED_ENDS = {".gamma_1": ".ls1.gamma", ".gamma_2": ".ls2.gamma"}  # timm's layout of DINOv3
_BLOCK = re.compile(r"^blocks\.(\d+)\.")
_PERIODS = "rope_embed.periods"

# What pre-training needs and the backbone does not. Anything else that has no place in our network is no head.
_UNUSED: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"^(head|dino_head|ibot_head|fc)\."), "a head of pre-training or classification"),
    (re.compile(r"^(decoder_\w+|decoder)(\.|$)"), "the decoder of masked pre-training"),
    (re.compile(r"^mask_token$"), "stands for hidden patches in pre-training"),
    (re.compile(r"^local_cls_norm\."), "normalises small crops in pre-training"),
)


@dataclass
class Translation:
    """Weights without `backbone.`, and what happened to each; the steps below fill it in."""

    weights: dict[str, Tensor]
    adapted: dict[str, str] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)
    unused: dict[str, str] = field(default_factory=dict)
    grid_side: int = 0  # patches per side that the position embeddings are for; 0: none

    def report(self) -> LayerReport:
        """What became of every weight."""
        touched = {*self.adapted, *self.missing}
        return LayerReport(
            tuple(name for name in self.weights if name not in touched), self.adapted, self.missing, self.unused
        )


def translate(checkpoint: Checkpoint, source: SourceFormat, bands: tuple[str, ...]) -> Translation:
    """All of the checkpoint that a backbone can have, for `bands`. Raises ModelInvalid where it has too much."""
    found = Translation(dict(checkpoint.weights))
    _set_aside_heads(found)
    _rename(found)
    _require_essentials(checkpoint, found)
    if is_rotary(checkpoint.weights):
        _check_periods(checkpoint, found)
    else:
        _place_positions(checkpoint, found)
    _complete_biases(found, is_rotary(checkpoint.weights))
    _adapt_patches(found, source, bands)
    return found


def count_blocks(weights: Iterable[str]) -> int:
    """The depth: one more than the highest block's number."""
    return max((int(match[1]) + 1 for name in weights if (match := _BLOCK.match(name))), default=0)


def require_fit(checkpoint: Checkpoint, found: Translation, spec: ModelSpec) -> None:
    """Raise ModelInvalid when the weights are more, fewer or of other shapes than the network of `spec` has."""
    with torch.device("meta"):
        expected = {name: value.shape for name, value in Network(spec).backbone.state_dict().items()}
    expected |= {"pos_embed": found.weights["pos_embed"].shape} if found.grid_side else {}  # resampled later
    name, backbone = checkpoint.name, spec.backbone
    extra = [key for key in found.weights if key not in expected]
    if extra:
        raise ModelInvalid(
            f"{name} has {len(extra)} weights without a place in {backbone.architecture}/{backbone.patch}: "
            f"{named(extra)}; allowed to be left over is a head.",
            "Its network is another one and cannot be imported.",
        )
    lacking = [key for key in expected if key not in found.weights]
    if lacking:
        raise _lacks(name, lacking)
    for key, shape in expected.items():
        if found.weights[key].shape != shape:
            raise ModelInvalid(
                f"The weight {key} of {name} has shape {tuple(found.weights[key].shape)}; "
                f"{backbone.architecture}/{backbone.patch} of width {backbone.width} calls for {tuple(shape)}."
            )


def _set_aside_heads(found: Translation) -> None:
    for name in list(found.weights):
        for pattern, reason in _UNUSED:
            if pattern.match(name):
                found.unused[name] = reason
                del found.weights[name]
                break


def _rename(found: Translation) -> None:
    for name in list(found.weights):
        stem, dot, end = name.rpartition(".")
        new = _RENAMED.get(name) or stem + _RENAMED_ENDS.get(dot + end, dot + end)
        if new != name and new not in found.weights:
            found.weights[new] = found.weights.pop(name)


def _require_essentials(checkpoint: Checkpoint, found: Translation) -> None:
    essential = ["cls_token", PATCHES, "blocks.0.attn.qkv.weight"]
    essential += [] if is_rotary(checkpoint.weights) else ["pos_embed"]
    lacking = [name for name in essential if name not in found.weights]
    if lacking:
        raise _lacks(checkpoint.name, lacking)
    if count_blocks(found.weights) > 64:
        raise ModelInvalid(f"{checkpoint.name} has {count_blocks(found.weights)} blocks; allowed are up to 64.")
    for name in ("cls_token", "reg_token", "pos_embed"):
        value = found.weights.get(name)
        if value is not None and (value.ndim != 3 or value.shape[0] != 1 or value.shape[1] == 0):
            raise ModelInvalid(f"The weight {name} of {checkpoint.name} has shape {tuple(value.shape)}, not (1, N, D).")


def _place_positions(checkpoint: Checkpoint, found: Translation) -> None:
    """Positions (1, [1 +] N, D): where the first is the class token's, add it into the class token."""
    positions, class_token = found.weights["pos_embed"], found.weights["cls_token"]
    count = positions.shape[1]
    side = _square_side(count - 1) or _square_side(count)
    if not side:
        raise ModelInvalid(
            f"{checkpoint.name} has {count} position embeddings; allowed is a square number, for square windows, with "
            "or without one more for the class token."
        )
    found.grid_side = side
    if side * side == count:
        return
    if class_token.shape != positions[:, :1].shape:
        raise ModelInvalid(
            f"cls_token of {checkpoint.name} has shape {tuple(class_token.shape)}; its pos_embed calls for "
            f"{tuple(positions[:, :1].shape)}."
        )
    found.weights["cls_token"] = class_token.float() + positions[:, :1].float()
    found.weights["pos_embed"] = positions[:, 1:]
    for name, how in (("cls_token", "its position added into it"), ("pos_embed", "the patches' positions alone")):
        found.adapted[name] = how


def _check_periods(checkpoint: Checkpoint, found: Translation) -> None:
    """Ours are computed, those of a checkpoint are often rounded to bfloat16: the two may differ by that, no more."""
    stored = found.weights.pop(_PERIODS, None)
    if stored is None:
        return
    expected = periods(HEAD_WIDTH)
    off = float((stored.double() / expected - 1).abs().max()) if stored.shape == expected.shape else float("inf")
    if not off < 0.01:
        raise ModelInvalid(
            f"{checkpoint.name} has rotary positions of other periods than DINOv3's, which are the ones that can be "
            "imported."
        )
    found.unused[_PERIODS] = f"computed anew from their base (stored to within {off:.1%})"


def _complete_biases(found: Translation, rotary: bool) -> None:
    """DINOv3 has no bias on its keys: one layout masks it, one leaves it out, and one has no biases at all."""
    weights, width = found.weights, found.weights[PATCHES].shape[0]
    without = rotary and not any(name.endswith(("attn.qkv.bias", "attn.q_bias")) for name in weights)
    for index in range(count_blocks(weights)):
        attention = f"blocks.{index}.attn."
        name, mask = f"{attention}qkv.bias", f"{attention}qkv.bias_mask"
        query, value = f"{attention}q_bias", f"{attention}v_bias"
        if _have_shape(weights, (3 * width,), name, mask):
            weights[name] = weights[name].float() * weights.pop(mask).float()
            found.adapted[name] = "masked with bias_mask, which makes the key's part 0"
        elif _have_shape(weights, (width,), query, value):
            parts = weights.pop(query), torch.zeros(width), weights.pop(value)
            weights[name] = torch.cat([part.float() for part in parts])
            found.adapted[name] = "put together from q_bias and v_bias; the key's part is 0"
        elif without:
            weights[name] = torch.zeros(3 * width)
            found.missing[name] = "the source has none: set to 0"


def _have_shape(weights: dict[str, Tensor], shape: tuple[int, ...], *names: str) -> bool:
    return all(name in weights and weights[name].shape == shape for name in names)


def _adapt_patches(found: Translation, source: SourceFormat, bands: tuple[str, ...]) -> None:
    """The patch embedding (D, C, p, p) for `bands`: RGB averaged and scaled by 3 / bands; SAR picked by column."""
    patches = found.weights[PATCHES]
    if source.is_rgb:
        mean = patches.float().mean(dim=1, keepdim=True) * (3 / len(bands))
        found.weights[PATCHES] = mean.expand(-1, len(bands), -1, -1)
        found.adapted[PATCHES] = f"average over RGB, times 3 / {len(bands)}, for each of {', '.join(bands)}"
        return
    columns = [source.columns.get(band) for band in bands]
    if columns == list(range(source.channels)):
        return
    empty = torch.zeros_like(patches[:, 0])
    found.weights[PATCHES] = torch.stack([empty if at is None else patches[:, at] for at in columns], dim=1)
    picked = [
        f"{band} {'set to 0' if at is None else f'from channel {at}'}" for band, at in zip(bands, columns, strict=True)
    ]
    found.adapted[PATCHES] = f"{', '.join(picked)} of {source.channels}"


def _square_side(count: int) -> int:
    side = round(max(count, 0) ** 0.5)
    return side if side * side == count else 0


def _lacks(name: str, lacking: list[str]) -> ModelInvalid:
    return ModelInvalid(
        f"{name} lacks {len(lacking)} of the weights that its network needs: {named(lacking)}.",
        "Import the whole checkpoint, as its authors published it.",
    )

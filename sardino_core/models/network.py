"""The network of a model file: backbone and head, built from a `ModelSpec`. Tensors in, tensors out.

Inputs are windows in standardised dB, (value - mean) / std per band, in the order of `spec.inputs.bands`. Not for files
(`model_file`) nor for arrays and devices (`predictor`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from timm.layers import resample_abs_pos_embed  # type: ignore[attr-defined]
from torch import Tensor, nn

from sardino_core.contract.errors import ModelInvalid
from sardino_core.contract.model_spec import ModelSpec
from sardino_core.models.heads import build_head
from sardino_core.models.vit import build_backbone, walk

POSITIONS = "backbone.pos_embed"
Weights = Mapping[str, "np.ndarray | Tensor"]


@dataclass(frozen=True)
class Features:
    """What the backbone sees in B windows; N patch tokens in row-major order, D the width."""

    tokens: Tensor  # (B, N, D), after the final norm
    class_token: Tensor  # (B, D), after the final norm
    attention: Tensor  # (B, layers asked for, heads, N): class token to patches, softmax over all tokens
    scores: Tensor  # the same before the softmax
    queries_keys: Tensor | None = None  # (B, layers asked for, 2, heads, prefix + N, D / heads), where asked for


class Network(nn.Module):
    """Backbone (`backbone.*`) and head (`head.*`, absent when pretrained) of one model."""

    def __init__(self, spec: ModelSpec, dynamic_size: bool = False, drop_path: float = 0.0) -> None:
        """`dynamic_size`: windows of other sizes too, as multi-crop needs; `drop_path`: the rate at the last block."""
        super().__init__()
        self.spec = spec
        self.backbone = build_backbone(spec.backbone, len(spec.inputs.bands), spec.window, dynamic_size, drop_path)
        self.head = build_head(spec)

    def forward(self, x: Tensor) -> Tensor:
        """Windows (B, C, S, S) in standardised dB to logits (B, K, S, S)."""
        return self.classify(x, walk(self.backbone, x).patch_tokens)

    def features(self, x: Tensor, layers: Sequence[int] = (-1,), queries_keys: bool = False) -> Features:
        """Tokens of windows (B, C, S, S), and the class token's attention in `layers` (0-based, or negative).

        `queries_keys`: also the queries and keys of every token in these layers.
        """
        found = walk(self.backbone, x, layers, queries_keys)
        return Features(found.patch_tokens, found.class_token, found.attention, found.scores, found.queries_keys)

    def classify(self, x: Tensor, tokens: Tensor) -> Tensor:
        """Logits (B, K, S, S) from windows and their patch tokens (B, N, D)."""
        if self.head is None:
            raise ModelInvalid(
                f"The model {self.spec.name} is pretrained: it has no classes.", "Fine-tune it with labels first."
            )
        logits: Tensor = self.head(x, tokens)
        return logits


def build(
    spec: ModelSpec, weights: Weights | None = None, dynamic_size: bool = False, drop_path: float = 0.0
) -> Network:
    """The network of `spec`: with `weights` exactly, or freshly initialised. Raises ModelInvalid where they do not fit.

    With weights, no memory is taken before their shapes are known to fit: a hostile specification costs nothing.
    """
    if weights is None:
        return Network(spec, dynamic_size, drop_path)
    with torch.device("meta"):
        network = Network(spec, dynamic_size, drop_path)
    _require_fit(spec, network, weights)
    network.load_state_dict({name: _tensor(value) for name, value in weights.items()}, assign=True)
    return network


def random_network(spec: ModelSpec, seed: int) -> Network:
    """A freshly initialised network that depends on the seed alone; torch's global generator is left as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return build(spec)


def adapt_to_window(weights: Weights, spec: ModelSpec) -> dict[str, Tensor]:
    """The same weights with position embeddings resampled (bicubic) to the grid of `spec.window`, if they differ."""
    adapted = {name: _tensor(value) for name, value in weights.items()}
    if POSITIONS in adapted:
        side = spec.tokens_per_side
        adapted[POSITIONS] = resample_abs_pos_embed(adapted[POSITIONS], new_size=[side, side], num_prefix_tokens=0)
    return adapted


def initialise_from(network: Network, weights: Weights) -> list[str]:
    """Start `network` from another model's weights; returns the names that were left as they are.

    The backbone must fit, but for the window size; the head is taken over only where all of it fits (same classes).
    """
    found = adapt_to_window(weights, network.spec)
    own = network.state_dict()
    head = {name for name in own if name.startswith("head.")}
    if any(name not in found or found[name].shape != own[name].shape for name in head):
        found = {name: value for name, value in found.items() if name not in head}
    backbone = {name: value for name, value in found.items() if name.startswith("backbone.")}
    _require_fit(network.spec, network.backbone, {name.removeprefix("backbone."): v for name, v in backbone.items()})
    network.load_state_dict({name: value for name, value in found.items() if name in own}, strict=False)
    return sorted(set(own) - set(found))


def _require_fit(spec: ModelSpec, module: nn.Module, weights: Weights) -> None:
    """Raise ModelInvalid naming the first weight that is missing, unknown or of another shape."""
    expected = {name: tuple(value.shape) for name, value in module.state_dict().items()}
    for name, shape in expected.items():
        if name not in weights:
            raise ModelInvalid(f"The weights of {spec.name} lack {name}, which its description calls for.")
        if tuple(weights[name].shape) != shape:
            raise ModelInvalid(
                f"The weight {name} of {spec.name} has shape {tuple(weights[name].shape)}; "
                f"its description calls for {shape}."
            )
    unknown = [name for name in weights if name not in expected]
    if unknown:
        raise ModelInvalid(f"The weights of {spec.name} hold {unknown[0]}, which its description does not call for.")


def _tensor(value: np.ndarray | Tensor) -> Tensor:
    return value if isinstance(value, Tensor) else torch.from_numpy(value)

"""From what a network computes to what a user is given, in numpy: shared by both predictors, so that they agree."""

from __future__ import annotations

import numpy as np

from sardino_core.contract.errors import ModelInvalid, SettingInvalid
from sardino_core.contract.model_spec import ModelSpec

_GPU_PIXELS_PER_CALL = 2 * 1024 * 1024


def probabilities(logits: np.ndarray, temperature: float) -> np.ndarray:
    """Calibrated probabilities: softmax(logits / temperature) over axis 1; (B, K, S, S) float32 both."""
    require_finite(logits)
    scaled = logits / np.float32(temperature)
    scaled -= scaled.max(axis=1, keepdims=True)
    np.exp(scaled, out=scaled)
    scaled /= scaled.sum(axis=1, keepdims=True)
    return scaled


def attention_maps(attention: np.ndarray, side: int) -> np.ndarray:
    """Attention over patches (B, heads, N) to maps (B, heads, n, n) of mean 1: a share of the whole, times the tokens.

    What the prefix tokens (class, registers) took is left out, so that uniform attention to the patches is 1.
    """
    require_finite(attention)
    total = np.maximum(attention.sum(axis=-1, keepdims=True), np.finfo(np.float32).tiny)
    maps: np.ndarray = attention * (np.float32(attention.shape[-1]) / total)
    return maps.reshape(*attention.shape[:2], side, side)


def attention_of(queries_keys: np.ndarray, token: int) -> np.ndarray:
    """Attention (heads, T) of one token to all: softmax(q k / sqrt(d)), from (2, heads, T, d) queries and keys."""
    require_finite(queries_keys)
    queries, keys = queries_keys
    scores = np.einsum("hd,htd->ht", queries[:, token], keys) / np.sqrt(np.float32(keys.shape[-1]))
    scores -= scores.max(axis=-1, keepdims=True)
    np.exp(scores, out=scores)
    shares: np.ndarray = scores / scores.sum(axis=-1, keepdims=True)
    return shares


def token_maps(tokens: np.ndarray, side: int) -> np.ndarray:
    """Patch tokens (B, N, D) in row-major order to (B, n, n, D)."""
    require_finite(tokens)
    return tokens.reshape(len(tokens), side, side, tokens.shape[-1])


def layer_index(layer: int, depth: int) -> int:
    """`layer` counted from 0; raises SettingInvalid when there is no such layer."""
    if not -depth <= layer < depth:
        raise SettingInvalid(f"Layer {layer} does not exist; the model has 0 to {depth - 1} (or -{depth} to -1).")
    return layer % depth


def require_head(spec: ModelSpec) -> None:
    """Raise ModelInvalid when the model cannot segment."""
    if spec.task != "segmentation":
        raise ModelInvalid(
            f"The model {spec.name} is pretrained: it has no classes.",
            "Use it for attention maps and embeddings, or fine-tune it with labels first.",
        )


def require_finite(values: np.ndarray) -> None:
    """Raise ModelInvalid for a network that overflows: NaN would turn into a class and be believed."""
    with np.errstate(invalid="ignore"):
        total = values.sum(dtype=np.float64)
    if not np.isfinite(total):
        raise ModelInvalid("The network's output is not finite.", "Its weights are damaged; train or export it again.")


def batch_on_cpu(spec: ModelSpec) -> int:
    """Past a few thousand tokens a call, more windows gain nothing on a CPU and take memory."""
    return max(1, min(16, 2048 // spec.tokens_per_side**2))


def batch_on_gpu(spec: ModelSpec) -> int:
    """Enough work for one call to keep a large GPU busy, if its memory holds it."""
    return max(1, _GPU_PIXELS_PER_CALL // spec.window**2)

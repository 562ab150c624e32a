"""The predictor on ONNX Runtime, CPU: no torch. The graph comes from the export, the weights from the model file."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import onnxruntime as ort

from sardino_core.contract.errors import DependencyMissing, ModelInvalid, OutOfMemory, SardinoError
from sardino_core.contract.model_spec import ModelSpec
from sardino_core.models import outputs
from sardino_core.models.export_file import (
    ATTENTION,
    LOGITS,
    QUERIES_KEYS,
    TOKENS,
    WINDOWS,
    export_path,
    problem_with_export,
)
from sardino_core.models.model_file import load_weights

_ERRORS_ONLY = 3


class OnnxPredictor:
    """See `predictor.Predictor`. For one thread at a time; the computation itself uses every core."""

    def __init__(self, model: Path, spec: ModelSpec) -> None:
        """Raises DependencyMissing when the export is missing or belongs to other weights."""
        problem = problem_with_export(model)
        if problem is not None:
            raise DependencyMissing(f"{model.name} has no usable export: {problem}.", "Export the model again.")
        self.spec = spec
        self.description = f"ONNX Runtime {'.'.join(ort.__version__.split('.')[:2])}, CPU, fp32"
        self._weights = load_weights(model)
        self._session = open_session(model.name, export_path(model).read_bytes(), self._weights)
        self._shapes = _shapes_of(spec)
        self._only_what_is_asked = ort.RunOptions()
        self._only_what_is_asked.only_execute_path_to_fetches = True

    def segment(self, windows: np.ndarray) -> np.ndarray:
        """Probabilities (B, K, S, S)."""
        outputs.require_head(self.spec)
        return outputs.probabilities(self._run(LOGITS, windows), self.spec.calibration.temperature)

    def attention(self, windows: np.ndarray, layer: int) -> np.ndarray:
        """Attention maps (B, heads, n, n), uniform = 1."""
        index = outputs.layer_index(layer, self.spec.backbone.depth)
        return outputs.attention_maps(self._run(ATTENTION, windows)[:, index], self.spec.tokens_per_side)

    def tokens(self, windows: np.ndarray) -> np.ndarray:
        """Patch tokens (B, n, n, D)."""
        return outputs.token_maps(self._run(TOKENS, windows), self.spec.tokens_per_side)

    def queries_keys(self, windows: np.ndarray) -> np.ndarray:
        """Queries and keys (B, layers, 2, heads, T, D / heads)."""
        return self._run(QUERIES_KEYS, windows)

    def suggest_batch(self) -> int:
        """Windows per call."""
        return outputs.batch_on_cpu(self.spec)

    def _run(self, output: str, windows: np.ndarray) -> np.ndarray:
        feeds = {WINDOWS: np.ascontiguousarray(windows, dtype=np.float32)}
        try:
            found: np.ndarray = self._session.run([output], feeds, self._only_what_is_asked)[0]
        except Exception as error:  # ONNX Runtime's own exceptions share no other base
            raise _failed(self.spec.name, error) from error
        if found.dtype != np.float32 or found.shape != (len(windows), *self._shapes[output]):
            raise ModelInvalid(
                f"The export of {self.spec.name} gives {output} of shape {found.shape[1:]}; "
                f"its description calls for {self._shapes[output]}.",
                "Export the model again.",
            )
        return found


def _shapes_of(spec: ModelSpec) -> dict[str, tuple[int, ...]]:
    """What the graph must give for one window."""
    backbone, patches = spec.backbone, spec.tokens_per_side**2
    tokens = 1 + backbone.register_tokens + patches
    return {
        LOGITS: (len(spec.classes), spec.window, spec.window),
        ATTENTION: (backbone.depth, backbone.heads, patches),
        TOKENS: (patches, backbone.width),
        QUERIES_KEYS: (backbone.depth, 2, backbone.heads, tokens, backbone.width // backbone.heads),
    }


def _failed(name: str, error: Exception) -> SardinoError:
    reason = str(error).splitlines()[0][:160]
    if "alloc" in reason.lower():
        return OutOfMemory(f"The memory does not hold a batch of {name}.", "Use a smaller --batch-size.")
    return ModelInvalid(f"The export of {name} does not run ({reason}).", "Export the model again.")


def open_session(name: str, graph: bytes, weights: Mapping[str, np.ndarray]) -> ort.InferenceSession:
    """A CPU session of `graph` with its weights supplied by name; raises ModelInvalid when they do not go together."""
    options = ort.SessionOptions()
    options.log_severity_level = _ERRORS_ONLY
    # Threads spin during a run (a sixth faster on two cores) and not between runs, when readers need the cores.
    options.add_session_config_entry("session.force_spinning_stop", "1")
    values = [ort.OrtValue.ortvalue_from_numpy(array) for array in weights.values()]
    options.add_external_initializers(list(weights), values)
    try:
        # A stranger's graph may name files as its weights: whatever it names, it finds an empty folder.
        with tempfile.TemporaryDirectory(prefix="sardino-") as empty:
            options.add_session_config_entry("session.model_external_initializers_file_folder_path", empty)
            return ort.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # ONNX Runtime's own exceptions share no other base
        raise ModelInvalid(
            f"The export of {name} does not fit its weights ({str(error).splitlines()[0][:120]}).",
            "Export the model again.",
        ) from error

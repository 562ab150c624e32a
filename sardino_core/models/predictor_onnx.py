"""The predictor on ONNX Runtime, CPU: no torch. The graph comes from the export, the weights from the model file."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import onnxruntime as ort

from sardino_core.contract.errors import DependencyMissing, ModelInvalid
from sardino_core.contract.model_spec import ModelSpec
from sardino_core.models import outputs
from sardino_core.models.export_file import ATTENTION, LOGITS, TOKENS, WINDOWS, export_path, problem_with_export
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

    def suggest_batch(self) -> int:
        """Windows per call."""
        return outputs.batch_on_cpu(self.spec)

    def _run(self, output: str, windows: np.ndarray) -> np.ndarray:
        feeds = {WINDOWS: np.ascontiguousarray(windows, dtype=np.float32)}
        found: np.ndarray = self._session.run([output], feeds, self._only_what_is_asked)[0]
        return found


def open_session(name: str, graph: bytes, weights: Mapping[str, np.ndarray]) -> ort.InferenceSession:
    """A CPU session of `graph` with its weights supplied by name; raises ModelInvalid when they do not go together."""
    options = ort.SessionOptions()
    options.log_severity_level = _ERRORS_ONLY
    # Threads spin during a run (a sixth faster on two cores) and not between runs, when readers need the cores.
    options.add_session_config_entry("session.force_spinning_stop", "1")
    values = [ort.OrtValue.ortvalue_from_numpy(array) for array in weights.values()]
    options.add_external_initializers(list(weights), values)
    try:
        return ort.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # ONNX Runtime's own exceptions share no other base
        raise ModelInvalid(
            f"The export of {name} does not fit its weights ({str(error).splitlines()[0][:120]}).",
            "Export the model again.",
        ) from error

"""The predictor on ONNX Runtime, on the CPU or a GPU: no torch. The graph is the export's, the weights the model's."""

from __future__ import annotations

import contextlib
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import onnxruntime as ort

from sardino_core.contract.errors import DependencyMissing, ModelInvalid, OutOfMemory, SardinoError
from sardino_core.contract.model_spec import ModelSpec
from sardino_core.models import outputs
from sardino_core.models.export_cache import usable_graph
from sardino_core.models.export_file import ATTENTION, LOGITS, QUERIES_KEYS, TOKENS, WINDOWS
from sardino_core.models.model_file import load_weights
from sardino_core.models.providers import CPU, CUDA, OPTIONS, short_name
from sardino_core.models.shrinking_batches import ShrinkingBatches, is_out_of_memory

_ERRORS_ONLY = 3


class ProviderUnusable(DependencyMissing):
    """ONNX Runtime lists a provider that does not work here: its libraries or its device are missing."""


def available_providers() -> list[str]:
    """The providers that this ONNX Runtime was built with; whether they work is seen when one is opened."""
    found: list[str] = ort.get_available_providers()
    return found


class OnnxPredictor:
    """See `predictor.Predictor`. For one thread at a time; the computation itself uses every core."""

    def __init__(self, model: Path, spec: ModelSpec, provider: str = CPU) -> None:
        """Raises DependencyMissing when there is no export of these weights, ProviderUnusable when it does not run."""
        self.spec = spec
        self._on_cpu = provider == CPU
        self.description = f"ONNX Runtime {'.'.join(ort.__version__.split('.')[:2])}, {short_name(provider)}, fp32"
        self._weights = load_weights(model)
        self._batches = ShrinkingBatches()
        self._shapes = _shapes_of(spec)
        self._only_what_is_asked = ort.RunOptions()
        self._only_what_is_asked.only_execute_path_to_fetches = True
        graph = usable_graph(model)
        if self._on_cpu:
            self._session = open_session(model.name, graph, self._weights)
            return
        try:
            self._session = open_session(model.name, graph, self._weights, provider)
            self.tokens(np.zeros((1, len(spec.inputs.bands), spec.window, spec.window), np.float32))
        except (ModelInvalid, OutOfMemory) as error:
            raise ProviderUnusable(
                f"ONNX Runtime's {short_name(provider)} does not run {model.name}: {error.message}",
                "See `sardino check`, or use --device cpu.",
            ) from error

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
        return outputs.batch_on_cpu(self.spec) if self._on_cpu else outputs.batch_on_gpu(self.spec)

    def _run(self, output: str, windows: np.ndarray) -> np.ndarray:
        def once(part: np.ndarray) -> np.ndarray:
            feeds = {WINDOWS: np.ascontiguousarray(part, dtype=np.float32)}
            try:
                found: np.ndarray = self._session.run([output], feeds, self._only_what_is_asked)[0]
            except Exception as error:  # ONNX Runtime's own exceptions share no other base
                if is_out_of_memory(error):
                    raise
                raise _failed(self.spec.name, error) from error
            return found

        found = self._batches.run(windows, once)
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
    return ModelInvalid(f"The export of {name} does not run ({reason}).", "Export the model again.")


def open_session(
    name: str, graph: bytes, weights: Mapping[str, np.ndarray], provider: str = CPU
) -> ort.InferenceSession:
    """A session of `graph` on `provider` with its weights supplied by name.

    Raises ModelInvalid when they do not go together, or ONNX Runtime has left the provider out.
    """
    options = ort.SessionOptions()
    options.log_severity_level = _ERRORS_ONLY
    # Threads spin during a run (a sixth faster on two cores) and not between runs, when readers need the cores.
    options.add_session_config_entry("session.force_spinning_stop", "1")
    values = [ort.OrtValue.ortvalue_from_numpy(array) for array in weights.values()]
    options.add_external_initializers(list(weights), values)
    wanted = [CPU] if provider == CPU else [(provider, OPTIONS[provider]), CPU]
    try:
        # A stranger's graph may name files as its weights: whatever it names, it finds an empty folder.
        with tempfile.TemporaryDirectory(prefix="sardino-") as empty:
            options.add_session_config_entry("session.model_external_initializers_file_folder_path", empty)
            if provider == CUDA:
                with contextlib.redirect_stdout(sys.stderr):
                    ort.preload_dlls()  # CUDA and cuDNN from Python packages, where they are none of the system's
            session = ort.InferenceSession(graph, options, providers=wanted, enable_fallback=0)
    except Exception as error:  # ONNX Runtime's own exceptions share no other base
        raise ModelInvalid(
            f"The export of {name} does not fit its weights ({str(error).splitlines()[0][:120]}).",
            "Export the model again.",
        ) from error
    if provider not in session.get_providers():
        raise ModelInvalid(f"{short_name(provider)} could not be loaded; the CPU would be used.", "Use the CPU.")
    return session

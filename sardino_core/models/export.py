"""Writes NAME.onnx beside NAME.safetensors, so that machines without torch run the same model. Needs torch and onnx.

The graph has four outputs; whoever runs it asks for those it needs, and the others cost nothing:
`logits` (B, K, S, S), absent when pretrained; `attention` (B, layers, heads, N), of the class token to the patches;
`tokens` (B, N, D); `queries_keys` (B, layers, 2, heads, prefix + N, D / heads), from which the attention of any token
follows. B is free, the window is fixed.
"""

from __future__ import annotations

import contextlib
import copy
import io
import logging
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn

from sardino_core import __version__
from sardino_core.contract.errors import DependencyMissing, ModelInvalid
from sardino_core.models import export_file
from sardino_core.models.model_file import load_weights, read_spec, weights_hash, write_aside
from sardino_core.models.network import Network, build

_PREFIX = "network."
TOLERANCE = 1e-4  # largest difference between torch and ONNX Runtime, on every output


class _Outputs(nn.Module):
    """Everything the network can tell in one pass."""

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.network = network

    def forward(self, windows: Tensor) -> dict[str, Tensor]:
        depth = self.network.spec.backbone.depth
        found = self.network.features(windows, layers=range(depth), queries_keys=True)
        outputs = {export_file.ATTENTION: found.attention, export_file.TOKENS: found.tokens}
        outputs[export_file.QUERIES_KEYS] = cast(Tensor, found.queries_keys)
        if self.network.head is not None:
            outputs[export_file.LOGITS] = self.network.classify(windows, found.tokens)
        return outputs


def export_onnx(model: str | Path) -> Path:
    """Export the model file, and return the export's path. Replaces an older export. Raises what `exported` raises."""
    write_aside(export_file.export_path(Path(model)), exported(Path(model)))
    return export_file.export_path(Path(model))


def exported(path: Path) -> bytes:
    """The export of a model file, after it has been checked against torch.

    Raises ModelInvalid if the two disagree by more than rounding.
    """
    spec, weights = read_spec(path), load_weights(path)
    outputs = _Outputs(build(spec, weights).eval())
    graph = _trace(outputs)
    metadata = {
        export_file.SCHEMA_KEY: export_file.EXPORT_SCHEMA,
        export_file.HASH_KEY: weights_hash(path),
        export_file.VERSION_KEY: __version__,
    }
    _detach_weights(graph, set(weights))
    _strip(graph)
    for key, value in metadata.items():
        graph.metadata_props.add(key=key, value=value)
    content: bytes = graph.SerializeToString()
    _require_agreement(path, content, outputs, weights)
    return content


def _trace(outputs: _Outputs) -> Any:
    """The ONNX ModelProto of `outputs`, its weights still inside, one initialiser per named weight."""
    spec = outputs.network.spec
    example = torch.zeros(2, len(spec.inputs.bands), spec.window, spec.window)
    names = [export_file.ATTENTION, export_file.TOKENS, export_file.QUERIES_KEYS]
    names += [export_file.LOGITS] if outputs.network.head is not None else []
    with _quiet(), torch.no_grad():
        try:
            program = torch.onnx.export(
                outputs,
                (example,),
                dynamo=True,
                optimize=False,  # optimising folds transposed copies of the weights into the graph
                input_names=[export_file.WINDOWS],
                output_names=names,
                dynamic_shapes={"windows": {0: torch.export.Dim("batch", min=1)}},
                verbose=False,
            )
        except ImportError as error:
            raise DependencyMissing(
                f"Exporting a model needs the package {error.name}.", "Install the extra `sardino[torch]`."
            ) from error
    return cast("torch.onnx.ONNXProgram", program).model_proto


def _detach_weights(graph: Any, weights: set[str]) -> None:
    """Turn each named weight into an external initialiser under its name in the model file, without its values."""
    import onnx

    renamed = {}
    for tensor in graph.graph.initializer:
        name = tensor.name.removeprefix(_PREFIX)
        if name in weights:
            renamed[tensor.name] = name
            tensor.name = name
            tensor.ClearField("raw_data")
            tensor.data_location = onnx.TensorProto.EXTERNAL
            tensor.external_data.add(key="location", value="supplied-at-load")
    for node in graph.graph.node:
        for index, name in enumerate(node.input):
            node.input[index] = renamed.get(name, name)


def _strip(graph: Any) -> None:
    """Remove what the exporter notes for its own debugging: source locations, which are of no use elsewhere."""
    del graph.metadata_props[:], graph.functions[:], graph.graph.value_info[:], graph.graph.metadata_props[:]
    graph.graph.doc_string = graph.doc_string = ""
    places = [*graph.graph.node, *graph.graph.input, *graph.graph.output, *graph.graph.initializer]
    for place in places:
        del place.metadata_props[:]
        place.doc_string = ""


def _require_agreement(path: Path, content: bytes, outputs: _Outputs, weights: dict[str, np.ndarray]) -> None:
    """Run both on two windows of noise; raise ModelInvalid where they disagree.

    A deep network with sharp attention magnifies rounding, in torch as in any other runtime: what is allowed is
    `TOLERANCE`, or ten times what float32 itself costs torch against float64, whichever is more.
    """
    from sardino_core.models.predictor_onnx import open_session

    spec = outputs.network.spec
    shape = (2, len(spec.inputs.bands), spec.window, spec.window)
    windows = np.random.default_rng(0).standard_normal(shape, dtype=np.float32)
    session = open_session(path.name, content, weights)
    names = [item.name for item in session.get_outputs()]
    with torch.inference_mode():
        single = outputs(torch.from_numpy(windows))
        exact = copy.deepcopy(outputs).double()(torch.from_numpy(windows).double())
    for name, found in zip(names, session.run(names, {export_file.WINDOWS: windows}), strict=True):
        difference = float(np.abs(found - single[name].numpy()).max())
        allowed = max(TOLERANCE, 10 * float((single[name] - exact[name]).abs().max()))
        if not difference <= allowed:
            raise ModelInvalid(
                f"The export of {path.name} differs from the model by {difference:g} in `{name}`; "
                f"allowed is {allowed:g}.",
                "Run the model with torch, and report this.",
            )


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep the exporter's progress and notices off stdout, which belongs to the protocol."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        logger.setLevel(logging.ERROR)
        try:
            yield
        finally:
            logger.setLevel(level)

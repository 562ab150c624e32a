"""NAME.onnx beside NAME.safetensors: the graph without the weights, bound to its model by hash. No torch, no onnx here.

The graph names every weight as an external initialiser and holds none; the predictor supplies them from the model file.
So there is one copy of the weights, and the pair can be renamed and moved freely. The hash is in the graph's metadata
(ModelProto.metadata_props of the ONNX format), which is read here straight from the protobuf wire format, before
ONNX Runtime sees the file.
"""

from __future__ import annotations

from pathlib import Path

from sardino_core.contract.errors import ModelInvalid
from sardino_core.models.model_file import weights_hash

EXPORT_SCHEMA = "2"  # raised when inputs, outputs or the way to the weights change
SCHEMA_KEY, HASH_KEY, VERSION_KEY = "sardino_export_schema", "sardino_weights_sha256", "sardino_version"
WINDOWS, LOGITS, ATTENTION, TOKENS = "windows", "logits", "attention", "tokens"  # the graph's input and outputs
QUERIES_KEYS = "queries_keys"
MAX_GRAPH_BYTES = 64 * 1024 * 1024  # a ViT-Large's is 3 MB

_METADATA_PROPS = 14  # field of ModelProto; its entries have key = 1, value = 2
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5


def export_path(model: Path) -> Path:
    """Where the export of `model` lies."""
    return model.with_suffix(".onnx")


def problem_with_export(model: Path, export: Path | None = None) -> str | None:
    """Why the export of `model` (the one beside it) cannot be used, as half a sentence; None when it can."""
    path = export or export_path(model)
    if not path.is_file():
        return f"{path.name} is not beside it"
    try:
        metadata = read_metadata(path)
    except ModelInvalid:
        return f"{path.name} is damaged"
    if metadata.get(SCHEMA_KEY) != EXPORT_SCHEMA:
        return f"{path.name} was made by another version ({metadata.get(VERSION_KEY, 'unknown')})"
    if metadata.get(HASH_KEY) != weights_hash(model):
        return f"{path.name} belongs to other weights"
    return None


def read_metadata(path: Path) -> dict[str, str]:
    """The metadata of an ONNX file. Raises ModelInvalid when it is no such file."""
    try:
        if path.stat().st_size > MAX_GRAPH_BYTES:
            raise ValueError("too large")
        data = path.read_bytes()
        entries = [dict(_fields(value)) for field, value in _fields(data) if field == _METADATA_PROPS]
        return {entry[1].decode("utf-8"): entry.get(2, b"").decode("utf-8") for entry in entries}
    except (OSError, ValueError, IndexError, KeyError) as error:
        raise ModelInvalid(f"{path.name} is not a whole ONNX file ({error}).", "Export the model again.") from error


def _fields(data: bytes) -> list[tuple[int, bytes]]:
    """The length-delimited fields of a protobuf message, in order; numbers are skipped."""
    found, position = [], 0
    while position < len(data):
        tag, position = _varint(data, position)
        kind = tag & 7
        if kind == _VARINT:
            _, position = _varint(data, position)
        elif kind == _BYTES:
            length, position = _varint(data, position)
            found.append((tag >> 3, data[position : position + length]))
            position += length
        elif kind in (_FIXED32, _FIXED64):
            position += 4 if kind == _FIXED32 else 8
        else:
            raise ValueError(f"unknown wire type {kind}")
    if position != len(data):
        raise ValueError("cut short")
    return found


def _varint(data: bytes, position: int) -> tuple[int, int]:
    value, shift = 0, 0
    while True:
        byte = data[position]
        value |= (byte & 0x7F) << shift
        position, shift = position + 1, shift + 7
        if byte < 0x80:
            return value, position
        if shift > 63:
            raise ValueError("a number is too long")

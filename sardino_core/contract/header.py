"""The header of a safetensors file, read without trust: it may be hostile, cut short, or something else.

Layout (safetensors format, Hugging Face): 8 bytes little-endian header length, the header as JSON, then the tensors.
Everything is checked against the file's real size before anything is read by it. Not for what the JSON says about the
model: see `ModelSpec.parse`.
"""

from __future__ import annotations

import json
import math
import os
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from sardino_core.contract.errors import ModelInvalid

MAX_HEADER_BYTES = 4 * 1024 * 1024  # a ViT-Large's is 50 kB
ITEM_BYTES = {"F16": 2, "F32": 4}  # the types that this product writes

_STRANGERS = (  # how other files begin, what they are, and the way on
    (b"PK\x03\x04", "a PyTorch pickle or another zip archive", "Convert it with `sardino model import`."),
    (b"\x80", "a Python pickle", "Convert it with `sardino model import`."),
    (b"version https://git-lfs", "a Git LFS pointer", "Fetch the real file with `git lfs pull`."),
    (b"\x08", "an ONNX graph", "Name the .safetensors file beside it."),
    (b"II*\x00", "a TIFF image", "Was the raster given as the model?"),
    (b"II+\x00", "a TIFF image", "Was the raster given as the model?"),
    (b"MM\x00*", "a TIFF image", "Was the raster given as the model?"),
    (b"\x89HDF", "an HDF5 file", "Choose a .safetensors model."),
)


@dataclass(frozen=True)
class TensorEntry:
    """One tensor: its type (F16 or F32), shape, and where its bytes begin in the file."""

    dtype: str
    shape: tuple[int, ...]
    offset: int  # bytes from the beginning of the file

    @property
    def size_bytes(self) -> int:
        """Bytes that the shape calls for."""
        return math.prod(self.shape) * ITEM_BYTES[self.dtype]


@dataclass(frozen=True)
class Header:
    """Metadata (text by key) and the tensors by name."""

    metadata: dict[str, str]
    tensors: dict[str, TensorEntry]


def read_header(path: Path) -> Header:
    """Read and validate the header of `path`. Raises ModelInvalid, in one line, for anything that is not whole."""
    try:
        with open(path, "rb") as file:
            return _parse(path.name, file)
    except OSError as error:
        raise ModelInvalid(f"The model file {path} cannot be read ({error.strerror}).") from error


def _parse(name: str, file: BinaryIO) -> Header:
    size = os.fstat(file.fileno()).st_size
    start = file.read(32)
    if size < 8:
        raise _invalid(name, f"it has {size} bytes")
    (length,) = struct.unpack("<Q", start[:8])
    if not (2 <= length <= min(MAX_HEADER_BYTES, size - 8) and start[8:9] == b"{"):
        raise _stranger(name, start, length, size)
    file.seek(8)
    try:
        body = json.loads(file.read(length).decode("utf-8"))
    except (ValueError, RecursionError):
        raise _invalid(name, "its header is not JSON") from None
    if not isinstance(body, dict):
        raise _invalid(name, "its header is not an object")
    metadata = body.pop("__metadata__", {})
    if not isinstance(metadata, dict) or not all(isinstance(value, str) for value in metadata.values()):
        raise _invalid(name, "its metadata are not text")
    return Header(metadata, _entries(name, body, 8 + length, size))


def _entries(name: str, body: dict[str, Any], data_start: int, size: int) -> dict[str, TensorEntry]:
    """The tensors, which must lie in the file one after the other without overlap, gap or remainder."""
    spans: list[tuple[int, int]] = []
    entries: dict[str, TensorEntry] = {}
    for key, item in body.items():
        entries[key], span = _entry(name, key, item, data_start)
        spans.append(span)
    end = data_start
    for first, last in sorted(spans):
        if first != end:
            raise _invalid(name, "its tensors overlap or leave gaps")
        end = last
    if end > size:
        raise _invalid(name, f"it is cut short: {size} of {end} bytes are there")
    if end < size:
        raise _invalid(name, f"{size - end} bytes follow its last tensor")
    return entries


def _entry(name: str, key: str, item: Any, data_start: int) -> tuple[TensorEntry, tuple[int, int]]:
    if not isinstance(item, dict) or set(item) != {"dtype", "shape", "data_offsets"}:
        raise _invalid(name, f"its tensor {key[:80]} is not described by dtype, shape and data_offsets")
    dtype, shape, offsets = item["dtype"], item["shape"], item["data_offsets"]
    if not isinstance(dtype, str) or dtype not in ITEM_BYTES:
        raise _invalid(name, f"its tensor {key[:80]} has the type {str(dtype)[:20]}; allowed: {', '.join(ITEM_BYTES)}")
    if not _whole_numbers(shape) or len(shape) > 8 or not _whole_numbers(offsets) or len(offsets) != 2:
        raise _invalid(name, f"its tensor {key[:80]} has an impossible shape or offset")
    entry = TensorEntry(dtype, tuple(shape), data_start + offsets[0])
    if entry.size_bytes != offsets[1] - offsets[0]:
        raise _invalid(name, f"its tensor {key[:80]} does not have the bytes that its shape calls for")
    return entry, (entry.offset, data_start + offsets[1])


def _whole_numbers(values: Any) -> bool:
    return isinstance(values, list) and all(type(value) is int and 0 <= value < 2**48 for value in values)


def _stranger(name: str, start: bytes, length: int, size: int) -> ModelInvalid:
    for magic, what, way_on in _STRANGERS:
        if start.startswith(magic):
            return ModelInvalid(f"{name} is {what}, not a model file (.safetensors).", way_on)
    if start[8:9] == b"{" and length > size - 8:
        return _invalid(name, f"its header claims {length} bytes and {size - 8} are there")
    return _invalid(name, f"it does not begin with a header of at most {MAX_HEADER_BYTES} bytes")


def _invalid(name: str, reason: str) -> ModelInvalid:
    return ModelInvalid(
        f"{name} is not a whole model file (.safetensors): {reason}.", "Copy or download it again, or choose another."
    )

"""The model file, NAME.safetensors: a `ModelSpec` in the header under the key `sardino`, then the weights. No pickle.

Needs numpy and safetensors alone. Not for other projects' checkpoints, nor for building networks.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

import numpy as np

from sardino_core.contract.errors import ModelInvalid, OutputUnwritable
from sardino_core.contract.header import read_header
from sardino_core.contract.leftovers import locked_folder, remove_leftovers
from sardino_core.contract.model_reader import SPEC_KEY, read_spec, resolve_model
from sardino_core.contract.model_spec import ModelSpec

__all__ = [
    "file_identity",
    "load_weights",
    "read_spec",
    "resolve_model",
    "save_model",
    "weights_hash",
    "write_aside",
]

_NUMPY_TYPES: dict[str, np.dtype[Any]] = {"F16": np.dtype("<f2"), "F32": np.dtype("<f4")}


def save_model(
    path: str | Path,
    spec: ModelSpec,
    weights: Mapping[str, Any],
    dtype: Literal["float16", "float32"] = "float16",
) -> Path:
    """Write the model file, whole or not at all; arrays or torch tensors in, stored as `dtype`.

    Raises ModelInvalid for values that are not finite, or too large for float16, rather than writing them.
    """
    from safetensors.numpy import save

    arrays = {name: _stored(name, value, np.dtype(dtype)) for name, value in weights.items()}
    write_aside(Path(path), save(arrays, metadata={SPEC_KEY: spec.to_json()}))
    return Path(path)


def load_weights(path: str | Path) -> dict[str, np.ndarray]:
    """All weights by name, as float32 whatever they are stored as. Raises ModelInvalid when one is not finite."""
    header = read_header(Path(path))
    weights = {}
    with open(path, "rb") as file:
        for name, entry in header.tensors.items():
            file.seek(entry.offset)
            stored = np.frombuffer(file.read(entry.size_bytes), _NUMPY_TYPES[entry.dtype])
            weights[name] = stored.astype(np.float32).reshape(entry.shape)
            if not np.isfinite(weights[name]).all():
                raise ModelInvalid(f"The weight {name} of {Path(path).name} is not finite.", "Train it again.")
    return weights


def weights_hash(path: str | Path) -> str:
    """SHA-256 of the whole file, as hexadecimal text: what an export is bound to."""
    return _hash(Path(path), file_identity(path))


def file_identity(path: str | Path) -> tuple[int, int, int]:
    """What changes when a file is replaced or written to: by it a process knows again what it has read."""
    found = Path(path).stat()
    return found.st_ino, found.st_mtime_ns, found.st_size


@lru_cache(maxsize=8)
def _hash(path: Path, identity: tuple[int, int, int]) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_aside(path: Path, content: bytes) -> None:
    """Write `content` into a hidden folder and rename it, whoever else writes the same file; leftovers are removed."""
    if not path.parent.is_dir():
        raise OutputUnwritable(f"The output folder {path.parent} does not exist.", "Create it, or choose another.")
    try:
        remove_leftovers(path.parent)
        folder, lock = locked_folder(path.parent)
        try:
            (folder / path.name).write_bytes(content)
            (folder / path.name).replace(path)
        finally:
            lock.close()
            shutil.rmtree(folder, ignore_errors=True)
    except OSError as error:
        raise OutputUnwritable(f"{path} cannot be written ({error.strerror}).", "Choose another place.") from error


def _stored(name: str, value: Any, dtype: np.dtype[Any]) -> np.ndarray:
    tensor = value.detach().cpu().float().numpy() if hasattr(value, "detach") else value
    with np.errstate(over="ignore"):  # an overflow becomes infinite, and is refused below
        array = np.ascontiguousarray(tensor, dtype=dtype)
    if not np.isfinite(array).all():
        largest = float(np.abs(np.asarray(tensor, dtype=np.float64)).max())
        raise ModelInvalid(f"The weight {name} cannot be stored as {dtype}: its largest magnitude is {largest:g}.")
    return array

"""Weights out of another project's checkpoint, read without trust: tensors by name, and nothing from the file is run.

Reads what `torch.save` wrote (with the unpickler that knows tensors and plain values alone) and safetensors files. Not
for this product's own model files, nor for what the names mean: see `model_file` and `weights_import`.
"""

from __future__ import annotations

import pickle  # nosec B403
import re
import struct
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from sardino_core.contract.errors import InputMissing, ModelInvalid
from sardino_core.contract.model_reader import SPEC_KEY

# Where the weights are in a checkpoint, in order of preference; a teacher is what DINO's authors evaluate.
CONTAINERS = ("teacher", "student", "model_ema", "state_dict", "model")
_WRAPPED = re.compile(r"^(_orig_mod\.|module\.|backbone\.)+")  # torch.compile, data-parallel training, DINO
_MAX_NESTING = 4
_CHUNKED_BLOCK = re.compile(r"^blocks\.\d+\.(?=\d+\.)")  # DINOv2's training numbers blocks.CHUNK.BLOCK
_REFUSED_NAME = re.compile(r"GLOBAL (\S+)")

# What training runs save beside the weights: their command line, and numbers and random states of numpy. Each name is
# read as an object that ignores what it is given, so that the file's own classes and functions stay untouched.
_READ_AS_NOTHING = (
    "argparse.Namespace",
    "numpy.core.multiarray._reconstruct",
    "numpy._core.multiarray._reconstruct",
    "numpy.core.multiarray.scalar",
    "numpy._core.multiarray.scalar",
    "numpy.dtype",
    "numpy.ndarray",
    "pathlib.PosixPath",
    "pathlib.WindowsPath",
)


@dataclass(frozen=True)
class Checkpoint:
    """Dense weights by their bare names, as the file stores them; shapes and values are not yet checked."""

    name: str  # the file's
    weights: dict[str, Tensor]
    branch: str = ""  # teacher or student, in a full DINO checkpoint


class _Nothing:
    """Stands for an object that is not wanted; takes any arguments and any state."""

    def __new__(cls, *arguments: object, **named: object) -> _Nothing:
        return super().__new__(cls)

    def __init__(self, *arguments: object, **named: object) -> None:
        pass

    def __setstate__(self, state: object) -> None:
        pass


def read_checkpoint(path: str | Path) -> Checkpoint:
    """The weights in `path`. Raises InputMissing, or ModelInvalid for whatever is no checkpoint or wants code run."""
    path = Path(path).expanduser()
    if not path.is_file():
        what = "is a folder" if path.is_dir() else "does not exist"
        raise InputMissing(f"The checkpoint {path} {what}.", "Name a .pth, .pt or .safetensors file.")
    content = _read_safetensors(path) if _is_safetensors(path) else _read_pickle(path)
    branch, mapping = _unwrap(content)
    weights: dict[str, Tensor] = {}
    for key, value in _dense_tensors(path.name, mapping):
        name = bare_name(key)
        if name in weights:
            raise ModelInvalid(f"{path.name} holds two weights that are called {name} without their prefixes.")
        weights[name] = value
    if not weights:
        raise ModelInvalid(f"{path.name} holds no weights.", "Name a checkpoint: a .pth, .pt or .safetensors file.")
    return Checkpoint(path.name, weights, branch)


def bare_name(key: str) -> str:
    """`module.backbone.blocks.0.norm1.bias` without what wrappers put in front of it; the rest is left as it is."""
    return _CHUNKED_BLOCK.sub("blocks.", _WRAPPED.sub("", key))


def _is_safetensors(path: Path) -> bool:
    with open(path, "rb") as file:
        start = file.read(9)
    return start[8:] == b"{" and struct.unpack("<Q", start[:8])[0] <= path.stat().st_size


def _read_safetensors(path: Path) -> dict[str, Tensor]:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as file:
            if SPEC_KEY in (file.metadata() or {}):
                raise ModelInvalid(f"{path.name} is a model file of this product already.", "Use it as it is.")
            return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  # it is no mapping
    except (SafetensorError, OSError, ValueError) as error:
        raise ModelInvalid(f"{path.name} is not a whole safetensors file ({error}).", "Download it again.") from error


def _read_pickle(path: Path) -> Any:
    inert: list[Any] = [_stand_in(name) for name in _READ_AS_NOTHING]
    try:
        with torch.serialization.safe_globals(inert), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return torch.load(path, map_location="cpu", weights_only=True)
    except MemoryError:
        raise
    except pickle.UnpicklingError as error:
        raise _refusal(path, error) from error
    except Exception as error:  # whatever torch makes of bytes that are no checkpoint
        raise _no_checkpoint(path) from error


def _stand_in(name: str) -> type[_Nothing]:
    module, _, own = name.rpartition(".")
    return type(own, (_Nothing,), {"__module__": module, "__qualname__": own})


def _refusal(path: Path, error: Exception) -> ModelInvalid:
    wanted = _REFUSED_NAME.search(str(error))
    if wanted is None:
        return _no_checkpoint(path)
    return ModelInvalid(
        f"{path.name} was not read: it calls for `{wanted[1][:80]}`, and loading it could run foreign code; allowed "
        "are tensors, plain values and a training run's arguments.",
        "If you trust its source, save its state_dict alone with torch.save.",
    )


def _no_checkpoint(path: Path) -> ModelInvalid:
    return ModelInvalid(
        f"{path.name} is not a whole checkpoint that torch can read; allowed is what torch.save wrote, or safetensors.",
        "Check the file, or download it again.",
    )


def _unwrap(content: Any) -> tuple[str, Any]:
    """The innermost mapping that holds the weights, and whether a teacher or student was chosen on the way."""
    branch = ""
    for _ in range(_MAX_NESTING):
        keys = [key for key in CONTAINERS if isinstance(content, Mapping) and isinstance(content.get(key), Mapping)]
        if not keys:
            break
        branch = keys[0] if keys[0] in ("teacher", "student") else branch
        content = content[keys[0]]
    return branch, content


def _dense_tensors(name: str, mapping: Any) -> Iterator[tuple[str, Tensor]]:
    for key, value in mapping.items() if isinstance(mapping, Mapping) else ():
        if not isinstance(key, str) or not isinstance(value, Tensor):
            continue
        if value.layout != torch.strided or value.is_quantized or value.is_complex() or value.is_meta:
            raise ModelInvalid(f"The weight {key[:80]} of {name} is not a plain tensor of numbers.")
        yield key, value.detach()

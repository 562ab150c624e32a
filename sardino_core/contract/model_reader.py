"""Which file a model's name stands for, and what the file says about itself. Reads no weights."""

from __future__ import annotations

from pathlib import Path
from typing import Union

from sardino_core.contract.errors import ModelInvalid
from sardino_core.contract.header import read_header
from sardino_core.contract.model_spec import ModelSpec

SPEC_KEY = "sardino"  # of the header's metadata
STARTER = "starter"
_STARTER_FILE = Path(__file__).resolve().parent.parent / "starter" / "starter.safetensors"


def resolve_model(name_or_path: Union[str, Path]) -> Path:
    """The file behind what a user calls a model: `starter`, or a path. Raises ModelInvalid when there is none."""
    path = _STARTER_FILE if str(name_or_path) == STARTER else Path(name_or_path).expanduser()
    if path.is_file():
        return path
    remedy = "Install sardino again: its package holds the file." if str(name_or_path) == STARTER else "Check the path."
    what = "is a folder" if path.is_dir() else "does not exist"
    raise ModelInvalid(
        f"The model {name_or_path} {what}; allowed are `{STARTER}` and the path of a .safetensors model file.",
        remedy,
    )


def read_spec(path: Union[str, Path]) -> ModelSpec:
    """What the model says about itself; reads the header alone. Raises ModelInvalid for anything else."""
    header = read_header(Path(path))
    if SPEC_KEY not in header.metadata:
        raise ModelInvalid(
            f"{Path(path).name} holds weights but no description under the key `{SPEC_KEY}`.",
            "Convert it with `sardino model import`.",
        )
    return ModelSpec.parse(header.metadata[SPEC_KEY])

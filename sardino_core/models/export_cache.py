"""The graph that ONNX Runtime runs for a model: an export beside it, one in the user's cache, or one made now by torch.

An export counts when the hash in it is the model file's. One that is missing or stale is made where torch is installed,
and kept beside the model, or in the cache where that folder cannot be written to, or holds somebody else's NAME.onnx.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterator
from pathlib import Path

from sardino_core.contract.errors import DependencyMissing, ModelInvalid, OutputUnwritable
from sardino_core.models.devices import has_torch
from sardino_core.models.export_file import SCHEMA_KEY, export_path, problem_with_export, read_metadata
from sardino_core.models.model_file import weights_hash, write_aside

_log = logging.getLogger(__name__)


class ExportMissing(DependencyMissing):
    """There is no export that belongs to the model, and none can be made here."""


def usable_graph(model: Path) -> bytes:
    """The export of `model`, made if need be. Raises ExportMissing with the way to get one."""
    for path in _places(model):
        if problem_with_export(model, path) is None:
            return path.read_bytes()
    problem = problem_with_export(model)
    if not has_torch():
        raise ExportMissing(
            f"{model.name} cannot run without torch: {problem}.",
            f"Where the extra `sardino[torch]` is installed, `sardino model export {model.name}` makes it: "
            "put it beside the model, or install the extra here.",
        )
    _log.warning("%s is exported for ONNX Runtime, once (%s).", model.name, problem)
    return _make(model)


def cache_folder() -> Path:
    """Of the user, for exports that cannot lie beside their model."""
    if sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Caches"
    else:
        base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return base / "sardino" / "exports"


def _places(model: Path) -> Iterator[Path]:
    """Where the export may lie, best first."""
    yield export_path(model)
    yield cache_folder() / f"{weights_hash(model)}.onnx"


def _make(model: Path) -> bytes:
    try:
        from sardino_core.models.export import exported

        content = exported(model)
    except Exception as error:  # torch's exporter raises anything
        reason = str(error).splitlines()[0][:160] if str(error) else type(error).__name__
        raise ExportMissing(f"{model.name} cannot be exported for ONNX Runtime ({reason}).") from error
    for path in _places(model):
        try:
            if _is_ours(path):
                path.parent.mkdir(parents=True, exist_ok=True)
                write_aside(path, content)
                break
        except (OSError, OutputUnwritable):
            continue  # what cannot be kept is made again by the next
    return content


def _is_ours(path: Path) -> bool:
    """Whether nothing is there, or an export that may be replaced."""
    try:
        return not path.exists() or SCHEMA_KEY in read_metadata(path)
    except ModelInvalid:
        return False

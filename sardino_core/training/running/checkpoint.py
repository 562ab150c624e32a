"""Checkpoints that survive a kill: written aside, flushed, renamed; tensors and plain values alone, no pickled code.

A checkpoint carries the settings that it belongs to, so that resuming with others is refused by name.
"""

from __future__ import annotations

import json
import os
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import torch

from sardino_core.contract.errors import InputMissing, OutputUnwritable, SettingInvalid

_KIND = "sardino checkpoint"
_VERSION = 1


def save_checkpoint(path: Path, state: Mapping[str, Any], settings: Mapping[str, Any]) -> None:
    """Write `state` with the settings (plain JSON values); the previous checkpoint stays until this one is on disk.

    Raises OutputUnwritable when the disk is full or read-only.
    """
    aside = path.with_name(f".sardino-part-{path.name}")
    body = {"kind": _KIND, "version": _VERSION, "settings": json.dumps(settings), "state": dict(state)}
    try:
        try:
            with open(aside, "wb") as file:
                torch.save(body, file)
                file.flush()
                os.fsync(file.fileno())
            os.replace(aside, path)
        finally:
            with suppress(OSError):
                aside.unlink(missing_ok=True)
    except (OSError, RuntimeError) as error:
        raise OutputUnwritable(
            f"{path} cannot be written ({error}); the previous checkpoint is whole.", "Free some space, then resume."
        ) from error


def load_checkpoint(path: Path, settings: Mapping[str, Any]) -> dict[str, Any]:
    """The state of a checkpoint that was written with these settings, on the CPU.

    Raises InputMissing when there is none, SettingInvalid when it is damaged, foreign or of other settings.
    """
    if not path.is_file():
        raise InputMissing(f"{path} does not exist: there is nothing to resume.", "Start without --resume.")
    body = _read(path)
    if not isinstance(body, dict) or body.get("kind") != _KIND or body.get("version") != _VERSION:
        raise SettingInvalid(f"{path} is no checkpoint of this program.", "Choose another --out, or start anew.")
    with restoring(path):
        before, state, step = json.loads(body["settings"]), dict(body["state"]), int(body["state"]["step"])
        if step < 0:
            raise ValueError(step)
    changes = differences(before, settings)
    if changes:
        more = f" and {len(changes) - 3} more" if len(changes) > 3 else ""
        raise SettingInvalid(
            f"{path} was written with other settings: {'; '.join(changes[:3])}{more}.",
            "Resume with the settings in config.yaml beside it, or choose another --out.",
        )
    return state


@contextmanager
def restoring(path: Path) -> Iterator[None]:
    """Raises SettingInvalid when what the checkpoint holds does not fit the state that takes it."""
    try:
        yield
    except torch.OutOfMemoryError:
        raise
    except (KeyError, IndexError, AttributeError, TypeError, ValueError, RuntimeError) as error:
        raise SettingInvalid(
            f"{path} is damaged: it lacks what this run needs ({type(error).__name__}).",
            "Remove it and start again without --resume.",
        ) from error


def differences(before: Any, after: Any, where: str = "") -> list[str]:
    """What differs between two trees of plain values, as `optimiser.lr was 0.1 and is 0.2`."""
    before, after = _plain(before), _plain(after)
    inner: list[tuple[str, Any, Any]] = []
    if isinstance(before, dict) and isinstance(after, dict):
        names = dict.fromkeys([*before, *after])
        inner = [(f"{where}.{name}" if where else str(name), before.get(name), after.get(name)) for name in names]
    elif isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        inner = [(f"{where}[{index}]", *pair) for index, pair in enumerate(zip(before, after, strict=True))]
    elif before != after:
        return [f"{where} was {_shown(before)} and is {_shown(after)}"]
    return [text for place, first, second in inner for text in differences(first, second, place)]


def _read(path: Path) -> Any:
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise SettingInvalid(f"{path} cannot be read ({error.strerror}).", "Check the file.") from error
    except Exception as error:  # torch.load raises half a dozen kinds, none of them part of its contract
        what = "damaged" if zipfile.is_zipfile(path) else "damaged or no checkpoint"
        raise SettingInvalid(
            f"{path} is {what} ({type(error).__name__}).", "Remove it and start again without --resume."
        ) from error


def _plain(value: Any) -> Any:
    return json.loads(json.dumps(value))


def _shown(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 60 else text[:57] + "..."

"""The worker's Python environment: which interpreter is used, whether the plugin's own is there, what works in it.

Making one is for `environment_maker`. A virtual environment cannot be moved, so it is built where it stays; it counts
as there only when the record in it says `ready`, which is written last, after it has been tried out.
"""

from __future__ import annotations

import json
import os
import shutil
from collections import deque
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from sar_dino_qgis.worker.child import core_command
from sar_dino_qgis.worker.commands import follow
from sar_dino_qgis.worker.endings import last_line
from sar_dino_qgis.worker.requirements import KINDS
from sardino_core.contract.errors import EnvironmentFailed, EnvironmentMissing, SardinoError
from sardino_core.contract.findings import Finding
from sardino_core.contract.listener import Listener
from sardino_core.contract.messages import Result, decode
from sardino_core.contract.serial import from_dict, to_dict

VARIABLE = "SARDINO_PYTHON"
_RECORD = "sardino-environment.json"
_KEPT = 1000  # lines of a check: something else may talk for ever
_CHECK_S = 180.0  # torch's first import, from a cold disk


@dataclass(frozen=True)
class Record:
    """What an environment's own file says about it."""

    ready: bool
    kind: str  # of requirements.KINDS
    python: str  # that it was made with
    requirements: tuple[str, ...]
    found: dict[str, str]  # what the check said when it was made: versions by name

    @property
    def outdated(self) -> bool:
        """Whether the plugin has since come to need other packages: `repair` brings them."""
        return self.kind not in KINDS or self.requirements != KINDS[self.kind].requirements


def worker_python(named: str, chosen: str, folder: Path) -> str:
    """The Python for the worker: the one `named` by the variable SARDINO_PYTHON, else the one `chosen` in the plugin's
    setting, else that of the environment in `folder`.

    Raises EnvironmentMissing where there is none, or where the one that was named or chosen does not exist.
    """
    for source, python in ((f"the environment variable {VARIABLE}", named), ("the plugin's setting", chosen)):
        if python and shutil.which(python) is None:
            raise EnvironmentMissing(f"There is no Python {python}, which {source} names.", "Correct it, or clear it.")
        if python:
            a_path = Path(python).name != python
            return str(Path(python).absolute()) if a_path else python  # a worker runs in another folder
    if not is_ready(folder):
        raise EnvironmentMissing(
            "The Python environment for the work has not been made yet.",
            "Make it in the menu Plugins > SAR land cover (DINO) > Environment, or name an existing Python there "
            f"or in {VARIABLE}.",
        )
    return str(python_of(folder))


def python_of(folder: Path) -> Path:
    """Where the interpreter of the environment in `folder` is."""
    return folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def is_ready(folder: Path) -> bool:
    """Whether a complete environment is there."""
    record = read_record(folder)
    return record is not None and record.ready and python_of(folder).exists()


def read_record(folder: Path) -> Record | None:
    """What is known of the environment in `folder`; None where there is none of the plugin's."""
    try:
        return from_dict(Record, json.loads((folder / _RECORD).read_text(encoding="utf-8")))
    except (OSError, ValueError, SardinoError):
        return None


def write_record(folder: Path, record: Record) -> None:
    """Put the record into the folder, whole or not at all. Raises OSError."""
    aside = folder / f"{_RECORD}.part"
    aside.write_text(json.dumps(to_dict(record), indent=1), encoding="utf-8")
    os.replace(aside, folder / _RECORD)


def remove(folder: Path) -> None:
    """Remove the environment, complete or not; nothing happens where there is none.

    Raises EnvironmentFailed for a folder that holds anything else, and where a file is in use.
    """
    record = read_record(folder)
    if not folder.exists():
        return
    if record is None and not _is_empty(folder):
        raise EnvironmentFailed(f"{folder} is no environment of this plugin.", "Choose an empty or a new folder.")
    try:
        if record is not None:
            write_record(folder, Record(False, record.kind, record.python, record.requirements, {}))
        for entry in folder.iterdir():
            if entry.is_dir() and not entry.is_symlink():
                shutil.rmtree(entry)
            elif entry.name != _RECORD:  # it marks the folder as ours until nothing else is left
                entry.unlink()
        (folder / _RECORD).unlink(missing_ok=True)
        if not folder.is_symlink():  # a link leads to a disk with more room, and goes on doing so
            folder.rmdir()
    except OSError as error:
        raise EnvironmentFailed(
            f"{error.filename or folder} cannot be removed ({error.strerror}).",
            "A worker may still use it: close QGIS, and try again.",
        ) from error


def check(python: str, listener: Listener | None = None) -> list[Finding]:
    """What `sardino check` of the plugin's core finds with that interpreter: what works, the remedy for what does not.

    Takes seconds. Raises EnvironmentMissing and EnvironmentFailed where it cannot even be asked, and Cancelled.
    """
    lines: deque[str] = deque(maxlen=_KEPT)
    status = follow(core_command(python, "check", "--json"), listener or Listener(), lines.append, timeout_s=_CHECK_S)
    for line in reversed(lines):
        with suppress(SardinoError):
            message = decode(line)
            if isinstance(message, Result):
                return [from_dict(Finding, {"name": name, **value}) for name, value in message.values.items()]
    what = f"ended with exit code {status}" if status is not None else f"did not answer within {_CHECK_S:.0f} s"
    said = last_line("\n".join(lines))
    raise EnvironmentFailed(
        f"The check by the Python {python} {what}{': ' + said if said else ''}.",
        "Choose Python 3.11 or newer, or repair the environment.",
    )


def _is_empty(folder: Path) -> bool:
    return folder.is_dir() and not any(folder.iterdir())

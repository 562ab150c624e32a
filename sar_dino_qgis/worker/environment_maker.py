"""Making the worker's Python environment: a virtual environment of its own, never QGIS's Python.

Nothing here asks for consent: `describe` says what `create` will do, and the caller gets the user's agreement. Blocks
for minutes: call it from a thread.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from sar_dino_qgis.worker.clean_environ import clean_environ
from sar_dino_qgis.worker.commands import follow
from sar_dino_qgis.worker.environment import Record, check, python_of, read_record, remove, write_record
from sar_dino_qgis.worker.requirements import KINDS, Kind
from sardino_core.contract.errors import EnvironmentFailed, EnvironmentMissing, SardinoError, SettingInvalid
from sardino_core.contract.findings import Finding
from sardino_core.contract.leftovers import try_lock
from sardino_core.contract.listener import Listener

_ROOM = 1.2  # times what it takes on disk in the end
_DOWNLOAD = re.compile(r"Downloading (?P<file>\S+) \((?P<size>[\d.]+) (?P<unit>kB|MB|GB)")
_MB = {"kB": 1e-3, "MB": 1.0, "GB": 1e3}
_MISDIRECTING = {"PIP_TARGET", "PIP_PREFIX", "PIP_ROOT"}


@dataclass(frozen=True)
class Plan:
    """An environment to be made."""

    folder: Path  # where it stays; new, empty, or an environment of this plugin, which is replaced
    python: str  # Python 3.11 or newer, see `pythons`
    kind: str = "light"  # of requirements.KINDS
    wheels: str = ""  # a folder of wheels instead of the package index
    proxy: str = ""  # a URL; empty: as the user's environment variables and pip's configuration have it

    def __post_init__(self) -> None:
        """Raises SettingInvalid."""
        if self.kind not in KINDS:
            raise SettingInvalid(f"The environment {self.kind!r} is unknown; known are {', '.join(KINDS)}.")
        if self.wheels and not Path(self.wheels).is_dir():
            raise SettingInvalid(f"The folder of wheels {self.wheels} does not exist.", "Check the path.")


def describe(plan: Plan) -> list[str]:
    """What `create` would do, for the user to agree to: what, with what, from where, where to, how big."""
    kind = KINDS[plan.kind]
    source = f"the folder {plan.wheels}" if plan.wheels else f"the package index, about {_size(kind.download_mb)}"
    return [
        f"A Python environment for {kind.purpose}.",
        f"Made with: {plan.python}.",
        f"Packages: {', '.join(kind.requirements)}, and what these need in turn.",
        f"From: {source}.",
        f"Into: {plan.folder}, about {_size(kind.disk_mb)}. Nothing is installed anywhere else.",
    ]


def create(plan: Plan, listener: Listener) -> list[Finding]:
    """Make the environment, in place of one that may be there, try it out, and return what was found.

    Progress and every line of the installer go to the listener. Raises EnvironmentFailed, EnvironmentMissing (the
    Python cannot be started) and Cancelled, which leave no folder. Workers that use the old one must have ended.
    """
    kind = KINDS[plan.kind]
    with _only_one(plan.folder):
        remove(plan.folder)
        _require_room(plan.folder, kind)
        try:
            plan.folder.mkdir(parents=True, exist_ok=True)
            write_record(plan.folder, Record(False, kind.name, plan.python, kind.requirements, {}))
            _install(plan, kind, listener)
            found = _tried_out(plan, kind, listener)
            versions = {item.name: item.found for item in found if item.name in kind.needed}
            write_record(plan.folder, Record(True, kind.name, plan.python, kind.requirements, versions))
        except BaseException as error:
            with suppress(SardinoError):  # what stays is not ready, and is removed by the next
                remove(plan.folder)
            if isinstance(error, OSError):
                raise EnvironmentFailed(f"{plan.folder} cannot be written to ({error}).", "Choose another.") from error
            raise
    listener.progress(1.0, "the environment is ready")
    return found


def repair(folder: Path, listener: Listener, wheels: str = "", proxy: str = "") -> list[Finding]:
    """Make the environment in `folder` anew, of the same kind and with the same Python. Raises as `create` does."""
    record = read_record(folder)
    if record is None:
        raise EnvironmentMissing(f"{folder} holds no environment of this plugin.", "Create one.")
    return create(Plan(folder, record.python, record.kind, wheels, proxy), listener)


def _install(plan: Plan, kind: Kind, listener: Listener) -> None:
    listener.progress(0.01, "making the virtual environment")
    _step([plan.python, "-I", "-m", "venv", str(plan.folder)], plan, listener, lambda line: None)
    listener.progress(0.05, "installing packages")
    source = ["--no-index", "--find-links", plan.wheels] if plan.wheels else []
    manners = ["--disable-pip-version-check", "--no-input", "--progress-bar", "off"]
    command = [str(python_of(plan.folder)), "-I", "-u", "-m", "pip", "install", *manners, *source, *kind.requirements]
    _step(command, plan, listener, _download_meter(kind, listener))


def _step(command: list[str], plan: Plan, listener: Listener, seen: Callable[[str], None]) -> None:
    lines: list[str] = []

    def told(line: str) -> None:
        if line.strip():
            lines.append(line)
            listener.log("info", line)
            seen(line)

    status = follow(command, listener, told, _installer_environ(plan))
    if status:
        errors = [line for line in lines if line.startswith("ERROR:")] or lines[-1:] or [f"exit code {status}"]
        raise EnvironmentFailed(
            f"The environment could not be made: {errors[-1].removeprefix('ERROR: ')[:300].rstrip('.')}.",
            "Put what is missing into the folder of wheels."
            if plan.wheels
            else "Check network and proxy, or give a folder of wheels; the log has the details.",
        )


def _tried_out(plan: Plan, kind: Kind, listener: Listener) -> list[Finding]:
    """The check's findings, when everything works that this kind is for."""
    listener.progress(0.95, "trying it out")
    found = check(str(python_of(plan.folder)), listener)
    for item in found:
        listener.log("info", item.line())
        if item.name in kind.needed and (not item.ok or item.found.startswith("not ")):
            raise EnvironmentFailed(f"The new environment does not work: {item.name}: {item.found}.", item.fix)
    return found


def _download_meter(kind: Kind, listener: Listener) -> Callable[[str], None]:
    """Progress by what pip says that it downloads."""
    done = 0.0

    def seen(line: str) -> None:
        nonlocal done
        if found := _DOWNLOAD.search(line):
            done += float(found["size"]) * _MB[found["unit"]]
            listener.progress(0.05 + 0.8 * min(1.0, done / kind.download_mb), f"downloading {found['file']}")
        elif line.startswith("Installing collected"):
            listener.progress(0.85, "unpacking the packages")

    return seen


def _installer_environ(plan: Plan) -> dict[str, str]:
    """pip's own configuration holds (an index of the company, certificates), but not what leads elsewhere."""
    environ = {key: value for key, value in clean_environ(plan.python, os.environ).items() if key not in _MISDIRECTING}
    environ["PIP_USER"] = "0"
    if plan.proxy:
        environ.update(dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"), plan.proxy))
    return environ


@contextmanager
def _only_one(folder: Path) -> Iterator[None]:
    """Two QGIS must not build into one folder."""
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        lock = open(folder.with_name(f".{folder.name}.lock"), "a+b")
    except OSError as error:
        raise EnvironmentFailed(
            f"{folder.parent} cannot be written to ({error.strerror}).", "Choose another folder."
        ) from error
    with lock:
        if not try_lock(lock):
            raise EnvironmentFailed(f"Another QGIS is making the environment in {folder}.", "Wait until it is done.")
        yield


def _require_room(folder: Path, kind: Kind) -> None:
    needed, free = kind.disk_mb * _ROOM, shutil.disk_usage(folder.parent).free / 1e6
    if free < needed:
        raise EnvironmentFailed(
            f"{_size(needed)} are needed, and {_size(free)} are free where {folder} is.",
            "Free some, or choose another.",
        )


def _size(mb: float) -> str:
    return f"{mb / 1000:.1f} GB" if mb >= 1000 else f"{mb:.0f} MB"

"""The Pythons of this machine that an environment can be made with, each tried out. Nothing is installed or changed.

`sys.executable` is never a candidate: inside QGIS, on Windows and macOS, that is QGIS itself.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from sar_dino_qgis.worker import python_places
from sar_dino_qgis.worker.commands import ask

OLDEST = (3, 11)
TRIED = (3, 13)  # up to here every package is known to have wheels
_TIMEOUT_S = 10.0
_QUESTION = """
import importlib.util, json, platform, struct, sys
print(json.dumps({
    "path": getattr(sys, "_base_executable", "") or sys.executable,
    "version": sys.version_info[:3],
    "bits": struct.calcsize("P") * 8,
    "implementation": platform.python_implementation(),
    "venv": all(importlib.util.find_spec(name) for name in ("venv", "ensurepip")),
}))
"""


@dataclass(frozen=True)
class Interpreter:
    """A Python that answered; `problem` says why an environment cannot be made with it, and is empty if it can."""

    path: str
    version: tuple[int, ...]
    problem: str = ""

    @property
    def usable(self) -> bool:
        """Whether an environment can be made with it."""
        return not self.problem

    def line(self) -> str:
        """For a person."""
        text = f"Python {'.'.join(map(str, self.version))}, {self.path}"
        return text + (f" ({self.problem})" if self.problem else "")


def find_pythons() -> list[Interpreter]:
    """Every Python that answers, the most suitable first; those that will not do come last, with the reason.

    Takes a second or two: ask from a thread.
    """
    return try_all(python_places.candidates())


def try_all(paths: Iterable[str]) -> list[Interpreter]:
    """Try interpreters out, several at once; each base installation is listed once."""
    distinct = list(dict.fromkeys(os.path.normpath(path) for path in paths))
    with ThreadPoolExecutor(8) as pool:
        answered = [found for found in pool.map(try_python, distinct) if found is not None]
    once = {os.path.realpath(found.path): found for found in reversed(answered)}
    return sorted(reversed(list(once.values())), key=_preference)


def try_python(path: str) -> Interpreter | None:
    """Start it and ask what it is; None when it does not answer."""
    try:
        answer = json.loads(ask([path, "-I", "-c", _QUESTION], _TIMEOUT_S))
        version = tuple(int(part) for part in answer["version"])
        return Interpreter(str(answer["path"]), version, "; ".join(_problems(version, answer)))
    except (ValueError, KeyError, TypeError):
        return None


def advice() -> str:
    """What to install where no suitable Python was found."""
    oldest = ".".join(map(str, OLDEST))
    if sys.platform == "win32":
        return (
            f"Install Python {oldest} or newer, 64 bit, from python.org (for this user alone needs no administrator)."
        )
    if sys.platform == "darwin":
        return f"Install Python {oldest} or newer from python.org, or with Homebrew: brew install python."
    return f"Install Python {oldest} or newer with venv; on Debian and Ubuntu: sudo apt install python3 python3-venv."


def _problems(version: tuple[int, ...], answer: dict[str, object]) -> Iterator[str]:
    if version < OLDEST:
        yield f"too old; {'.'.join(map(str, OLDEST))} or newer is needed"
    if answer["bits"] != 64:
        yield "32 bit; the packages are made for 64 bit"
    if answer["implementation"] != "CPython":
        yield f"{answer['implementation']}; the packages are made for CPython"
    if not answer["venv"]:
        linux = sys.platform.startswith("linux")
        yield "it lacks venv or ensurepip" + (", on Debian and Ubuntu in the package python3-venv" if linux else "")


def _preference(found: Interpreter) -> tuple[object, ...]:
    """Usable before unusable, tried versions before newer ones, then the newest; QGIS's own last among equals."""
    own = Path(os.path.realpath(found.path)).is_relative_to(os.path.realpath(sys.prefix))
    return (not found.usable, found.version[:2] > TRIED, own, *(-part for part in found.version))

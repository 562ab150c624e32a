"""Where Pythons are installed: PATH, the Windows launcher and registry, conda, and the usual folders.

Only looks; whether what it names is a Python at all is for `pythons` to find out.
"""

from __future__ import annotations

import os
import re
import shutil
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from sar_dino_qgis.worker.commands import ask

_MINORS = range(20, 10, -1)  # python3.20 down to python3.11
_CONDAS = ("miniconda3", "anaconda3", "miniforge3", "mambaforge", "micromamba", "miniconda", "anaconda")
_FOLDERS = {  # globs of interpreters, below the home folder or absolute
    "win32": (
        "AppData/Local/Programs/Python/Python3*/python.exe",
        "AppData/Roaming/uv/python/*/python.exe",
        "C:/Program Files/Python3*/python.exe",
        "C:/Python3*/python.exe",
    ),
    "darwin": (
        "/Library/Frameworks/Python.framework/Versions/3.*/bin/python3",
        "/opt/homebrew/bin/python3*",
        "/usr/local/bin/python3*",
        ".pyenv/versions/3.*/bin/python",
        ".local/share/uv/python/*/bin/python3",
    ),
    "linux": (
        "/usr/bin/python3*",
        "/usr/local/bin/python3*",
        ".local/bin/python3*",
        ".pyenv/versions/3.*/bin/python",
        ".local/share/uv/python/*/bin/python3",
    ),
}


def candidates() -> Iterator[str]:
    """Paths that may be Pythons, with repetitions; QGIS's own comes last."""
    yield from _on_path()
    if sys.platform == "win32":
        yield from _known_to_windows()
    yield from _in_conda()
    yield from _in_usual_folders()
    yield str(_interpreter_in(Path(sys.prefix)))


def _on_path() -> Iterator[str]:
    names = ["python3", "python", *(f"python3.{minor}" for minor in _MINORS)]
    for folder in os.environ.get("PATH", os.defpath).split(os.pathsep):
        for name in names:
            found = shutil.which(name, path=folder) if folder else None
            if found:
                yield found


def _known_to_windows() -> Iterator[str]:
    yield from re.findall(r"[A-Za-z]:\\.*?\.exe", ask(["py", "-0p"], 10.0))
    if sys.platform == "win32":
        import winreg

        for root in (winreg.HKEY_CURRENT_USER, winreg.HKEY_LOCAL_MACHINE):
            for minor in _MINORS:
                with suppress(OSError):
                    place = winreg.QueryValue(root, rf"SOFTWARE\Python\PythonCore\3.{minor}\InstallPath")
                    yield str(Path(place) / "python.exe")


def _in_conda() -> Iterator[str]:
    home = Path.home()
    bases = [home / name for name in _CONDAS] + [home / "AppData" / "Local" / name for name in _CONDAS]
    bases += [Path("/opt") / name for name in _CONDAS] + [Path("C:/ProgramData") / name for name in _CONDAS]
    if "CONDA_EXE" in os.environ:
        bases.insert(0, Path(os.environ["CONDA_EXE"]).parent.parent)
    for base in bases:
        if base.is_dir():
            yield str(_interpreter_in(base))
            yield from (str(_interpreter_in(folder)) for folder in sorted((base / "envs").glob("*")))
    with suppress(OSError, ValueError):
        for line in (home / ".conda" / "environments.txt").read_text(encoding="utf-8").splitlines():
            yield str(_interpreter_in(Path(line)))


def _in_usual_folders() -> Iterator[str]:
    platform = "linux" if sys.platform.startswith("linux") else sys.platform
    for pattern in _FOLDERS.get(platform, ()):
        root = Path(Path(pattern).anchor) if Path(pattern).anchor else Path.home()
        for path in sorted(root.glob(pattern[len(Path(pattern).anchor) :]), reverse=True):
            if "config" not in path.name:
                yield str(path)


def _interpreter_in(prefix: Path) -> Path:
    return prefix / "python.exe" if os.name == "nt" else prefix / "bin" / "python3"

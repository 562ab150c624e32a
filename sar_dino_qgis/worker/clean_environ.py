"""The environment variables for other Pythons: the user's own, without what QGIS sets for itself.

QGIS points PYTHONHOME, PATH, PROJ_LIB and many others at its own files; a Python that is not QGIS's would find the
wrong libraries there, and crash or see no projections.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path, PurePath

_PREFIXES = ("PYTHON", "PROJ_", "GDAL_", "OGR_", "QT_", "QML", "QGIS_", "OSGEO4W", "O4W_", "GRASS", "DYLD_")
_NAMES = {"GISBASE", "GEOTIFF_CSV", "LD_PRELOAD", "__PYVENV_LAUNCHER__"}
_SEARCHED = ("PATH", "LD_LIBRARY_PATH")
_ROOTS = ("QGIS_PREFIX_PATH", "OSGEO4W_ROOT", "APPDIR")
_SYSTEM = {"/", "/usr", "/usr/local", "/opt"}


def clean_environ(python: str, environ: Mapping[str, str]) -> dict[str, str]:
    """A copy of `environ` in which the interpreter `python` runs as if it had been started outside QGIS."""
    kept = {key: value for key, value in environ.items() if not _is_qgis_own(key.upper())}
    roots = [environ[name] for name in _ROOTS if environ.get(name) and environ[name].rstrip("/") not in _SYSTEM]
    for name in _SEARCHED:
        if name in kept:
            places = [*_conda_libraries(python)] if name == "PATH" else []
            kept[name] = os.pathsep.join(places + _outside(kept[name].split(os.pathsep), roots))
    return kept


def _is_qgis_own(name: str) -> bool:
    return name.startswith(_PREFIXES) or name in _NAMES


def _outside(places: list[str], roots: list[str]) -> list[str]:
    own = [PurePath(os.path.normcase(root)) for root in roots]
    return [place for place in places if not any(_within(PurePath(os.path.normcase(place)), root) for root in own)]


def _within(place: PurePath, root: PurePath) -> bool:
    return place == root or root in place.parents


def _conda_libraries(python: str) -> list[str]:
    """On Windows a conda environment that is not activated finds its libraries only through PATH."""
    folder = Path(python).parent
    return [str(folder / "Library" / "bin")] if os.name == "nt" and (folder / "conda-meta").is_dir() else []

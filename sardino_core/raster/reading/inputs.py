"""What the user named, as a list of raster files: a folder of a product's files is a scene. Opens nothing."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from sardino_core.contract.errors import InputMissing, NotARaster, NotCalibrated, SettingInvalid
from sardino_core.raster.reading.band_names import SINGLE_POLARISATIONS, parse_label
from sardino_core.raster.reading.calibration import CALIBRATE
from sardino_core.raster.reading.products import is_auxiliary_file, is_uncalibrated

_SUFFIXES = (".tif", ".tiff", ".vrt", ".img", ".jp2")


def expand_inputs(inputs: Sequence[str]) -> list[str]:
    """Files in the order given, each once; a folder (or SNAP's .dim) becomes its files named after a polarisation.

    Raises InputMissing, NotARaster, NotCalibrated, or SettingInvalid for a folder whose files say nothing.
    """
    paths: list[str] = []
    for item in inputs:
        if not item.strip():
            raise InputMissing("An input has an empty name.", "Name a raster file or a folder.")
        folder = _dimap_folder(item)
        if is_uncalibrated(item):
            if not Path(item).exists() and not item.startswith("/vsi"):
                raise InputMissing(f"{item} does not exist.", "Check the path.")
            raise NotCalibrated(f"{item} is an uncalibrated Sentinel-1 product without map geometry.", CALIBRATE)
        paths += _files_of(folder) if folder else [item]
    once: dict[str, str] = {}
    for path in paths:  # by the file, not by its spelling: a raster named twice is one raster
        once.setdefault(str(Path(path).resolve()) if Path(path).exists() else path, path)
    return list(once.values())


def sibling_of(path: str, polarisation: str) -> str:
    """The name of the file beside `path` that holds `polarisation`, such as `a_VH.tif` of `a_VV.tif`; empty if none."""
    name = Path(path).name
    for other in SINGLE_POLARISATIONS:
        for found, wanted in ((other, polarisation), (other.lower(), polarisation.lower())):
            candidate = re.sub(rf"(?<![A-Za-z0-9]){found}(?![A-Za-z0-9])", wanted, name)
            if candidate != name and Path(path).with_name(candidate).is_file():
                return candidate
    return ""


def _dimap_folder(item: str) -> Path | None:
    """The folder that an input stands for: itself, or the `.data` folder of a SNAP `.dim` file."""
    path = Path(item)
    if path.suffix.lower() == ".dim" and path.with_suffix(".data").is_dir():
        return path.with_suffix(".data")
    return path if path.is_dir() else None


def _files_of(folder: Path) -> list[str]:
    if any(part.suffix.upper() == ".SAFE" for part in folder.iterdir()) or (folder / "manifest.safe").exists():
        raise NotCalibrated(f"{folder} holds an uncalibrated Sentinel-1 product without map geometry.", CALIBRATE)
    rasters = sorted(path for path in folder.iterdir() if path.suffix.lower() in _SUFFIXES and path.is_file())
    rasters = [path for path in rasters if not is_auxiliary_file(str(path))]
    named = [path for path in rasters if parse_label(re.sub(r"[^0-9A-Za-z]+", " ", path.stem)).polarisation]
    chosen = named or rasters
    if not chosen:
        raise NotARaster(
            f"The folder {folder} holds no raster.", "Give raster files, or a folder with a scene's files."
        )
    if not named and len(rasters) > 1:
        raise SettingInvalid(
            f"The folder {folder} holds {len(rasters)} rasters whose names do not tell their polarisation.",
            "Name the files of one scene.",
        )
    return [str(path) for path in chosen]

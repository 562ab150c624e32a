"""M3LEO chip folders: which chips there are, which split each belongs to, where a season and an orbit lie in a chip.

The layout is that of M3LEO's own code (github.com/spaceml-org/M3LEO, src/fdlsar, and github.com/rramosp/geetiles,
geetiles/defs/s1grd.py, which wrote the files):

    <aoi>_partitions_aschips_<hash>/s1grd-<year>/<identifier>.tif             16 bands of uint8, `winter_vvasc` ...
    <aoi>_partitions_aschips_<hash>/esaworldcover-<year>/<identifier>.tif     one band
    <aoi>_partitions_aschips_<hash>_splits_<how>.csv                          identifier, split: train, val or test

No pixel is turned into dB here; that is the reader's business. Not for M3LEO's other datasets.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from sardino_core.contract.errors import InputMissing, NotARaster, SettingInvalid
from sardino_core.contract.jobs import Units
from sardino_core.contract.model_spec import SEASONS, BandSpec
from sardino_core.raster.grid import RasterGrid
from sardino_core.raster.reading.bands import needed_channels
from sardino_core.raster.reading.sources import Source, damage_of, open_raster

ORBITS = ("ascending", "descending")
UNITS: Units = "uint8db"
CODES = (10, 20, 30, 40, 50, 60, 70, 80, 90, 95, 100)  # WorldCover's; M3LEO's loader numbers them 0 to 10
FOLDED = (
    "The labels are M3LEO's numbers 0 to 10 instead of WorldCover's codes: they are read as 10 to 100, but where "
    "WorldCover knew nothing (its 0) they say 0, too, that is tree cover."
)
_IMAGES = re.compile(r"s1grd-(\d{4})$")
_LABELS = re.compile(r"esaworldcover-(\d{4})$")
_LOOKED_AT = 64  # label chips that tell codes from numbers


@dataclass(frozen=True)
class ChipConfig:
    """What to take from M3LEO chip folders that `images` names; other sources do not look at it."""

    year: int = 0  # 0: the latest of the images; labels have years of their own, of which the nearest is taken
    season: Literal["winter", "spring", "summer", "fall"] = "summer"  # for fine-tuning; pre-training takes all
    orbit: Literal["ascending", "descending"] = "ascending"  # the same
    train: str = "train"  # the split, as the CSV calls it, that trains
    validate: str = "val"  # the one that validates
    splits: str = ""  # the CSV file, where there are several beside the folder


@dataclass(frozen=True)
class ChipFolder:
    """One area of interest."""

    images: Path  # .../s1grd-2020
    labels: Path | None  # .../esaworldcover-2020
    splits: Mapping[str, str]  # by identifier

    @staticmethod
    def of(folder: Path, config: ChipConfig) -> ChipFolder:
        """Raises InputMissing for what is not there, SettingInvalid for what is not clear."""
        images = _by_year(folder, _IMAGES)
        year = config.year or max(images)
        if year not in images:
            known = ", ".join(f"s1grd-{item}" for item in sorted(images))
            raise InputMissing(
                f"{folder.name} holds no s1grd-{year}; there are {known}.", "Set the source's m3leo.year."
            )
        labels = _by_year(folder, _LABELS)
        nearest = min(labels, key=lambda item: abs(item - year), default=None)
        return ChipFolder(
            images[year], None if nearest is None else labels[nearest], _read_splits(_find_splits(folder, config))
        )

    def chips(self, split: str) -> list[Path]:
        """The images of a split that are there, in the order of their names. Raises InputMissing without any."""
        found = sorted(path for path in self.images.glob("*.tif") if self.splits.get(path.stem) == split)
        if not found:
            known = ", ".join(sorted(set(self.splits.values())))
            raise InputMissing(
                f"{short(self.images)} holds no chip of the split {split}; the splits are {known}.",
                "Check the folder, or set m3leo.train and m3leo.validate of the source.",
            )
        return found

    @property
    def labelled(self) -> Path:
        """The folder of labels. Raises InputMissing when there is none."""
        if self.labels is None:
            raise InputMissing(
                f"{self.images.parent.name} holds no esaworldcover-YEAR.", "Fetch it, or give --images and --labels."
            )
        return self.labels

    def label_of(self, image: Path) -> Path | None:
        """The labels of a chip, or None. Raises InputMissing when the folder has no labels at all."""
        path = self.labelled / image.name
        return path if path.exists() else None


@dataclass(frozen=True)
class Chip:
    """What one look at a chip tells."""

    grid: RasterGrid
    shares: Mapping[tuple[str, str], float]  # (season, orbit) -> share of pixels with data; empty ones are left out
    warning: str  # that the values wrap


def is_chip_folder(path: Path) -> bool:
    """Whether a folder holds s1grd-YEAR."""
    return path.is_dir() and bool(_by_year(path, _IMAGES))


def is_chip(path: Path) -> bool:
    """Whether a file lies in s1grd-YEAR."""
    return bool(_IMAGES.match(path.parent.name))


def expand_chips(paths: Iterable[Path], config: ChipConfig) -> list[Path]:
    """The same paths, with the training chips in the place of chip folders. Raises what ChipFolder raises."""
    found: list[Path] = []
    for path in paths:
        found += ChipFolder.of(path, config).chips(config.train) if is_chip_folder(path) else [path]
    return found


def band_numbers(season: str, orbit: str, bands: Sequence[BandSpec]) -> dict[str, int]:
    """Where VV and VH are, as `--bands` has it: four bands a season, VV before VH, ascending before descending."""
    first = 4 * SEASONS.index(season) + ORBITS.index(orbit) + 1
    numbers = {"VV": first, "VH": first + 2}
    needed = {channel.polarisation for channel in needed_channels(bands)}
    return {name: number for name, number in numbers.items() if name in needed}


def look_at(path: Path) -> Chip:
    """Which seasons and orbits of a chip hold data. Raises NotARaster.

    Where Sentinel-1 has none, a band is constant: 0, or 255 after M3LEO's scaling of 0 (its own loader leaves
    constant channels out, too).
    """
    source = Source(str(path))
    try:
        if source.count != 4 * len(SEASONS) or source.dtypes[0] != "uint8":
            raise NotARaster(
                f"{short(path)} is no M3LEO chip: it has {source.count} bands of {source.dtypes[0]}, not 16 of uint8."
            )
        values = source.read(range(1, source.count + 1), source.grid.full)  # (16, h, w)
    finally:
        source.close()
    shares = {}
    for season_number, season in enumerate(SEASONS):
        for orbit_number, orbit in enumerate(ORBITS):
            pair = values[4 * season_number + orbit_number :: 2][:2]  # VV, VH
            if all(np.ptp(band) > 0 for band in np.nan_to_num(pair)):
                shares[season, orbit] = float((pair > 0).all(axis=0).mean())
    return Chip(source.grid, shares, source.facts.warning)


def labels_are_numbers(folder: ChipFolder) -> bool:
    """Whether the labels count from 0 to 10, as M3LEO's loader gives them, or are WorldCover's codes.

    The files that geetiles writes hold the codes. Both hold 10, so that several chips are looked at.
    """
    for path in sorted(folder.labelled.glob("*.tif"))[:_LOOKED_AT]:
        with damage_of(short(path)), open_raster(str(path)) as data:
            if int(data.read(1).max()) > len(CODES) - 1:
                return False
    return True


def numbered(codes: Mapping[int, int]) -> dict[int, int]:
    """What is said of WorldCover's codes, said of M3LEO's numbers."""
    return {number: codes[code] for number, code in enumerate(CODES) if code in codes}


def short(path: Path) -> str:
    """`folder/file`, for messages."""
    return f"{path.parent.name}/{path.name}"


def _by_year(folder: Path, pattern: re.Pattern[str]) -> dict[int, Path]:
    return {int(match.group(1)): path for path in folder.iterdir() if (match := pattern.match(path.name))}


def _find_splits(folder: Path, config: ChipConfig) -> Path:
    """The CSV beside the folder, or in it. Raises InputMissing, or SettingInvalid where there are several."""
    if config.splits:
        return Path(config.splits).expanduser()
    beside = [
        path for path in folder.parent.glob("*_splits*.csv") if folder.name.startswith(path.name.split("_splits")[0])
    ]
    found = sorted({*beside, *folder.glob("*splits*.csv")})
    found = [path for path in found if not path.stem.endswith("_parquet")] or found
    if not found:
        raise InputMissing(
            f"There is no {folder.name}_splits*.csv beside {folder.name}.",
            "Fetch it, or set m3leo.splits of the source.",
        )
    if len(found) > 1:
        raise SettingInvalid(
            f"Several files tell the splits of {folder.name}: {', '.join(path.name for path in found)}.",
            "Set m3leo.splits of the source.",
        )
    return found[0]


def _read_splits(path: Path) -> dict[str, str]:
    try:
        with open(path, newline="", encoding="utf-8") as file:
            return {row["identifier"]: row["split"] for row in csv.DictReader(file)}
    except OSError as error:
        raise InputMissing(f"{path} cannot be read ({error.strerror}).", "Check m3leo.splits of the source.") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise SettingInvalid(f"{path.name} is no CSV text ({error}).", "Fetch it again.") from error
    except KeyError as error:
        raise SettingInvalid(
            f"{path.name} has no column {error}; it must have the columns identifier and split."
        ) from error

"""Which band of which file is which polarisation: by --bands, description, file name, or brightness. Reads no pixels.

A file is seen through its name, its facts and its number of bands; band numbers start at 1, as in GDAL and QGIS.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from sardino_core.contract.errors import BandsMissing, SettingInvalid
from sardino_core.contract.model_spec import BandSpec
from sardino_core.raster.reading.band_names import BandLabel
from sardino_core.raster.reading.products import FileFacts
from sardino_core.raster.reading.sampling import Samples

_EXCESS_DB = (3.0, 16.0)  # by which VV is brighter than VH
_NOISE_DB = (
    0.05,
    6.0,
)  # neighbouring pixels' robust difference: composites 0.1-0.5, single looks 5; angle and DEM less
_SHARED_NOISE = 0.6  # speckle of VV and VH is nearly independent; a ratio shares the noise of the band it was made from


class Described(Protocol):
    """What matching needs to know of a file."""

    name: str
    facts: FileFacts

    @property
    def count(self) -> int:
        """Number of bands."""


@dataclass(frozen=True)
class Channel:
    """A polarisation, of one season where the model asks for it."""

    polarisation: str
    season: str = ""

    @property
    def key(self) -> str:
        """`VV` or `VV@summer`."""
        return f"{self.polarisation}@{self.season}" if self.season else self.polarisation


@dataclass(frozen=True)
class Pick:
    """Band `band` (from 1) of input `file` (from 0)."""

    file: int
    band: int


@dataclass
class Matching:
    """What was found: picks per channel in the order of the files, and the files whose bands have no names."""

    picks: dict[Channel, list[Pick]]
    unnamed: list[int] = field(default_factory=list)
    crowded: list[BandsMissing] = field(default_factory=list)  # files with several bands for one channel
    notes: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    @property
    def missing(self) -> list[Channel]:
        """Channels without any pick."""
        return [channel for channel, picks in self.picks.items() if not picks]


def needed_channels(bands: Sequence[BandSpec]) -> tuple[Channel, ...]:
    """The polarisations to be read for `bands`, each once; `VV-VH` needs VV and VH."""
    names = [Channel(name, band.season or "") for band in bands for name in band.name.split("-")]
    return tuple(dict.fromkeys(names))


def match_bands(
    files: Sequence[Described],
    needs: Sequence[Channel],
    numbers: Mapping[str, int],
    valid_share: Callable[[int, int], float],
    model_name: str,
) -> Matching:
    """Match by --bands first, then by descriptions, then by file names; files with unnamed bands are listed.

    A file with several bands for one channel, such as a stack of dates, leaves its error in `crowded`.

    `valid_share(file, band)` in 0..1 decides between ascending and descending bands of one file.
    """
    matching = Matching({need: [] for need in needs})
    _match_numbers(files, matching, numbers)
    remaining = [need for need in needs if not matching.picks[need]]
    for index, file in enumerate(files):
        if remaining and _is_unnamed(file):
            matching.unnamed.append(index)
            continue
        found = {need: _candidates(file, need) for need in remaining}
        if any(len(bands) > 1 for bands in found.values()):
            found = _by_orbit(file, index, found, valid_share, matching)
        if any(len(bands) > 1 for bands in found.values()):
            matching.crowded.append(_too_many(file, found, model_name, alone=len(files) == 1))
        for need, bands in found.items():
            matching.picks[need] += [Pick(index, band) for band in bands]
    return matching


def backscatter_bands(file: Described) -> list[int]:
    """Numbers of the bands that may be backscatter, by their names."""
    return [number for number, label in enumerate(file.facts.labels, start=1) if not label.auxiliary]


def order_unnamed(samples_db: Samples, usable: Sequence[int]) -> tuple[int, int] | None:
    """Indices (co-polarised, cross-polarised) into the samples' bands, or None when they cannot be told apart.

    `usable` are the indices of bands whose values may be backscatter; there must be exactly two. The brighter is the
    co-polarised one if it is so by 3 to 16 dB and both carry speckle of their own.
    """
    if len(usable) != 2:
        return None
    medians = {index: float(np.median(samples_db.values(index))) for index in usable}
    strong, weak = sorted(usable, key=lambda index: medians[index], reverse=True)
    if not _EXCESS_DB[0] <= medians[strong] - medians[weak] <= _EXCESS_DB[1]:
        return None
    first, second = samples_db.differences(strong), samples_db.differences(weak)
    both = np.isfinite(first) & np.isfinite(second)
    if both.sum() < 50:
        return None
    first, second = first[both], second[both]
    if not all(_NOISE_DB[0] <= _spread(noise) <= _NOISE_DB[1] for noise in (first, second)):
        return None
    if abs(float(np.corrcoef(first, second)[0, 1])) > _SHARED_NOISE:
        return None
    return strong, weak


def bands_missing(
    files: Sequence[Described], missing: Sequence[Channel], needs: Sequence[Channel], model: str, sibling: str
) -> BandsMissing:
    """The error for channels that no input holds; `sibling` names a file that lies beside the input and holds one."""
    held = sorted(
        {label.polarisation for file in files for label in file.facts.labels if label.polarisation}
        | {name for file in files if _is_one_polarisation(file) for name in file.facts.polarisations}
    )
    subject = files[0].name if len(files) == 1 else f"The {len(files)} inputs"
    verb = "holds" if len(files) == 1 else "hold"
    if held:
        found = f"{subject} {verb} {_and(held)}{' only' if len(held) == 1 else ''}"
    elif len(files) == 1:
        found = f"{subject} has {_count(files[0].count)}{_listing(files[0]) if files[0].count > 1 else ''}"
    else:
        found = f"{subject} hold no band that is named {_and([need.polarisation for need in missing], 'or')}"
    text = f"{found}; `{model}` needs {_and([need.key for need in needs])}."
    if {"HH", "HV"} & set(held) and {"VV", "VH"} & {need.polarisation for need in missing}:
        text += " HH and HV are not VV and VH."
    if sibling:
        return BandsMissing(text, f"{sibling} lies beside it: give both files as inputs.")
    example = ",".join(f"{need.key}={number}" for number, need in enumerate(needs, start=1))
    enough = sum(file.count for file in files) >= len(needs)
    naming = f", or name the bands with --bands, for example --bands {example}" if enough else ""
    return BandsMissing(text, f"Choose a product that holds them{naming}.")


def unordered(file: Described, needs: Sequence[Channel], model: str) -> BandsMissing:
    """The error for bands without names that brightness does not tell apart."""
    example = ",".join(f"{need.key}={number}" for number, need in enumerate(needs, start=1))
    return BandsMissing(
        f"The {file.count} bands of {file.name} have no names that tell {_and([need.key for need in needs])} apart, "
        f"which `{model}` needs.",
        f"Name them, for example --bands {example}.",
    )


def _match_numbers(files: Sequence[Described], matching: Matching, numbers: Mapping[str, int]) -> None:
    keys = {need.key.lower(): need for need in matching.picks}
    by_name = {need.polarisation.lower(): need for need in matching.picks}
    wanted: dict[Channel, int] = {}
    for key, number in numbers.items():
        need = keys.get(key.strip().lower())
        if need is None and len(by_name) == len(keys):
            need = by_name.get(key.strip().lower())
        if need is None:
            allowed = ", ".join(need.key for need in matching.picks)
            raise SettingInvalid(f"--bands {key}={number} names no band of the model; it takes {allowed}.")
        wanted[need] = number
    shared = bool(wanted) and all(number <= file.count for number in wanted.values() for file in files)
    for need, number in wanted.items():
        picks = _numbered(files, need, number, shared)
        matching.picks[need] = picks
        for pick in picks:
            said = files[pick.file].facts.labels[pick.band - 1].polarisation
            if said and said != need.polarisation:
                matching.warnings.append(
                    f"--bands takes band {pick.band} of {files[pick.file].name} as {need.key}; its name says {said}."
                )
    taken = [pick for picks in matching.picks.values() for pick in picks]
    if len(set(taken)) < len(taken):
        given = ",".join(f"{need.key}={number}" for need, number in wanted.items())
        raise SettingInvalid(f"--bands {given} takes one band twice.", "Give every polarisation a band of its own.")
    if wanted:
        matching.notes.append(
            "bands by --bands: " + ", ".join(f"{need.key}={number}" for need, number in wanted.items())
        )


def _numbered(files: Sequence[Described], need: Channel, number: int, shared: bool) -> list[Pick]:
    """Where band `number` is.

    It counts within the files named after the polarisation; else within every file, where all have that many bands;
    else through the bands of all files in order.
    """
    named = [
        index for index, file in enumerate(files)
        if file.facts.polarisations == (need.polarisation,) and number <= file.count
    ]  # fmt: skip
    if named:
        return [Pick(index, number) for index in named]
    if shared and not any(_is_one_polarisation(file) for file in files):
        return [Pick(index, number) for index in range(len(files))]
    left = number
    for index, file in enumerate(files):
        if left <= file.count:
            return [Pick(index, left)]
        left -= file.count
    total = sum(file.count for file in files)
    where = files[0].name + _listing(files[0]) if len(files) == 1 else f"the {len(files)} inputs"
    raise BandsMissing(f"--bands {need.key}={number} does not exist: there are {_count(total)} in {where}.")


def _is_one_polarisation(file: Described) -> bool:
    return len(file.facts.polarisations) == 1


def _is_unnamed(file: Described) -> bool:
    """True when several bands, or a single one in a file without a telling name, could be anything."""
    labels = [label for label in file.facts.labels if not label.auxiliary]
    return bool(labels) and all(label.unnamed for label in labels) and not _is_one_polarisation(file)


def _candidates(file: Described, need: Channel) -> list[int]:
    """Numbers of the bands that match by description, or all that match by the file's name."""

    def fits(label: BandLabel, polarisation: str) -> bool:
        season = label.season or file.facts.season
        return polarisation == need.polarisation and need.season in ("", season)

    labels = list(enumerate(file.facts.labels, start=1))
    if any(label.polarisation for _, label in labels):
        return [number for number, label in labels if label.polarisation and fits(label, label.polarisation)]
    if _is_one_polarisation(file):
        name = file.facts.polarisations[0]
        return [number for number, label in labels if not label.auxiliary and fits(label, name)]
    return []


def _by_orbit(
    file: Described,
    index: int,
    found: dict[Channel, list[int]],
    valid_share: Callable[[int, int], float],
    matching: Matching,
) -> dict[Channel, list[int]]:
    """Where every channel has one band per orbit direction: all of the direction that holds more data."""
    labels = file.facts.labels
    options: dict[str, dict[Channel, list[int]]] = {}
    for orbit in ("ascending", "descending"):
        chosen = {need: [band for band in bands if labels[band - 1].orbit == orbit] for need, bands in found.items()}
        if all(len(bands) == 1 for bands in chosen.values()):
            options[orbit] = chosen
    if len(options) < 2 or any(len(bands) != 2 for bands in found.values()):
        return found
    shares = {
        orbit: min(valid_share(index, bands[0]) for bands in chosen.values()) for orbit, chosen in options.items()
    }
    best = max(shares, key=lambda orbit: shares[orbit])
    other = "descending" if best == "ascending" else "ascending"
    numbers = ",".join(f"{need.key}={bands[0]}" for need, bands in options[other].items())
    matching.warnings.append(
        f"{file.name} holds both orbit directions; {best} was taken. For {other}: --bands {numbers}."
    )
    return options[best]


def _too_many(file: Described, found: Mapping[Channel, Sequence[int]], model: str, *, alone: bool) -> BandsMissing:
    need = next(need for need, bands in found.items() if len(bands) > 1)
    example = ",".join(f"{need.key}={bands[0] if bands else 1}" for need, bands in found.items() if bands or not alone)
    listed = _listing(file, found[need])
    return BandsMissing(
        f"{file.name} has {len(found[need])} bands that may be {need.key}{listed}; `{model}` needs one.",
        f"Choose one date or season with --bands, for example --bands {example}.",
    )


def _listing(file: Described, numbers: Sequence[int] = ()) -> str:
    shown = list(numbers) or list(range(1, file.count + 1))
    texts = [f"{number} {file.facts.labels[number - 1].text or 'unnamed'}" for number in shown[:12]]
    return f" ({', '.join(texts)}{', ...' if len(shown) > 12 else ''})"


def _spread(differences: np.ndarray[tuple[int, ...], np.dtype[np.float32]]) -> float:
    """Standard deviation from the median absolute deviation, so that edges of fields do not count."""
    return float(np.median(np.abs(differences - np.median(differences)))) / 0.6745


def _and(names: Sequence[str], word: str = "and") -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} {word} {names[-1]}"


def _count(number: int) -> str:
    return "1 band" if number == 1 else f"{number} bands"

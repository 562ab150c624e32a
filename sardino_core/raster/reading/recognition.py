"""What the inputs are: which band is which, in what units, and why. Reads a bounded number of small windows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sardino_core.contract.errors import NoValidData, UnitsAmbiguous
from sardino_core.contract.jobs import SceneOptions, Units
from sardino_core.raster.reading.bands import (
    Channel,
    Matching,
    Pick,
    backscatter_bands,
    bands_missing,
    match_bands,
    order_unnamed,
    unordered,
)
from sardino_core.raster.reading.calibration import BandStatistics, UnitsDecision, decide_units, to_db
from sardino_core.raster.reading.inputs import sibling_of
from sardino_core.raster.reading.products import UnitsClaim, is_auxiliary_file
from sardino_core.raster.reading.sampling import Samples, sample
from sardino_core.raster.reading.sources import Source

_SAMPLED_FILES = 6  # of a mosaic; the rest is taken to be alike
_UNNAMED_BANDS = 4  # more than these are no VV, VH and a ratio


@dataclass(frozen=True)
class Recognition:
    """Picks per channel, the units, and what is to be said about both."""

    picks: dict[Channel, list[Pick]]
    units: UnitsDecision
    notes: tuple[str, ...]
    warnings: tuple[str, ...]


def recognise(
    sources: Sequence[Source], channels: Sequence[Channel], options: SceneOptions, model_name: str, known: bool = False
) -> Recognition:
    """Find every channel and the units, or raise BandsMissing, UnitsAmbiguous, NotCalibrated or NoValidData.

    `known`: the units of `options` come from an earlier look at the same files and need no second one.
    """
    matching = match_bands(sources, channels, options.bands, _valid_share(sources), model_name)
    _match_all_unnamed(sources, channels, options.units, matching, model_name)
    if matching.missing:
        raise bands_missing(sources, matching.missing, channels, model_name, _sibling(sources, matching.missing))
    if matching.crowded:
        raise matching.crowded[0]
    told = UnitsDecision(options.units, "an earlier look")
    units = told if known and options.units != "auto" else _decide(sources, matching.picks, options.units)
    used = {pick.file for picks in matching.picks.values() for pick in picks}
    matching.warnings += _idle_warnings(sources, used, matching.unnamed)
    notes = [f"units: {units.units}, by {units.why}", *matching.notes, *_band_notes(sources, matching)]
    notes += _facts(sources, used)
    said = [sources[file].facts.warning for file in sorted(used)]
    warnings = dict.fromkeys([*matching.warnings, *units.warnings, *(text for text in said if text)])
    return Recognition(matching.picks, units, tuple(notes), tuple(warnings))


def provenance(known: Recognition, sources: Sequence[Source]) -> dict[str, str]:
    """Tags for the output: units, bands, and date, orbit and radiometry where known."""
    picks = [pick for found in known.picks.values() for pick in found]
    labels = [sources[pick.file].facts.labels[pick.band - 1] for pick in picks]
    facts = [sources[pick.file].facts for pick in picks]
    dates = sorted({label.date or fact.date for label, fact in zip(labels, facts, strict=True)} - {""})
    orbits = {label.orbit or fact.orbit for label, fact in zip(labels, facts, strict=True)}
    tracks = {fact.relative_orbit for fact in facts}
    radiometries = {fact.radiometry for fact in facts}
    tags = {
        "SARDINO_UNITS": f"{known.units.units} ({known.units.why})",
        "SARDINO_BANDS": "; ".join(
            f"{channel.key} = {_where(sources, found)}" for channel, found in known.picks.items()
        ),
    }
    if dates and all(label.date or fact.date for label, fact in zip(labels, facts, strict=True)):
        days = sorted({day[:10] for date in dates for day in date.split("/")})
        tags["ACQUISITION_DATE"] = dates[0] if len(days) == 1 else f"{days[0]}/{days[-1]}"
    if len(orbits) == 1 and "" not in orbits:
        tags["ORBIT"] = orbits.pop()
    if len(tracks) == 1 and 0 not in tracks:
        tags["RELATIVE_ORBIT"] = str(tracks.pop())
    if len(radiometries) == 1 and "" not in radiometries:
        tags["SARDINO_RADIOMETRY"] = radiometries.pop()
    if any(sources[pick.file].simulated for pick in picks):
        tags["SARDINO_SIMULATED"] = "YES"
    return tags


def _match_all_unnamed(
    sources: Sequence[Source], channels: Sequence[Channel], requested: Units, matching: Matching, model_name: str
) -> None:
    """Tell the bands of every file without names apart; one that is left out would leave a hole in the map."""
    assumed: dict[str, list[str]] = {}  # which band is which -> the files where brightness alone says so
    for file in matching.unnamed:
        if len(sources) == 1 or not is_auxiliary_file(sources[file].path):
            named = _match_unnamed(sources, file, channels, requested, matching, model_name)
            if named:
                assumed.setdefault(named, []).append(sources[file].name)
    for picks in matching.picks.values():
        picks.sort(key=lambda pick: pick.file)
    for named, files in assumed.items():
        matching.warnings.append(
            f"{_some(files)} {'has' if len(files) == 1 else 'have'} bands without names; the brighter is taken as "
            f"{named.partition('=')[0]} ({named}). If that is wrong, pass --bands."
        )


def _match_unnamed(
    sources: Sequence[Source],
    file: int,
    channels: Sequence[Channel],
    requested: Units,
    matching: Matching,
    model_name: str,
) -> str:
    """By brightness, or the only band for the only one needed; returns what was assumed, such as `VV=1, VH=2`."""
    source = sources[file]
    bands = backscatter_bands(source)
    if len(bands) == 1 and len(channels) == 1 and len(sources) == 1:
        matching.picks[channels[0]].append(Pick(file, bands[0]))
        matching.warnings.append(f"{source.name} has one band without a name; it is taken to be {channels[0].key}.")
        return ""
    if len(bands) < 2 or any(channel.season for channel in channels):
        return ""
    pair = ("HH", "HV") if {channel.polarisation for channel in channels} <= {"HH", "HV"} else ("VV", "VH")
    ordered = _by_brightness(source, bands, requested) if len(bands) <= _UNNAMED_BANDS else None
    told = tuple(name for name in source.facts.polarisations if name in pair)
    if ordered is None or not {channel.polarisation for channel in channels} <= set(pair):
        raise unordered(source, channels, model_name)
    found = dict(zip(pair, ordered, strict=True))
    for channel in channels:
        matching.picks[channel].append(Pick(file, found[channel.polarisation]))
    if told and len(told) == 2 and tuple(sorted(pair, key=lambda name: found[name])) == told:
        matching.notes.append(f"bands of {source.name} by the order in its name, which brightness confirms")
        return ""
    return ", ".join(f"{name}={band}" for name, band in found.items())


def _idle_warnings(sources: Sequence[Source], used: set[int], unnamed: Sequence[int]) -> list[str]:
    idle = [index for index in range(len(sources)) if index not in used]
    nameless = [sources[index].name for index in idle if index in unnamed]
    others = [sources[index].name for index in idle if index not in unnamed]
    warnings = []
    if others:
        warnings.append(f"not used, for they hold none of the bands needed: {_some(others)}")
    if nameless:
        warnings.append(
            f"not used, for the names of their bands do not say what they hold: {_some(nameless)}. "
            f"If that is backscatter, name the bands."
        )
    return warnings


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:6]) + (f" and {len(names) - 6} more" if len(names) > 6 else "")


def _by_brightness(source: Source, bands: Sequence[int], requested: Units) -> tuple[int, int] | None:
    """(co-polarised, cross-polarised) band numbers, or None."""
    samples = sample(source, bands)
    statistics = _statistics(samples, bands, source, [f"band {band}" for band in bands])
    if len(statistics) < len(bands):
        return None
    units = decide_units(requested, source.facts.claims, statistics, source.name).units
    with np.errstate(invalid="ignore"):
        converted = Samples(tuple(to_db(window.copy(), units) for window in samples.windows), samples.complete)
    medians = [float(np.median(converted.values(index))) for index in range(len(bands))]
    usable = [index for index, median in enumerate(medians) if -45 < median < 0]
    order = order_unnamed(converted, usable)
    return (bands[order[0]], bands[order[1]]) if order else None


def _decide(sources: Sequence[Source], picks: dict[Channel, list[Pick]], requested: Units) -> UnitsDecision:
    """Units from the claims of all files and the pooled samples of a few."""
    used = list(dict.fromkeys(pick.file for found in picks.values() for pick in found))
    claims = _agreed_claims(sources, used) if requested == "auto" else []
    pooled: dict[str, list[NDArray[np.float32]]] = {channel.polarisation: [] for channel in picks}
    signs: dict[bool, str] = {}
    complete = True
    for file in _spread(used):
        wanted = {
            pick.band: channel.polarisation for channel, found in picks.items() for pick in found if pick.file == file
        }
        samples = sample(sources[file], list(wanted))
        complete &= samples.complete
        for index, polarisation in enumerate(wanted.values()):
            values = samples.values(index)
            if values.size:
                pooled[polarisation].append(values)
                signs[bool(np.percentile(values, 5) < -1.5)] = sources[file].name
    if len(signs) == 2 and requested == "auto":
        raise UnitsAmbiguous(
            f"The inputs differ in units: {signs[True]} is negative as dB is, {signs[False]} is not.",
            "Convert them to one unit first.",
        )
    where = sources[used[0]].name if len(used) == 1 else f"the {len(used)} inputs"
    statistics = [
        BandStatistics.of(polarisation, np.concatenate(values), sources[used[0]].dtypes[0])
        for polarisation, values in pooled.items()
        if values
    ]
    if not statistics and complete and len(used) <= _SAMPLED_FILES:
        raise NoValidData(f"{where} holds no valid pixel: all is nodata.", "Choose another area or product.")
    return decide_units(requested, claims, statistics, where)


def _agreed_claims(sources: Sequence[Source], used: Sequence[int]) -> list[UnitsClaim]:
    """The claims of all files; the first claims of two files must not differ."""
    first = {source.facts.claims[0].units: source for file in used if (source := sources[file]).facts.claims}
    if len(first) > 1:
        said = " and ".join(
            f"{source.name} {units} (by {source.facts.claims[0].why})" for units, source in first.items()
        )
        raise UnitsAmbiguous(f"The inputs differ in units: {said}.", "Convert them to one unit first, or pass --units.")
    return [claim for file in used for claim in sources[file].facts.claims]


def _statistics(samples: Samples, bands: Sequence[int], source: Source, names: Sequence[str]) -> list[BandStatistics]:
    found = []
    for index, (band, name) in enumerate(zip(bands, names, strict=True)):
        values = samples.values(index)
        if values.size:
            found.append(BandStatistics.of(name, values, source.dtypes[band - 1]))
    return found


def _spread(files: Sequence[int]) -> list[int]:
    step = max(1, -(-len(files) // _SAMPLED_FILES))
    return list(files[::step])


def _valid_share(sources: Sequence[Source]) -> Callable[[int, int], float]:
    """The part of a band's sampled pixels that hold data, by file and band."""

    def share(file: int, band: int) -> float:
        windows = sample(sources[file], [band]).windows
        return float(sum(np.isfinite(window).sum() for window in windows)) / sum(window.size for window in windows)

    return share


def _sibling(sources: Sequence[Source], missing: Sequence[Channel]) -> str:
    if len(sources) != 1 or len(sources[0].facts.polarisations) != 1:
        return ""
    return sibling_of(sources[0].path, missing[0].polarisation)


def _band_notes(sources: Sequence[Source], matching: Matching) -> list[str]:
    return [f"{channel.key}: {_where(sources, found)}" for channel, found in matching.picks.items()]


def _where(sources: Sequence[Source], picks: Sequence[Pick]) -> str:
    texts = []
    for pick in picks[:3]:
        text = sources[pick.file].facts.labels[pick.band - 1].text
        texts.append(f"band {pick.band}{f' ({text})' if text else ''} of {sources[pick.file].name}")
    return ", ".join(texts) + (f" and {len(picks) - 3} more" if len(picks) > 3 else "")


def _facts(sources: Sequence[Source], used: set[int]) -> list[str]:
    facts = [sources[file].facts for file in sorted(used)]
    texts = [
        ", ".join(part for part in (fact.product, fact.radiometry, fact.date, fact.orbit) if part) for fact in facts
    ]
    known = list(dict.fromkeys(text for text in texts if text))
    return [f"known from names and tags: {text}" for text in known[:3]]

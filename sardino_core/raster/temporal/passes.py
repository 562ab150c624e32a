"""Which files, or which bands of a stack, are one pass over the place: by date and orbit. Reads no pixels.

A pass may be several files: one of each polarisation, and bursts or slices side by side.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import combinations

from sardino_core.contract.errors import DatesMixed, SettingInvalid
from sardino_core.raster.grid import RasterGrid
from sardino_core.raster.reading.inputs import expand_inputs
from sardino_core.raster.reading.mosaic import pixel_box, shared_part
from sardino_core.raster.reading.sources import Source, short

_ONE_PASS = timedelta(minutes=30)
_SAME_GROUND = 0.5  # of the smaller footprint; bursts and slices side by side overlap by less
_DIRECTIONS = ("ascending", "descending")


@dataclass(frozen=True)
class Orbit:
    """From where a pass looks, as far as its files tell."""

    relative: int = 0  # 1 to 175; 0: not known
    direction: str = ""  # ascending or descending

    @property
    def key(self) -> str:
        """What passes of one orbit share: the relative orbit, the direction where that is all, or nothing."""
        return str(self.relative or self.direction)

    @property
    def label(self) -> str:
        """For band names and messages: `ascending 66`, `orbit 66`, `ascending`, or `unknown orbit`."""
        if self.relative:
            return f"{self.direction or 'orbit'} {self.relative}"
        return self.direction or "unknown orbit"


@dataclass(frozen=True)
class Pass:
    """One acquisition: the files that hold it, with band numbers where they hold other dates, too."""

    date: str  # ISO 8601, as exact as known
    orbit: Orbit
    inputs: tuple[str, ...]
    bands: Mapping[str, int] = field(default_factory=dict, hash=False)

    @property
    def day(self) -> str:
        """The date without the time of day."""
        return self.date[:10]

    @property
    def name(self) -> str:
        """For messages: the day and the first file."""
        return f"{self.day} ({short(self.inputs[0])}{', ...' if len(self.inputs) > 1 else ''})"


@dataclass(frozen=True)
class _Piece:
    """What one file holds of one date."""

    path: str
    date: str
    orbit: Orbit
    grid: RasterGrid
    polarisations: frozenset[str]
    bands: Mapping[str, int]

    @property
    def name(self) -> str:
        return short(self.path)


def find_passes(inputs: Sequence[str], dates: Sequence[str], numbers: Mapping[str, int]) -> list[Pass]:
    """The passes in the order of their dates. `dates`: one per input, or none; `numbers`: --bands, for every pass.

    A folder among the inputs is one date. Raises SettingInvalid where no date is known, and DatesMixed where two files
    hold the same ground at the same time.
    """
    told: list[str] = list(dates) or [""] * len(inputs)
    pieces = [
        piece
        for item, date in zip(inputs, told, strict=True)
        for path in expand_inputs([item])
        for piece in _pieces(path, date, numbers)
    ]
    once = {(piece.path, tuple(piece.bands.items())): piece for piece in pieces}  # a raster named twice is one raster
    groups: list[list[_Piece]] = []
    for piece in sorted(once.values(), key=lambda piece: (piece.orbit.key, piece.date, piece.path)):
        if groups and groups[-1][0].orbit.key == piece.orbit.key and _one_pass(groups[-1][-1].date, piece.date):
            groups[-1].append(piece)
        else:
            groups.append([piece])
    for group in groups:
        _refuse_same_ground(group)
    return sorted(map(_pass_of, groups), key=lambda found: (found.date, found.inputs))


def of_one_orbit(passes: Sequence[Pass], wanted: str | None) -> list[Pass]:
    """The passes of the orbit that was asked for: all, a relative orbit, or a direction. Raises SettingInvalid."""
    if wanted is None:
        return list(passes)
    asked = wanted.strip().lower()
    if asked not in _DIRECTIONS and not asked.isdigit():
        raise SettingInvalid(f"--orbit {wanted} is neither a relative orbit (1 to 175) nor ascending nor descending.")
    chosen = [found for found in passes if asked in (str(found.orbit.relative), found.orbit.direction)]
    if not chosen:
        held = ", ".join(f"{label} ({len(group)})" for label, group in by_orbit(passes).items())
        raise SettingInvalid(f"No date is of the orbit {wanted}; the inputs hold {held}.", "Choose one of those.")
    return chosen


def by_orbit(passes: Sequence[Pass]) -> dict[str, list[Pass]]:
    """The passes of each orbit, under its label."""
    groups: dict[str, list[Pass]] = {}
    for found in passes:
        groups.setdefault(found.orbit.key, []).append(found)
    best = {
        key: max((found.orbit for found in group), key=lambda orbit: orbit.direction) for key, group in groups.items()
    }
    return {best[key].label: groups[key] for key in sorted(groups)}


def _pieces(path: str, told: str, numbers: Mapping[str, int]) -> Iterator[_Piece]:
    """The dates of one file: of a stack with a date in every band's name several, else one."""
    with closing(Source(path)) as source:
        facts = source.facts
        stack: dict[str, dict[str, int]] = {}
        for number, label in enumerate(facts.labels, start=1):
            polarisation = label.polarisation or (facts.polarisations[0] if len(facts.polarisations) == 1 else "")
            if label.date and polarisation and not label.auxiliary:
                stack.setdefault(label.date, {}).setdefault(polarisation, number)
        named = {label.polarisation for label in facts.labels if label.polarisation} or set(facts.polarisations)
        one = _Piece(
            path, told or facts.date, Orbit(facts.relative_orbit, facts.orbit), source.grid, frozenset(named), {}
        )
    if len(stack) > 1 and not numbers and not told:
        for date, bands in stack.items():
            yield replace(one, date=date, polarisations=frozenset(bands), bands=bands)
        return
    date = one.date or next(iter(stack), "")
    if not date:
        raise SettingInvalid(
            f"{source.name} tells no date, neither in its tags nor in its name.",
            "Give the dates with --dates, one per input and in their order, such as 2024-06-18 2024-06-30.",
        )
    yield replace(one, date=date, bands=dict(numbers))


def _one_pass(first: str, second: str) -> bool:
    """Whether two ISO dates may be one pass: within half an hour, or the same day or month where that is all."""
    if len(first) >= 19 and len(second) >= 19 and "/" not in first + second:
        return abs(datetime.fromisoformat(first[:19]) - datetime.fromisoformat(second[:19])) <= _ONE_PASS
    length = min(len(first), len(second), 10)
    return first[:length] == second[:length]


def _refuse_same_ground(group: Sequence[_Piece]) -> None:
    """Raises DatesMixed where two files of one pass show the same polarisation of the same ground."""
    for one, other in combinations(group, 2):
        shared = one.polarisations & other.polarisations
        if not shared and (one.polarisations or other.polarisations):
            continue
        if shared_part(pixel_box(one, one.grid), pixel_box(other, one.grid)) > _SAME_GROUND:
            where = f"{one.name} and {other.name}" if one.path != other.path else f"two bands of {one.name}"
            raise DatesMixed(
                f"The date {one.date[:10]} comes twice: {where} show the same ground.",
                "Leave one of them out, or correct --dates.",
            )


def _pass_of(group: Sequence[_Piece]) -> Pass:
    orbit = max((piece.orbit for piece in group), key=lambda orbit: orbit.direction)
    bands: dict[str, int] = {}
    for piece in group:
        bands |= piece.bands
    paths = tuple(dict.fromkeys(piece.path for piece in group))
    return Pass(group[0].date, orbit, paths, bands)

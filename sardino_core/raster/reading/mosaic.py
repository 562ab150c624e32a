"""How several inputs make one scene: layers that fill each other's gaps, the grid they share, the dates they carry.

Geometry and names only: no pixel is read here.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Protocol

from sardino_core.contract.errors import AreaOutside, DatesMixed, NoValidData, SettingInvalid
from sardino_core.raster.grid import PixelWindow, RasterGrid
from sardino_core.raster.reading.band_names import SINGLE_POLARISATIONS
from sardino_core.raster.reading.bands import Channel, Pick
from sardino_core.raster.reading.products import file_stem, same_date
from sardino_core.raster.reading.sources import Source, short

_POLARISATION = re.compile(rf"(?<![A-Za-z0-9])(?:{'|'.join(SINGLE_POLARISATIONS)})(?![A-Za-z0-9])", re.IGNORECASE)
_SPARSE = 50  # times the inputs' own pixels: a mosaic with more is nearly all empty ...
_SMALL = 20_000_000  # ... but does no harm up to this many pixels (samples cut from one scene)
_SAME_PLACE = 0.5  # of the smaller footprint; neighbouring tracks overlap by less


class Placed(Protocol):
    """What geometry needs to know of a file or a scene."""

    @property
    def name(self) -> str:
        """For messages."""

    @property
    def grid(self) -> RasterGrid:
        """Where its pixels are."""


@dataclass(frozen=True)
class Layer:
    """For every channel the bands that hold it, in the order in which they fill each other's gaps."""

    picks: tuple[tuple[Pick, ...], ...]

    @property
    def files(self) -> tuple[int, ...]:
        """The inputs it takes, each once."""
        return tuple(dict.fromkeys(pick.file for picks in self.picks for pick in picks))


def layers_of(picks: Mapping[Channel, Sequence[Pick]], sources: Sequence[Source]) -> list[Layer]:
    """Bands that belong together share a layer, so that no pixel takes VV from one input and VH from another.

    Together belong the bands of one file, and those of files whose names differ in the polarisation alone; whatever is
    left over forms one last layer.
    """
    groups: dict[str, dict[Channel, list[Pick]]] = {}
    for channel, found in picks.items():
        for pick in found:
            groups.setdefault(_group(sources[pick.file].path), {}).setdefault(channel, []).append(pick)
    layers: list[Layer] = []
    rest: dict[Channel, list[Pick]] = {channel: [] for channel in picks}
    for group in groups.values():
        if set(group) == set(picks) and all(len(found) == 1 for found in group.values()):
            layers.append(Layer(tuple(tuple(group[channel]) for channel in picks)))
        else:
            for channel, found in group.items():
                rest[channel] += found
    if all(rest.values()):
        layers.append(Layer(tuple(tuple(found) for found in rest.values())))
    elif any(rest.values()):  # a file that completes nothing: let it fill gaps of its channel
        first = layers.pop()
        layers.append(Layer(tuple((*own, *rest[channel]) for own, channel in zip(first.picks, picks, strict=True))))
    return sorted(layers, key=lambda layer: min(layer.files))


def scene_grid(layers: Sequence[Layer], sources: Sequence[Source]) -> RasterGrid:
    """The first input's grid; extended to the union on its own pixels when inputs repeat a band.

    Raises SettingInvalid when the inputs lie so far apart that the union is nearly all empty.
    """
    used = sorted({file for layer in layers for file in layer.files})
    if len(layers) == 1 and all(len(picks) == 1 for picks in layers[0].picks):
        return sources[used[0]].grid
    return union_grid([sources[file] for file in used])


def union_grid(placed: Sequence[Placed]) -> RasterGrid:
    """The first grid, extended on its own pixels to hold all. Raises SettingInvalid when they lie far apart."""
    first = placed[0].grid
    boxes = [pixel_box(item, first) for item in placed]
    row0, col0 = min(box.row for box in boxes), min(box.col for box in boxes)
    row1, col1 = max(box.row + box.height for box in boxes), max(box.col + box.width for box in boxes)
    union = PixelWindow(row0, col0, row1 - row0, col1 - col0)
    if union.height * union.width > max(_SPARSE * sum(box.height * box.width for box in boxes), _SMALL):
        raise _too_sparse(placed, boxes, union)
    return first.crop(union)


def pixel_box(source: Placed, grid: RasterGrid) -> PixelWindow:
    """Where a file lies on a grid, in its pixels, which may be negative or beyond its size."""
    own = source.grid
    if (own.crs is None) != (grid.crs is None):
        raise SettingInvalid(
            f"{source.name} {'has no CRS' if own.crs is None else 'has a CRS'}, unlike the first input.",
            "Give all inputs a CRS, or none.",
        )
    if own.crs == grid.crs:
        ends = ((0, 0), (own.width, 0), (0, own.height), (own.width, own.height))
        corners = [own.transform @ end for end in ends]
    else:
        try:
            bounds = own.bounds_in(grid.crs, near=grid.bounds)
        except AreaOutside as error:
            raise SettingInvalid(
                f"{source.name} in {own.crs} cannot be brought into the first input's CRS {grid.crs}.",
                "Check the CRS of both, or run them one by one.",
            ) from error
        corners = [(x, y) for x in (bounds.xmin, bounds.xmax) for y in (bounds.ymin, bounds.ymax)]
    cols, rows = zip(*(~grid.transform @ corner for corner in corners), strict=True)
    if not all(map(math.isfinite, (*cols, *rows))):
        raise SettingInvalid(f"{source.name} lies where the first input's CRS {grid.crs} is not defined.")
    row0, col0 = math.floor(min(rows) + 1e-3), math.floor(min(cols) + 1e-3)
    return PixelWindow(row0, col0, math.ceil(max(rows) - 1e-3) - row0, math.ceil(max(cols) - 1e-3) - col0)


def check_overlap(layers: Sequence[Layer], sources: Sequence[Source], grid: RasterGrid) -> None:
    """Bands to be stacked must meet. Raises NoValidData."""
    for layer in layers:
        if any(len(picks) > 1 for picks in layer.picks):
            continue
        for one, other in combinations(layer.files, 2):
            if shared_part(pixel_box(sources[one], grid), pixel_box(sources[other], grid)) == 0:
                raise NoValidData(
                    f"{sources[one].name} and {sources[other].name} hold different bands, but do not overlap.",
                    "Give files of one place.",
                )


def check_dates(picks: Mapping[Channel, Sequence[Pick]], sources: Sequence[Source], grid: RasterGrid) -> str:
    """Refuse several dates (or seasons) of one place; returns a warning when dates differ side by side, else nothing.

    Raises DatesMixed. Channels of different seasons may of course differ.
    """
    seen: dict[tuple[int, str, str], set[str]] = {}  # (file, date, season) -> seasons of the channels it serves
    for channel, found in picks.items():
        for pick in found:
            facts = sources[pick.file].facts
            label = facts.labels[pick.band - 1]
            key = pick.file, label.date or facts.date, label.season or facts.season
            seen.setdefault(key, set()).add(channel.season)
    warning = ""
    distinct = {(date, season) for _, date, season in seen}
    if len(distinct) < 2:
        return ""
    for (one, date, season), (other, other_date, other_season) in combinations(seen, 2):
        seasons_differ = bool(season and other_season and season != other_season)
        if same_date(date, other_date) and not seasons_differ:
            continue
        if seen[one, date, season].isdisjoint(seen[other, other_date, other_season]):
            continue
        if one == other or shared_part(pixel_box(sources[one], grid), pixel_box(sources[other], grid)) > _SAME_PLACE:
            dates = sorted({(date or season)[:10], (other_date or other_season)[:10]})
            raise DatesMixed(
                f"The inputs show one place at several dates, such as {' and '.join(dates)}; a map needs one.",
                "Give the files of one date, or a temporal composite of them as one raster.",
            )
        warning = "The inputs are of different dates side by side: seams between them may show."
    return warning


def _too_sparse(sources: Sequence[Placed], boxes: Sequence[PixelWindow], union: PixelWindow) -> SettingInvalid:
    """The error for inputs far apart; names the first and the one furthest from it."""
    from_first = [math.hypot(box.row - boxes[0].row, box.col - boxes[0].col) for box in boxes]
    furthest = max(range(len(boxes)), key=lambda index: from_first[index])
    return SettingInvalid(
        f"{sources[0].name} and {sources[furthest].name} lie {from_first[furthest]:.0f} pixels apart: one map of all "
        f"inputs would have {union.width} x {union.height} pixels, more than {_SPARSE} times their own.",
        "Check their CRS, or give only what lies together.",
    )


def _group(path: str) -> str:
    """The path with every polarisation in the file's name replaced by one sign."""
    stem = file_stem(path)
    folder = path[: len(path) - len(short(path))]
    return folder + _POLARISATION.sub("*", stem)


def shared_part(one: PixelWindow, other: PixelWindow) -> float:
    """The overlap of two boxes as a part of the smaller."""
    rows = min(one.row + one.height, other.row + other.height) - max(one.row, other.row)
    cols = min(one.col + one.width, other.col + other.width) - max(one.col, other.col)
    if rows <= 0 or cols <= 0:
        return 0.0
    return rows * cols / min(one.height * one.width, other.height * other.width)

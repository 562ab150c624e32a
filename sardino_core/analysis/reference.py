"""What the reference says at the map's pixels: counts of map class against reference class. Streamed.

The reference is a raster (on any grid, nearest neighbour), labelled polygons, or the points of a stratified sample.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import rasterio
from numpy.typing import NDArray

from sardino_core.analysis.class_map import ClassMap, Stratum
from sardino_core.analysis.sample_file import LabelledPoint
from sardino_core.contract.errors import AreaOutside, InputMissing, NotARaster, SettingInvalid
from sardino_core.contract.listener import Listener
from sardino_core.contract.model_spec import UNSURE_NAME, UNSURE_VALUE, ClassSpec
from sardino_core.raster.grid import PixelWindow
from sardino_core.raster.reading.labels import LabelRaster
from sardino_core.raster.reading.polygons import Polygons

LEFT_OUT = -1  # in place of a class's index
_MANY_VALUES = 1000  # of a raster that is no class map
Labels = Callable[[PixelWindow], tuple[NDArray[np.int64], NDArray[np.bool_]]]  # values (h, w), known (h, w)


@dataclass(frozen=True)
class Legend:
    """The classes that both sides are counted by, and how the reference's own values are read."""

    classes: tuple[ClassSpec, ...]
    mapping: Mapping[int, int] = field(default_factory=dict)  # reference value -> class, 0: left out

    @staticmethod
    def of(classified: ClassMap, strata: Sequence[Stratum], mapping: Mapping[int, int]) -> Legend:
        """The map's classes; without names in its file, those that the mapping adds, too. Raises SettingInvalid."""
        known = classified.classes([stratum.item.value for stratum in strata])
        wanted = [target for target in dict.fromkeys(mapping.values()) if target]
        missing = [target for target in wanted if target not in {item.value for item in known}]
        if missing and classified.named:
            raise SettingInvalid(
                f"The mapping names the class {missing[0]}, which {classified.name} does not have; its classes are "
                f"{', '.join(f'{item.value} {item.name}' for item in known)}.",
                "Map to one of these, or to 0 to leave a value out.",
            )
        return Legend((*known, *map(classified.class_of, missing)), mapping)

    def index(self, value: int) -> int | None:
        """Index of the class that a reference value stands for; LEFT_OUT for none, or None for an unknown value."""
        target = self.mapping.get(value, value)
        for index, item in enumerate(self.classes):
            if item.value == target:
                return index
        return LEFT_OUT if target in (0, UNSURE_VALUE) else None

    def index_of_text(self, text: str) -> int | None:
        """The same for a text: a class's name in any case, or a value however it is written."""
        folded = text.strip().casefold()
        for index, item in enumerate(self.classes):
            if item.name.casefold() == folded:
                return index
        if folded in ("", UNSURE_NAME):
            return LEFT_OUT
        try:
            number = float(folded)
        except ValueError:
            return None
        return self.index(int(number)) if number.is_integer() else None

    def unknown(self, name: str, found: Sequence[str]) -> SettingInvalid:
        """The error for reference values that are no class."""
        shown = ", ".join(found[:8]) + (", ..." if len(found) > 8 else "")
        return SettingInvalid(
            f"The reference {name} holds {shown}: no class of the map. Its classes are "
            f"{', '.join(f'{item.value} {item.name}' for item in self.classes)}.",
            f"Say what they are, or leave them out with 0: --mapping={_number(found[0])}=0,...",
        )


@dataclass(frozen=True)
class Tally:
    """`counts` (R, K): map classes and, last, `unsure` in the rows; reference classes in the columns."""

    counts: NDArray[np.int64]
    left_out: int  # labelled by a value that the mapping leaves out, or without any label

    @staticmethod
    def empty(legend: Legend) -> Tally:
        """Nothing counted yet."""
        return Tally(np.zeros((len(legend.classes) + 1, len(legend.classes)), np.int64), 0)


def tally_pixels(
    classified: ClassMap, strata: Sequence[Stratum], labels: Labels, legend: Legend, name: str, listener: Listener
) -> Tally:
    """Compare pixel by pixel, window by window. Raises SettingInvalid for values that are no class."""
    seen: Counter[tuple[int, int]] = Counter()  # (reference value, map value)
    for window in classified.windows():
        listener.raise_if_cancelled()
        values, valid = classified.read(window)
        if valid.any():
            found, known = labels(window)
            both = valid & known
            pairs, times = np.unique(found[both] * 256 + values[both], return_counts=True)
            for pair, count in zip(pairs.tolist(), times.tolist(), strict=True):
                seen[divmod(pair, 256)] += count
        if len({value for value, _ in seen}) > _MANY_VALUES:
            raise NotARaster(f"{name} holds more than {_MANY_VALUES} values: it is no map of classes.")
        listener.progress(0.5 + 0.5 * (window.row + window.height) / classified.grid.height, "comparing")
    return _sorted_out(seen, strata, legend, name)


def _sorted_out(seen: Mapping[tuple[int, int], int], strata: Sequence[Stratum], legend: Legend, name: str) -> Tally:
    unknown = sorted({value for value, _ in seen if legend.index(value) is None})
    if unknown:
        raise legend.unknown(name, [str(value) for value in unknown])
    rows = rows_of(strata, legend)
    tally, left_out = Tally.empty(legend), 0
    for (value, mapped), count in seen.items():
        index = legend.index(value)
        if index is None or index == LEFT_OUT:
            left_out += count
        else:
            tally.counts[rows[mapped], index] += count
    return Tally(tally.counts, left_out)


def rows_of(strata: Sequence[Stratum], legend: Legend) -> dict[int, int]:
    """Map value to row: the class's index, or the last row for `unsure`."""
    rows = {item.value: index for index, item in enumerate(legend.classes)}
    return rows | {stratum.item.value: len(legend.classes) for stratum in strata if stratum.unsure}


def raster_labels(reference: LabelRaster) -> Labels:
    """Labels of a raster on the map's grid."""

    def labels(window: PixelWindow) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        with rasterio.Env():
            return reference.read(window)

    return labels


def open_reference_raster(path: str, classified: ClassMap) -> LabelRaster:
    """The reference on the map's grid. Raises InputMissing, NotARaster, or AreaOutside where they do not meet."""
    if not Path(path).exists():
        raise InputMissing(f"The reference {path} does not exist.", "Check the path.")
    with rasterio.Env():
        return LabelRaster([Path(path)], classified.grid)


def polygon_labels(polygons: Mapping[str, Polygons], legend: Legend, name: str) -> Labels:
    """Labels of polygons: class values, by pixel centres; where polygons overlap, the first counts.

    Raises SettingInvalid for labels that are no class.
    """
    unknown = [label for label in polygons if legend.index_of_text(label) is None]
    if unknown:
        raise legend.unknown(name, unknown)
    areas = [(legend.index_of_text(label), area) for label, area in polygons.items()]
    if all(area.window is None for _, area in areas):
        raise AreaOutside(f"The reference {name} lies outside the map.", "Check the CRS of both.")
    by_value = [(legend.classes[index].value, area) for index, area in areas if index is not None and index >= 0]

    def labels(window: PixelWindow) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        values = np.zeros((window.height, window.width), np.int64)
        known = np.zeros(values.shape, bool)
        for value, area in by_value:
            fresh = area.covers(window) & ~known
            values[fresh] = value
            known |= fresh
        return values, known

    return labels


def tally_points(
    points: Sequence[LabelledPoint], classified: ClassMap, strata: Sequence[Stratum], legend: Legend, name: str
) -> Tally:
    """Count the labelled points of a sample that was drawn from this very map.

    Raises SettingInvalid for points without their design, of another map, or with labels that are no class.
    """
    unknown = sorted({point.reference for point in points if legend.index_of_text(point.reference) is None})
    if unknown:
        raise legend.unknown(name, unknown)
    if any(point.pixels is None or point.drawn is None for point in points):
        raise SettingInvalid(
            f"The points of {name} lack the weights of their strata (fields `pixels` and `drawn`): no area-adjusted "
            f"estimate is possible.",
            "Draw points with `sardino samplepoints` and label those, or give a raster or polygons for mere agreement.",
        )
    by_value = {stratum.item.value: stratum for stratum in strata}
    rows, tally, left_out = rows_of(strata, legend), Tally.empty(legend), 0
    places: Counter[tuple[int, int]] = Counter()
    for point in sorted(points, key=lambda item: (item.row, item.col)):
        mapped = _mapped(point, classified)
        stratum = by_value.get(mapped) if mapped is not None else None
        if stratum is None or stratum.pixels != point.pixels or point.map_value not in (None, mapped):
            raise SettingInvalid(
                f"The points of {name} were not drawn from {classified.name} as it is: pixels or classes differ.",
                "Give the map that the points were drawn from, or draw new ones.",
            )
        places[point.row, point.col] += 1
        index = legend.index_of_text(point.reference)
        if index is None or index == LEFT_OUT:
            left_out += 1
        else:
            tally.counts[rows[stratum.item.value], index] += 1
    if max(places.values()) > 1:
        raise SettingInvalid(f"{name} holds several points in one pixel.", "Remove those that were not drawn.")
    return Tally(tally.counts, left_out)


def _mapped(point: LabelledPoint, classified: ClassMap) -> int | None:
    if point.row < 0:
        return None
    values, valid = classified.read(PixelWindow(point.row, point.col, 1, 1))
    return int(values[0, 0]) if valid[0, 0] else None


def _number(text: str) -> str:
    return text if text.lstrip("-").isdigit() else "VALUE"

"""A land-cover map as a whole: its classes, how many pixels and how much ground each of them has. Read in windows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from rasterio.windows import Window

from sardino_core.analysis.pixel_area import pixel_areas
from sardino_core.contract.errors import NotARaster, NoValidData
from sardino_core.contract.listener import Listener
from sardino_core.contract.model_spec import UNSURE_NAME, UNSURE_VALUE, ClassSpec
from sardino_core.raster.block_cache import bounded_cache
from sardino_core.raster.grid import PixelWindow, RasterGrid
from sardino_core.raster.reading.sources import damage_of, open_raster, short
from sardino_core.raster.writing.class_legend import NODATA, read_aux_xml

_WINDOW_PX = 1 << 20  # of one reading
_GREY = "#808080"
_BLACK = "#000000"  # what a GeoTIFF's colour table holds for the values that were given no colour


@dataclass(frozen=True)
class Stratum:
    """A class as it is mapped."""

    item: ClassSpec
    pixels: int
    area: float  # hectares, or pixels without a CRS

    @property
    def unsure(self) -> bool:
        """Whether it is the part of the map where the model did not decide."""
        return is_unsure(self.item)


class ClassMap:
    """A raster of whole numbers 0 to 255, opened. Nodata is what the file declares, or 0 where it declares nothing."""

    def __init__(self, path: str) -> None:
        """Open `path`. Raises InputMissing, or NotARaster for what is no map of classes."""
        self.name = short(path)
        self.dataset: Any = open_raster(path)
        data = self.dataset
        if data.count == 0:
            data.close()
            raise NotARaster(f"{self.name} is a container without bands of its own.", "Give one of its parts.")
        if np.dtype(data.dtypes[0]).kind not in "iu":
            data.close()
            raise NotARaster(
                f"{self.name} holds {data.dtypes[0]} values, but a class map holds whole numbers.",
                "Convert it, to bytes for example: gdal_translate -ot Byte, in QGIS Raster > Conversion > Translate.",
            )
        on_a_map = data.crs is not None and (data.crs.is_geographic or data.crs.is_projected)  # not a local CRS
        self.grid = RasterGrid(data.width, data.height, data.transform, data.crs if on_a_map else None)
        self.named = {item.value: item for item in read_aux_xml(Path(path + ".aux.xml"))}
        self._colours = _colours(data)

    def windows(self) -> Iterator[PixelWindow]:
        """All pixels once, in windows of whole blocks and bounded size."""
        rows, cols = self.dataset.block_shapes[0]
        width = min(self.grid.width, max(cols, _WINDOW_PX // rows // cols * cols))
        height = min(self.grid.height, max(rows, _WINDOW_PX // width // rows * rows))
        for row in range(0, self.grid.height, height):
            for col in range(0, self.grid.width, width):
                yield PixelWindow(row, col, min(height, self.grid.height - row), min(width, self.grid.width - col))

    def read(self, window: PixelWindow) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
        """Classes (h, w) and where there are any (h, w); nodata pixels hold 0. Raises NotARaster."""
        area = Window(window.col, window.row, window.width, window.height)
        with damage_of(self.name), bounded_cache():
            values = self.dataset.read(1, window=area)
            valid = self.dataset.read_masks(1, window=area) > 0
        if self.dataset.nodata is None:
            valid &= values != NODATA
        values[~valid] = 0
        if values.size and (values.min() < 0 or values.max() > 255):
            raise NotARaster(
                f"{self.name} holds values from {values.min()} to {values.max()}; a class map has 0 to 255.",
                "Give a land-cover map.",
            )
        return values.astype(np.uint8, copy=False), valid

    def class_of(self, value: int) -> ClassSpec:
        """Name and colour, as far as the file says them."""
        known = self.named.get(value)
        name = known.name if known else UNSURE_NAME if value == UNSURE_VALUE else f"class {value}"
        return ClassSpec(value, name, (known.colour if known else "") or self._colours.get(value, _GREY))

    def legend(self, present: Sequence[int]) -> dict[int, ClassSpec]:
        """What the file itself says of its classes, by value: name and colour, each empty where it does not say it.

        A black that is not `present` in the map only fills up the colour table.
        """
        coloured = {v: ClassSpec(v, "", c) for v, c in self._colours.items() if c != _BLACK or v in present}
        named = {v: ClassSpec(v, item.name, item.colour or self._colours.get(v, "")) for v, item in self.named.items()}
        skip = {NODATA, self.dataset.nodata}
        return {value: item for value, item in sorted({**coloured, **named}.items()) if value not in skip}

    def classes(self, present: Sequence[int]) -> tuple[ClassSpec, ...]:
        """The legend's classes, then those present without a name; neither nodata nor `unsure`."""
        skip = {self.dataset.nodata if self.dataset.nodata is not None else NODATA}
        values = [value for value in dict.fromkeys((*self.named, *present)) if value not in skip]
        return tuple(item for item in map(self.class_of, values) if not is_unsure(item))

    def close(self) -> None:
        """Close the file."""
        self.dataset.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


def survey(classified: ClassMap, listener: Listener, share: float = 1.0) -> tuple[Stratum, ...]:
    """Pixels and area of every class that the map holds, by value; one pass. `share`: of the listener's progress.

    Raises NoValidData for a map of nodata alone.
    """
    pixels, area = np.zeros(256, np.int64), np.zeros(256)
    for window in classified.windows():
        listener.raise_if_cancelled()
        values, valid = classified.read(window)
        ground = pixel_areas(classified.grid, window)
        if (ground == ground[0]).all():
            counts = np.bincount(values[valid], minlength=256)
            pixels, area = pixels + counts, area + counts * ground[0]
        else:
            for row, (line, known) in enumerate(zip(values, valid, strict=True)):
                counts = np.bincount(line[known], minlength=256)
                pixels, area = pixels + counts, area + counts * ground[row]
        done = (window.row + window.height) / classified.grid.height
        listener.progress(share * done, "counting the map's pixels")
    found = tuple(Stratum(classified.class_of(int(v)), int(pixels[v]), float(area[v])) for v in np.flatnonzero(pixels))
    if not found:
        raise NoValidData(f"{classified.name} holds no class: everything is nodata.", "Give a land-cover map.")
    return found


def is_unsure(item: ClassSpec) -> bool:
    """The model's abstention: value 254, unless the map's own legend calls that something else."""
    return item.value == UNSURE_VALUE and item.name.casefold() == UNSURE_NAME


def _colours(dataset: Any) -> Mapping[int, str]:
    try:
        table = dataset.colormap(1)
    except ValueError:  # there is none
        return {}
    return {value: f"#{r:02x}{g:02x}{b:02x}" for value, (r, g, b, _) in table.items()}

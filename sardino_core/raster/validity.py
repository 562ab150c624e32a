"""Which pixels count: a local rule on the values, and the areas that the user leaves out (cutline, mask)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rasterio.enums import Resampling

from sardino_core.contract.errors import NotARaster
from sardino_core.contract.jobs import Units
from sardino_core.raster.grid import PixelWindow, RasterGrid
from sardino_core.raster.polygons import Polygons, outside, read_polygons
from sardino_core.raster.sources import Reader, Source, aligned_offset, reader_on, short

_VECTOR_SUFFIXES = (".geojson", ".json", ".gpkg", ".shp", ".fgb", ".kml", ".gml", ".parquet")


def valid_values(values: NDArray[np.float32], units: Units) -> NDArray[np.bool_]:
    """(h, w) of values (B, h, w) in their own units.

    Invalid: NaN or infinite in any band; exactly 0 in every band of dB, or in any band of power, amplitude or numbers
    (a lone 0 dB is a bright pixel, zero power is no measurement).
    """
    rule = np.any(values != 0, axis=0) if units == "db" else np.all(values > 0, axis=0)
    return np.asarray(np.all(np.isfinite(values), axis=0) & rule)


class Mask:
    """What a mask covers on a grid: non-zero pixels of a raster, or polygons."""

    def __init__(self, path: str, grid: RasterGrid) -> None:
        """Open `path`. Raises AreaOutside when it does not meet the grid."""
        self._polygons: Polygons | None = None
        self._source: Source | None = None
        if Path(path).suffix.lower() in _VECTOR_SUFFIXES:
            self._polygons = read_polygons(path, grid, "mask")
            if self._polygons.window is None:
                raise outside("mask", path, grid)
            return
        try:
            self._source = Source(path)
        except NotARaster as error:
            raise NotARaster(f"The mask {short(path)} is neither a raster nor GeoJSON.", error.hint) from error
        self._reader = self._on(path, self._source, grid)

    @staticmethod
    def _on(path: str, source: Source, grid: RasterGrid) -> Reader:
        own = source.grid
        same_shape = (own.width, own.height) == (grid.width, grid.height)
        if (own.crs is None or grid.crs is None) and same_shape and aligned_offset(own, grid) is None:
            own = source.grid = grid  # a mask made in image coordinates
        bounds = own.bounds if own.crs == grid.crs or None in (own.crs, grid.crs) else own.bounds_in(grid.crs)
        covered = grid.bounds
        if not (bounds.xmin < covered.xmax and bounds.xmax > covered.xmin):
            raise outside("mask", path, grid)
        if not (bounds.ymin < covered.ymax and bounds.ymax > covered.ymin):
            raise outside("mask", path, grid)
        return reader_on(source, grid, resampling=Resampling.nearest)

    def covers(self, window: PixelWindow) -> NDArray[np.bool_]:
        """(h, w): True where the mask says that the pixel must not be used; its own nodata says nothing."""
        if self._polygons is not None:
            return self._polygons.covers(window)
        values = self._reader.read([1], window)[0]
        covered: NDArray[np.bool_] = np.isfinite(values) & (values != 0)
        return covered

    def close(self) -> None:
        """Close the file."""
        if self._source is not None:
            self._source.close()

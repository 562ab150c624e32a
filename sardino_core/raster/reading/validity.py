"""Which pixels count: a local rule on the values, and the areas that the user leaves out (cutline, mask)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from rasterio.enums import Resampling

from sardino_core.contract.errors import AreaOutside, NotARaster
from sardino_core.contract.jobs import Units
from sardino_core.raster.grid import PixelWindow, RasterGrid
from sardino_core.raster.reading.polygons import Polygons, outside, read_polygons
from sardino_core.raster.reading.products import mask_values
from sardino_core.raster.reading.sources import AlignedReader, Source, WarpedReader, aligned_offset, reader_on, short
from sardino_core.raster.reading.vector_file import is_vector

_LOWEST_DB = -100.0


def valid_values(values: NDArray[np.float32], units: Units) -> NDArray[np.bool_]:
    """(h, w) of values (B, h, w) in their own units.

    Invalid: NaN or infinite in any band; exactly 0 in every band of dB, or in any band of power, amplitude or numbers
    (a lone 0 dB is a bright pixel, zero power is no measurement); below -100 dB in any band (undeclared nodata such as
    -9999: Sentinel-1's noise alone is at -22 to -30 dB).
    """
    if units != "db":
        return np.asarray(np.all(np.isfinite(values) & (values > 0), axis=0))
    return np.asarray(np.all(np.isfinite(values) & (values > _LOWEST_DB), axis=0) & np.any(values != 0, axis=0))


class Mask:
    """What a mask covers on a grid: non-zero pixels of a raster (layover and shadow of known products), or polygons."""

    def __init__(self, path: str, grid: RasterGrid) -> None:
        """Open `path`. Raises AreaOutside when it does not meet the grid."""
        self._polygons: Polygons | None = None
        self._source: Source | None = None
        if is_vector(path):
            self._polygons = read_polygons(path, grid, "mask")
            if self._polygons.window is None:
                raise outside("mask", path, grid)
            return
        try:
            self._source = Source(path)
        except NotARaster as error:
            raise NotARaster(f"The mask {short(path)} is neither a raster nor GeoJSON.", error.hint) from error
        self._values = mask_values(path)
        try:
            self._reader = self._on(path, self._source, grid)
        except BaseException:
            self._source.close()
            raise

    @staticmethod
    def _on(path: str, source: Source, grid: RasterGrid) -> AlignedReader | WarpedReader:
        own = source.grid = source.grid.turned_to(grid)
        same_shape = (own.width, own.height) == (grid.width, grid.height)
        if (own.crs is None or grid.crs is None) and same_shape and aligned_offset(own, grid) is None:
            own = source.grid = grid  # a mask made in image coordinates
        covered = grid.bounds
        if grid.crs is None or own.crs in (None, grid.crs):
            bounds = own.bounds
        else:
            try:
                bounds = own.bounds_in(grid.crs, near=covered)
            except AreaOutside as error:
                raise outside("mask", path, grid) from error
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
        if self._values is not None:
            return np.isin(values, self._values)
        covered: NDArray[np.bool_] = np.isfinite(values) & (values != 0)
        return covered

    def close(self) -> None:
        """Close the file, and the view that lays it on the grid."""
        if self._source is not None:
            if isinstance(self._reader, WarpedReader):
                self._reader.close()
            self._source.close()

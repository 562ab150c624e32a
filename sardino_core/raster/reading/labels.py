"""Label rasters on any grid, warped (nearest neighbour) onto an image's grid, window by window.

Values come out as they are in the file. What a value means is the business of training.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.enums import ColorInterp, Resampling
from rasterio.errors import RasterioError
from rasterio.vrt import WarpedVRT
from rasterio.windows import Window

from sardino_core.contract.errors import AreaOutside, NotARaster
from sardino_core.raster.grid import PixelWindow, RasterGrid

_INTEGERS = ("uint8", "int8", "uint16", "int16", "uint32", "int32")


class LabelRaster:
    """Band 1 of one or more label rasters on an image's grid; where several cover a pixel, the first wins."""

    def __init__(self, paths: Sequence[Path], grid: RasterGrid) -> None:
        """Raises NotARaster for what cannot be read, AreaOutside when none of the rasters meets the grid."""
        self.paths = tuple(paths)
        self._stack = ExitStack()
        try:
            self._layers = [self._open(path, grid) for path in self.paths]
        except BaseException:
            self.close()
            raise

    def read(self, window: PixelWindow) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        """Values (h, w), and where there is a label at all (h, w): inside a raster, and not its nodata."""
        area = Window(window.col, window.row, window.width, window.height)
        values = np.zeros((window.height, window.width), np.int64)
        known = np.zeros(values.shape, np.bool_)
        for path, layer in zip(self.paths, self._layers, strict=True):
            try:
                found = layer.read(1, window=area).astype(np.int64)
                inside = layer.dataset_mask(window=area) > 0
            except RasterioError as error:
                raise NotARaster(f"{path.name} cannot be read to its end ({error}).", "Fetch it again.") from error
            fresh = inside & ~known
            values[fresh] = found[fresh]
            known |= inside
        return values, known

    def close(self) -> None:
        """Close the files."""
        self._stack.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _open(self, path: Path, grid: RasterGrid) -> WarpedVRT | rasterio.DatasetReader:
        try:
            dataset = rasterio.open(path)
        except RasterioError as error:
            raise NotARaster(f"{path.name} is not a raster that GDAL can open ({error}).") from error
        self._stack.callback(dataset.close)  # no context manager: rasterio's belong to the thread that entered them
        own = RasterGrid(dataset.width, dataset.height, dataset.transform, dataset.crs)
        if dataset.dtypes[0] not in _INTEGERS:
            raise NotARaster(f"{path.name} holds {dataset.dtypes[0]} values; labels must be whole numbers.")
        if dataset.count >= 3 and dataset.colorinterp[0] == ColorInterp.red:
            raise NotARaster(f"{path.name} is a picture in red, green and blue; labels are class numbers in one band.")
        if grid.matches(own):
            return dataset
        _require_overlap(path, own, grid)
        # An alpha band tells pixels outside the label raster from label 0 where the file has no nodata value.
        options = {"add_alpha": True} if dataset.nodata is None else {}
        warped = WarpedVRT(
            dataset,
            crs=grid.crs,
            transform=grid.transform,
            width=grid.width,
            height=grid.height,
            resampling=Resampling.nearest,
            **options,
        )
        self._stack.callback(warped.close)
        return warped


def overlaps(path: Path, grid: RasterGrid) -> bool:
    """Whether a label raster meets an image's grid. Raises NotARaster."""
    try:
        with rasterio.open(path) as dataset:
            own = RasterGrid(dataset.width, dataset.height, dataset.transform, dataset.crs)
    except RasterioError as error:
        raise NotARaster(f"{path.name} is not a raster that GDAL can open ({error}).") from error
    try:
        _require_overlap(path, own, grid)
    except AreaOutside:
        return False
    return True


def _require_overlap(path: Path, own: RasterGrid, grid: RasterGrid) -> None:
    if (own.crs is None) != (grid.crs is None):
        raise AreaOutside(
            f"{path.name} and its image cannot be aligned: only one of them has a coordinate system.",
            "Assign the missing one.",
        )
    bounds = own.bounds if own.crs == grid.crs else own.bounds_in(grid.crs)
    image = grid.bounds
    if not (
        bounds.xmin < image.xmax and image.xmin < bounds.xmax and bounds.ymin < image.ymax and image.ymin < bounds.ymax
    ):
        raise AreaOutside(f"{path.name} does not overlap its image.", "Check which labels belong to which image.")

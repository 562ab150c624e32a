"""One input file each: opened with clear errors, and read as float32 with NaN for no data, on any grid.

Knows nothing of polarisations or units: values are the file's own (scale and offset applied), bands are numbers.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio._err import CPLE_BaseError
from rasterio.crs import CRS
from rasterio.enums import MaskFlags, Resampling
from rasterio.errors import NotGeoreferencedWarning, RasterioError
from rasterio.vrt import WarpedVRT
from rasterio.windows import Window

from sardino_core.contract.errors import InputMissing, NotARaster, NotCalibrated
from sardino_core.raster.grid import PixelWindow, RasterGrid
from sardino_core.raster.reading.calibration import CALIBRATE
from sardino_core.raster.reading.file_layout import FileLayout, is_remote
from sardino_core.raster.reading.products import FileFacts, file_facts, is_uncalibrated

# GDAL's messages belong to the log; without a handler Python would print them on stderr.
logging.getLogger("rasterio").addHandler(logging.NullHandler())

_ALIGNED_PX = 1e-3  # grids that agree to this part of a pixel share their pixels


class Reader(Protocol):
    """Pixels of some bands on the grid it was made for."""

    def read(self, bands: Sequence[int], window: PixelWindow) -> NDArray[np.float32]:
        """(B, h, w) float32; NaN where there is no data. Band numbers start at 1."""


class Source:
    """An open raster file."""

    def __init__(self, path: str) -> None:
        """Open `path`. Raises InputMissing, NotARaster, or NotCalibrated for a product without map geometry."""
        if is_uncalibrated(path):
            raise NotCalibrated(f"{short(path)} is an uncalibrated Sentinel-1 product without map geometry.", CALIBRATE)
        self.path = path
        self.name = short(path)
        self.dataset = open_raster(path)
        try:
            with damage_of(self.name):
                self._describe()
        except BaseException:
            self.dataset.close()
            raise

    def _describe(self) -> None:
        data = self.dataset
        if data.count == 0:
            raise NotARaster(f"{self.name} is a container without bands of its own.", _subdatasets(data.subdatasets))
        gcps = data.gcps[0]
        if data.crs is None and (gcps or data.driver == "SAFE"):
            raise NotCalibrated(
                f"{self.name} has ground control points instead of map coordinates, as uncalibrated GRD has.", CALIBRATE
            )
        if any(dtype.startswith("complex") for dtype in data.dtypes):
            raise NotCalibrated(
                f"{self.name} holds complex numbers (SLC data), neither detected nor calibrated.", CALIBRATE
            )
        self.grid = RasterGrid(data.width, data.height, data.transform, _map_crs(data.crs))
        self.dtypes: tuple[str, ...] = tuple(data.dtypes)
        self.simulated = self.dataset.tags().get("SARDINO_SIMULATED") == "YES"
        self.facts: FileFacts = file_facts(self.path, self._tags(), data.descriptions, data.dtypes[0])
        self._flags = [set(flags) for flags in data.mask_flag_enums]

    def _tags(self) -> dict[str, str]:
        tags = dict(self.dataset.tags())
        for number, unit in enumerate(self.dataset.units, start=1):
            if unit:
                tags[f"unit of band {number}"] = unit
        return tags

    @property
    def count(self) -> int:
        """Number of bands."""
        return int(self.dataset.count)

    @property
    def block(self) -> tuple[int, int]:
        """(rows, cols) of the file's blocks, which are decoded whole."""
        rows, cols = self.dataset.block_shapes[0]
        return int(rows), int(cols)

    @property
    def layout(self) -> FileLayout:
        """How it is stored."""
        data = self.dataset
        compression = data.compression.value.lower() if data.compression else ""
        return FileLayout(self.name, is_remote(self.path), compression, self.block[1] == data.width, data.width)

    def read(self, bands: Sequence[int], window: PixelWindow) -> NDArray[np.float32]:
        """(B, h, w) of a window inside the file, float32, NaN where the file has no data."""
        area = _rasterio_window(window)
        with damage_of(self.name):
            raw = self.dataset.read(list(bands), window=area)
            out: NDArray[np.float32] = raw.astype(np.float32, copy=raw.dtype != np.float32)
            for index, band in enumerate(bands):
                self._apply_nodata(out[index], raw[index], band, area)
                scale, offset = self.dataset.scales[band - 1], self.dataset.offsets[band - 1]
                if scale != 1.0 or offset != 0.0:
                    out[index] = out[index] * np.float32(scale) + np.float32(offset)
        return out

    def _apply_nodata(self, out: NDArray[np.float32], raw: NDArray[Any], band: int, area: Window) -> None:
        nodata = self.dataset.nodatavals[band - 1]
        if nodata is not None and not math.isnan(nodata):
            out[_equals(raw, nodata)] = np.nan
        if MaskFlags.per_dataset in self._flags[band - 1] or MaskFlags.alpha in self._flags[band - 1]:
            out[self.dataset.read_masks(band, window=area) == 0] = np.nan

    def close(self) -> None:
        """Close the file."""
        self.dataset.close()


class AlignedReader:
    """A file whose pixels coincide with those of the grid, at an offset; outside the file there is no data."""

    def __init__(self, source: Source, row: int, col: int) -> None:
        """`row`, `col`: where the file's first pixel lies on the grid."""
        self._source, self._row, self._col = source, row, col

    def read(self, bands: Sequence[int], window: PixelWindow) -> NDArray[np.float32]:
        """(B, h, w) float32, NaN outside the file."""
        grid = self._source.grid
        top, left = max(window.row, self._row), max(window.col, self._col)
        bottom = min(window.row + window.height, self._row + grid.height)
        right = min(window.col + window.width, self._col + grid.width)
        inside = PixelWindow(top - self._row, left - self._col, bottom - top, right - left)
        if inside.height == window.height and inside.width == window.width:
            return self._source.read(bands, inside)
        out = np.full((len(bands), window.height, window.width), np.nan, np.float32)
        if inside.height > 0 and inside.width > 0:
            rows = slice(top - window.row, bottom - window.row)
            out[:, rows, left - window.col : right - window.col] = self._source.read(bands, inside)
        return out


class WarpedReader:
    """A file on another grid, resampled pixel by pixel as it is read."""

    def __init__(self, source: Source, grid: RasterGrid, *, resampling: Resampling, zero_is_nodata: bool) -> None:
        """`zero_is_nodata`: undeclared zeros around the image must not bleed into it."""
        self._source = source
        declared = source.dataset.nodata
        nodata = declared if declared is not None else (0.0 if zero_is_nodata else np.nan)
        with damage_of(source.name):
            self._vrt = WarpedVRT(
                source.dataset,
                src_crs=source.grid.crs or grid.crs,
                src_transform=source.grid.transform if source.grid.transform != source.dataset.transform else None,
                crs=grid.crs or source.grid.crs,
                transform=grid.transform,
                width=grid.width,
                height=grid.height,
                resampling=resampling,
                src_nodata=nodata,
                nodata=np.nan,
                dtype="float32",
                tolerance=0.01,  # of a pixel
                warp_extras=_fixed_scale(source.grid, grid),
            )

    def read(self, bands: Sequence[int], window: PixelWindow) -> NDArray[np.float32]:
        """(B, h, w) float32, NaN outside the file and where it has no data."""
        data = self._source.dataset
        # In GDAL's fixed blocks; warping the request as a whole, the last bits would depend on the window.
        with damage_of(self._source.name), rasterio.Env(GDAL_VRT_WARP_USE_DATASET_RASTERIO="NO"):
            out: NDArray[np.float32] = self._vrt.read(list(bands), window=_rasterio_window(window))
        for index, band in enumerate(bands):
            scale, offset = data.scales[band - 1], data.offsets[band - 1]
            if scale != 1.0 or offset != 0.0:
                out[index] = out[index] * np.float32(scale) + np.float32(offset)
        return out

    def close(self) -> None:
        """Close the warped view; the source stays open."""
        self._vrt.close()


def reader_on(
    source: Source, grid: RasterGrid, *, resampling: Resampling = Resampling.bilinear, zero_is_nodata: bool = False
) -> AlignedReader | WarpedReader:
    """Read `source` on `grid`: directly where the pixels coincide, resampled otherwise."""
    offset = aligned_offset(source.grid, grid)
    if offset is not None:
        return AlignedReader(source, *offset)
    return WarpedReader(source, grid, resampling=resampling, zero_is_nodata=zero_is_nodata)


def aligned_offset(inner: RasterGrid, grid: RasterGrid) -> tuple[int, int] | None:
    """(row, col) of `inner`'s first pixel on `grid` when all pixels coincide to a thousandth; None otherwise."""
    if inner.crs != grid.crs:
        return None
    relative = ~grid.transform @ inner.transform
    col, row = relative @ (0, 0)
    offset = round(row), round(col)
    for x, y in ((0, 0), (inner.width, 0), (0, inner.height), (inner.width, inner.height)):
        at_x, at_y = relative @ (x, y)
        if abs(at_x - x - offset[1]) > _ALIGNED_PX or abs(at_y - y - offset[0]) > _ALIGNED_PX:
            return None
    return offset


def open_raster(path: str) -> Any:
    """Open with rasterio. Raises InputMissing or NotARaster."""
    remote = path.startswith("/vsi") or "://" in path or path.count(":") > 1
    if not remote and not Path(path).exists():
        raise InputMissing(f"{path} does not exist.", "Check the path.")
    with damage_of(short(path), opening=True):
        return _open_quietly(path)


def _open_quietly(path: str) -> Any:
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)  # no CRS is reported by the scene itself
        return rasterio.open(path)


@contextmanager
def damage_of(name: str, *, opening: bool = False) -> Iterator[None]:
    """Turn what GDAL says about a file into NotARaster, and its other messages into log entries."""
    try:
        with rasterio.Env():  # without one, GDAL prints its warnings on stderr
            yield
    except (RasterioError, CPLE_BaseError, OSError) as error:
        reason = " ".join(str(error).split())[:160]
        if opening:
            raise NotARaster(
                f"{name} cannot be opened as a raster ({reason}).", "Give a raster that GDAL reads, such as a GeoTIFF."
            ) from error
        raise NotARaster(
            f"{name} is damaged or incomplete: it cannot be read to its end ({reason}).", "Download or export it again."
        ) from error


def short(path: str) -> str:
    """The file's or folder's own name, for messages."""
    return path.replace("\\", "/").rstrip("/").rsplit("/", 1)[-1] or path


def _map_crs(crs: CRS | None) -> CRS | None:
    """None for a local (engineering), geocentric or vertical CRS, too: neither degrees nor metres on a map."""
    return crs if crs is not None and (crs.is_geographic or crs.is_projected) else None


def _rasterio_window(window: PixelWindow) -> Window:
    return Window(window.col, window.row, window.width, window.height)


def _equals(raw: NDArray[Any], nodata: float) -> NDArray[np.bool_]:
    """Compare in the file's own type: float32 holds -3.4e38 only to rounding; integers cannot hold every nodata."""
    if raw.dtype.kind in "iu":
        info = np.iinfo(raw.dtype)
        if not (info.min <= nodata <= info.max and float(nodata).is_integer()):
            return np.zeros(raw.shape, bool)
        nodata = int(nodata)
    equal: NDArray[np.bool_] = raw == np.asarray(nodata).astype(raw.dtype)
    return equal


def _fixed_scale(source: RasterGrid, target: RasterGrid) -> dict[str, str]:
    """The kernel's size from the grids; GDAL would derive it from each block, and blocks would differ."""
    if source.spacing_m is None or target.spacing_m is None:
        return {}
    ratio = min(1.0, source.spacing_m / target.spacing_m)
    return {"XSCALE": f"{ratio:.6f}", "YSCALE": f"{ratio:.6f}"}


def _subdatasets(names: Sequence[str]) -> str:
    return f"Give one of its parts: {', '.join(list(names)[:4])}." if names else "Give a raster with bands."

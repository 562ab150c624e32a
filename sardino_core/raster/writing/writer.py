"""Finished rows to a GeoTIFF: tiled, compressed, written behind the computation, complete or an error."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import rasterio
import rasterio.shutil
from numpy.typing import NDArray
from rasterio._err import CPLE_BaseError  # what escapes from overviews and copies; no RasterioError
from rasterio.enums import Resampling
from rasterio.errors import RasterioError
from rasterio.windows import Window

from sardino_core.contract.errors import OutputUnwritable
from sardino_core.raster.grid import RasterGrid

_log = logging.getLogger(__name__)
_WRITES_BEHIND = 2  # strips of blocks waiting for compression; more only costs memory
_MANY_BANDS = 16
GDAL_ERRORS = (RasterioError, CPLE_BaseError, OSError)


@dataclass(frozen=True)
class RasterLayout:
    """What a GeoTIFF holds besides its pixels."""

    dtype: str  # numpy's name; "float16" is stored as a 32-bit float of 16 significant bits, which every GDAL reads
    band_names: Sequence[str]
    nodata: float
    tags: Mapping[str, str] = field(default_factory=dict)
    colours: Mapping[int, tuple[int, int, int, int]] | None = None  # class value -> RGBA, for uint8
    scales: Sequence[float] = ()  # physical = stored * scale + offset, per band
    offsets: Sequence[float] = ()

    @property
    def stored_dtype(self) -> str:
        """What the rows must be cast to before writing."""
        return "float32" if self.dtype == "float16" else self.dtype

    @property
    def block_px(self) -> int:
        """Side of the file's tiles: small for many bands, whose block rows would otherwise fill the memory."""
        return 256 if len(self.band_names) <= _MANY_BANDS else 64


class RasterWriter:
    """Takes rows from top to bottom, in any portions, and writes whole rows of blocks in a background thread."""

    def __init__(self, path: Path, grid: RasterGrid, layout: RasterLayout) -> None:
        """Create the file. Raises OutputUnwritable."""
        self.path, self.grid, self.layout = path, grid, layout
        self._dataset = _create(path, grid, layout)
        shape = (len(layout.band_names), layout.block_px, grid.width)
        self._buffer = np.empty(shape, layout.stored_dtype)
        self._filled = 0  # rows in the buffer
        self._row = 0  # first row of the buffer in the raster
        self._executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="sardino-writer")
        self._pending: deque[Future[None]] = deque()

    def write(self, rows: NDArray[Any]) -> None:
        """Append (C, rows, width). Raises OutputUnwritable, possibly for rows given earlier."""
        taken = 0
        while taken < rows.shape[1]:
            portion = min(rows.shape[1] - taken, self._buffer.shape[1] - self._filled)
            self._buffer[:, self._filled : self._filled + portion] = rows[:, taken : taken + portion]
            self._filled += portion
            taken += portion
            if self._filled == self._buffer.shape[1]:
                self._flush()

    def finish(self) -> None:
        """Write what is left and close the file; only after this is it complete."""
        self._flush()
        self._wait(0)
        if self._row != self.grid.height:
            raise AssertionError(f"{self._row} of {self.grid.height} rows were written")
        self._dataset.close()
        try:
            check_complete(self.path)
        except GDAL_ERRORS as error:  # not even its header was written
            raise _unwritable(self.path, error) from error

    def __enter__(self) -> RasterWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                self.finish()
        finally:
            self._executor.shutdown(cancel_futures=True)
            self._dataset.close()

    def _flush(self) -> None:
        if not self._filled:
            return
        block, self._buffer = self._buffer[:, : self._filled], np.empty_like(self._buffer)
        self._pending.append(self._executor.submit(self._write_block, block, self._row))
        self._row += self._filled
        self._filled = 0
        self._wait(_WRITES_BEHIND)

    def _write_block(self, block: NDArray[Any], row: int) -> None:
        self._dataset.write(block, window=Window(0, row, block.shape[2], block.shape[1]))

    def _wait(self, allowed: int) -> None:
        while len(self._pending) > allowed:
            try:
                self._pending.popleft().result()
            except GDAL_ERRORS as error:
                raise _unwritable(self.path, error) from error


def _create(path: Path, grid: RasterGrid, layout: RasterLayout) -> Any:
    options: dict[str, Any] = {"NBITS": 16} if layout.dtype == "float16" else {}
    try:
        dataset = rasterio.open(
            path,
            "w",
            driver="GTiff",
            width=grid.width,
            height=grid.height,
            count=len(layout.band_names),
            dtype=layout.stored_dtype,
            crs=grid.crs,
            transform=grid.transform,
            nodata=layout.nodata,
            tiled=True,
            blockxsize=layout.block_px,
            blockysize=layout.block_px,
            compress="deflate",
            zlevel=1 if layout.dtype == "float32" else 6,  # more takes twice as long, and shrinks floats by a hundredth
            predictor=3 if layout.dtype == "float32" else 1 if layout.dtype == "float16" else 2,
            interleave="band",
            bigtiff="IF_SAFER",
            **options,
        )
    except GDAL_ERRORS as error:
        raise _unwritable(path, error) from error
    dataset.update_tags(**layout.tags)
    dataset.descriptions = tuple(layout.band_names)
    if layout.colours:
        dataset.write_colormap(1, dict(layout.colours))
    if layout.scales:
        dataset.scales, dataset.offsets = tuple(layout.scales), tuple(layout.offsets)
    return dataset


def check_complete(path: Path) -> None:
    """Raise OutputUnwritable unless every block, overviews included, lies within the file.

    GDAL may swallow what fails while it closes one.
    """
    length = path.stat().st_size
    with rasterio.open(path) as dataset:
        levels = [(None, dataset.shape), *enumerate(_overview_shapes(dataset))]
        block = dataset.block_shapes[0]
        for level, (height, width) in levels:
            for band in dataset.indexes:
                for row, col in np.ndindex(-(-height // block[0]), -(-width // block[1])):
                    offset, size = (
                        int(dataset.get_tag_item(f"BLOCK_{item}_{col}_{row}", "TIFF", bidx=band, ovr=level) or 0)
                        for item in ("OFFSET", "SIZE")
                    )
                    if size == 0 or offset + size > length:
                        raise _unwritable(path, None)


def _overview_shapes(dataset: Any) -> list[tuple[int, int]]:
    return [(-(-dataset.height // factor), -(-dataset.width // factor)) for factor in dataset.overviews(1)]


def add_overviews(path: Path) -> None:
    """Power-of-two overviews by nearest neighbour (mode would invent smooth class borders), down to 256 pixels."""
    try:
        with rasterio.open(path, "r+") as dataset:
            side = max(dataset.width, dataset.height)
            factors = [2**level for level in range(1, side.bit_length()) if side >> (level - 1) > 256]
            dataset.build_overviews(factors, Resampling.nearest)
        with rasterio.open(path) as dataset:
            if dataset.overviews(1) != factors:
                raise _unwritable(path, None)
    except GDAL_ERRORS as error:
        raise _unwritable(path, error) from error


def to_cog(path: Path, layout: RasterLayout) -> None:
    """Rewrite a finished GeoTIFF as a cloud-optimised one, in place. Raises OutputUnwritable."""
    plain = path.with_name(path.name + ".plain")
    path.rename(plain)
    options = {"nbits": 16, "predictor": "NO"} if layout.dtype == "float16" else {"predictor": "YES"}
    try:
        rasterio.shutil.copy(
            plain,
            path,
            driver="COG",
            compress="deflate",
            blocksize=2 * layout.block_px,
            bigtiff="IF_SAFER",
            overview_resampling="nearest",
            **options,
        )
        check_complete(path)
    except GDAL_ERRORS as error:
        raise _unwritable(path, error) from error
    plain.unlink()


def _unwritable(path: Path, error: Exception | None) -> OutputUnwritable:
    _log.info("writing %s failed: %s", path, error)
    reason = str(error.__cause__ or error).splitlines()[0] if error else "blocks are missing after closing the file"
    return OutputUnwritable(
        f"{path.name} could not be written completely ({reason}).",
        "Free disk space, or write to another disk.",
    )

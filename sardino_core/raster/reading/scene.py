"""A Sentinel-1 scene: one or more rasters as backscatter in dB with a validity mask, read window by window."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from types import TracebackType
from typing import Self

import numpy as np
from numpy.typing import NDArray

from sardino_core.contract.jobs import SceneOptions, Units
from sardino_core.contract.model_spec import BandSpec
from sardino_core.raster.grid import Bounds, PixelWindow, RasterGrid
from sardino_core.raster.reading.bands import Channel, needed_channels
from sardino_core.raster.reading.calibration import to_db
from sardino_core.raster.reading.file_layout import FileLayout
from sardino_core.raster.reading.inputs import expand_inputs
from sardino_core.raster.reading.mosaic import Layer, check_dates, check_overlap, layers_of, pixel_box, scene_grid
from sardino_core.raster.reading.polygons import Polygons, outside, read_polygons
from sardino_core.raster.reading.recognition import provenance, recognise
from sardino_core.raster.reading.sources import Reader, Source, WarpedReader, reader_on, short
from sardino_core.raster.reading.validity import Mask, valid_values


class Scene:
    """Calibrated pixels of one scene. One thread reads at a time; it need not be the one that opened it."""

    def __init__(
        self,
        grid: RasterGrid,
        origin: tuple[int, int],
        layers: Sequence[LayerReader],
        recipe: Sequence[tuple[int, ...]],
        units: Units,
    ) -> None:
        """Use `open_scene`. `origin`: (row, col) of `grid` on the layers' grid; `recipe`: the channels of each band."""
        self.grid = grid
        self.notes: tuple[str, ...] = ()
        self.warnings: tuple[str, ...] = ()
        self.tags: dict[str, str] = {}
        self.files: tuple[FileLayout, ...] = ()
        self._origin = origin
        self._layers = tuple(layers)
        self._recipe = tuple(recipe)
        self._units = units
        self._cutline: Polygons | None = None
        self._mask: Mask | None = None
        self._stack = ExitStack()

    @property
    def units(self) -> Units:
        """Of the files, as given or recognised; what is read is dB."""
        return self._units

    def read(self, window: PixelWindow) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """Backscatter in dB (B, h, w) float32 in the order of the bands, and valid (h, w).

        Neither clipped nor standardised; invalid pixels hold 0. A function of these pixels alone. Raises NotARaster
        when a file turns out to be damaged.
        """
        moved = PixelWindow(window.row + self._origin[0], window.col + self._origin[1], window.height, window.width)
        wanted = np.ones((window.height, window.width), bool)
        if self._cutline is not None:
            wanted &= self._cutline.covers(moved)
        if self._mask is not None and wanted.any():
            wanted &= ~self._mask.covers(moved)
        values, valid = self._fill(moved, wanted)
        decibels = to_db(values, self._units)
        bands = np.empty((len(self._recipe), window.height, window.width), np.float32)
        for out, channels in zip(bands, self._recipe, strict=True):
            if len(channels) == 1:
                out[:] = decibels[channels[0]]
            else:
                np.subtract(decibels[channels[0]], decibels[channels[1]], out=out)
        if not valid.all():
            bands[:, ~valid] = 0.0
        return bands, valid

    def _fill(self, window: PixelWindow, wanted: NDArray[np.bool_]) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """Channels (C, h, w) in the files' units, 1 where invalid, and valid (h, w): the first valid layer wins."""
        channels = len(self._layers[0].layer.picks)
        values = np.ones((channels, window.height, window.width), np.float32)
        valid = np.zeros(wanted.shape, bool)
        for layer in self._layers:
            open_pixels = wanted & ~valid
            if not open_pixels.any():
                break
            if not layer.meets(window):
                continue
            found = layer.read(window)
            usable = valid_values(found, self._units) & open_pixels
            np.copyto(values, found, where=usable)
            valid |= usable
        return values, valid

    def close(self) -> None:
        """Close all files."""
        self._stack.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class LayerReader:
    """The pixels of one layer on the scene's full grid."""

    def __init__(self, layer: Layer, sources: Sequence[Source], grid: RasterGrid, units: Units) -> None:
        """Prepare a reader per file; those on another grid are resampled as they are read."""
        self.layer = layer
        self._units = units
        self._readers: dict[int, Reader] = {}
        self._boxes = [pixel_box(sources[file], grid) for file in layer.files]
        self.resampled: list[str] = []
        for file in layer.files:
            reader = reader_on(sources[file], grid, zero_is_nodata=True)
            self._readers[file] = reader
            if isinstance(reader, WarpedReader):
                self.resampled.append(sources[file].name)

    def meets(self, window: PixelWindow) -> bool:
        """False when no file of the layer reaches into the window."""
        return any(
            box.row < window.row + window.height + 1
            and box.row + box.height > window.row - 1
            and box.col < window.col + window.width + 1
            and box.col + box.width > window.col - 1
            for box in self._boxes
        )

    def read(self, window: PixelWindow) -> NDArray[np.float32]:
        """(C, h, w) in the files' units, NaN where there is no data."""
        picks = self.layer.picks
        if all(len(found) == 1 for found in picks):
            return self._read_single(window)
        out = np.full((len(picks), window.height, window.width), np.nan, np.float32)
        for channel, found in zip(out, picks, strict=True):
            for pick in found:
                gaps = ~valid_values(channel[None], self._units)
                if not gaps.any():
                    break
                np.copyto(channel, self._readers[pick.file].read([pick.band], window)[0], where=gaps)
        return out

    def _read_single(self, window: PixelWindow) -> NDArray[np.float32]:
        """All bands of a file in one request: interleaved files are decoded once."""
        by_file: dict[int, list[tuple[int, int]]] = {}
        for channel, (pick,) in enumerate(self.layer.picks):
            by_file.setdefault(pick.file, []).append((channel, pick.band))
        if len(by_file) == 1:
            file, wanted = next(iter(by_file.items()))
            return self._readers[file].read([band for _, band in wanted], window)
        out = np.empty((len(self.layer.picks), window.height, window.width), np.float32)
        for file, wanted in by_file.items():
            out[[channel for channel, _ in wanted]] = self._readers[file].read([band for _, band in wanted], window)
        return out

    def close(self) -> None:
        """Close the warped views."""
        for reader in self._readers.values():
            if isinstance(reader, WarpedReader):
                reader.close()


def open_scene(
    options: SceneOptions, bands: tuple[BandSpec, ...], *, model_name: str = "model", known: bool = False
) -> Scene:
    """Open the inputs, find their bands and units, and lay them onto one grid, cropped to extent and cutline.

    Looks at a bounded number of small windows only; with `known`, the units of `options` come from an earlier look at
    the same files, and opening them again is quick. Raises the errors of sardino_core.contract.errors, each with its
    remedy.
    """
    with ExitStack() as stack:
        sources = []
        for path in expand_inputs(options.inputs):
            sources.append(Source(path))
            stack.callback(sources[-1].close)
            sources[-1].grid = sources[-1].grid.turned_to(sources[0].grid)
        channels = needed_channels(bands)
        found = recognise(sources, channels, options, model_name, known)
        layers = layers_of(found.picks, sources)
        full = scene_grid(layers, sources)
        check_overlap(layers, sources, full)
        side_by_side = check_dates(found.picks, sources, full)
        readers = [LayerReader(layer, sources, full, found.units.units) for layer in layers]
        for reader in readers:
            stack.callback(reader.close)
        cutline = read_polygons(options.cutline, full, "cutline") if options.cutline else None
        mask = Mask(options.mask, full) if options.mask else None
        if mask is not None:
            stack.callback(mask.close)
        window = _crop(full, options, cutline)
        scene = Scene(full.crop(window), (window.row, window.col), readers, _recipe(bands, channels), found.units.units)
        scene._cutline, scene._mask = cutline, mask
        scene.notes = (*found.notes, *_layout_notes(readers, layers, sources))
        scene.warnings = (*found.warnings, *([side_by_side] if side_by_side else []), *_grid_warnings(full, sources))
        scene.tags = provenance(found, sources)
        scene.files = tuple(source.layout for source in sources)
        scene._stack = stack.pop_all()
        return scene


def _recipe(bands: Sequence[BandSpec], channels: Sequence[Channel]) -> list[tuple[int, ...]]:
    """For each band the channels it is made of: one, or two whose difference it is."""
    return [tuple(channels.index(Channel(name, band.season or "")) for name in band.name.split("-")) for band in bands]


def _crop(grid: RasterGrid, options: SceneOptions, cutline: Polygons | None) -> PixelWindow:
    """The window of the full grid inside both the extent and the cutline's bounds. Raises AreaOutside."""
    window = grid.window_of(Bounds(*options.extent)) if options.extent else grid.full
    if cutline is None:
        return window
    around = cutline.window
    if around is None:
        raise outside("cutline", options.cutline or "", grid)
    row0, col0 = max(window.row, around.row), max(window.col, around.col)
    row1 = min(window.row + window.height, around.row + around.height)
    col1 = min(window.col + window.width, around.col + around.width)
    if row0 >= row1 or col0 >= col1:
        raise outside("cutline", options.cutline or "", grid.crop(window))
    return PixelWindow(row0, col0, row1 - row0, col1 - col0)


def _layout_notes(readers: Sequence[LayerReader], layers: Sequence[Layer], sources: Sequence[Source]) -> list[str]:
    first = sources[min(file for layer in layers for file in layer.files)].name
    notes = []
    if len(layers) > 1 or any(len(picks) > 1 for layer in layers for picks in layer.picks):
        files = {file for layer in layers for file in layer.files}
        notes.append(f"mosaic of {len(files)} files on the grid of {first}; the first valid pixel wins")
    elif len(layers[0].files) > 1:
        notes.append(f"bands of {len(layers[0].files)} files stacked on the grid of {first}")
    resampled = list(dict.fromkeys(name for reader in readers for name in reader.resampled))
    if resampled:
        shown = ", ".join(resampled[:4]) + (", ..." if len(resampled) > 4 else "")
        notes.append(f"{shown} lie on another grid and are resampled (bilinear) onto that of {first}")
    return notes


def _grid_warnings(grid: RasterGrid, sources: Sequence[Source]) -> list[str]:
    if grid.crs is None:
        found = "no CRS" if sources[0].dataset.crs is None else "no CRS with map coordinates (a local one)"
        return [f"{short(sources[0].path)} has {found}: its pixel spacing is taken to be the model's."]
    return []

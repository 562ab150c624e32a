"""One block of a scene: landscape, geometry and backscatter, then the sensor. Files are made in `scene.py`."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sardino_core.contract.model_spec import SEASONS
from sardino_core.raster.grid import PixelWindow
from sardino_core.simulate.backscatter import Reflectivity, reflectivity_of
from sardino_core.simulate.geometry import HALO_PX, Geometry, Orbit, geometry_of
from sardino_core.simulate.landscape import landscape_of
from sardino_core.simulate.noise import Float, hash_grid, noise_grid, salt_of, unit
from sardino_core.simulate.place import Place, place_of
from sardino_core.simulate.relief import relief_of
from sardino_core.simulate.speckle import PAD_PX, image_intensity

# Of the noise floor, how much the processor takes off again. Thermal noise removal leaves some, and leaves its speckle.
DENOISED = 0.5
_LEAST_POWER = np.float32(1e-5)  # -50 dB: what remains where the subtraction went below nothing
_EDGE_PX = 24  # border noise along the swath edge


@dataclass(frozen=True)
class World:
    """All that a scene is made from: block by block, in any order, the result is the same."""

    seed: int
    orbit: Orbit = "descending"
    seasons: tuple[str, ...] = ("summer",)
    swath_edge: bool = False  # an oblique edge without data at near range, with border noise along it
    size: int = 0  # columns, only to place the swath edge
    take: int = 0  # of several under the same conditions: decides the speckle alone


@dataclass(frozen=True)
class Block:
    """A rendered window."""

    sigma0_db: Float  # (2 * seasons, H, W): VV, VH of each season in turn; NaN without data
    labels: np.ndarray  # uint8 (H, W), WorldCover codes
    layover_shadow: np.ndarray  # uint8 (H, W): 1 layover, 2 shadow, 3 both


def render(window: PixelWindow, world: World) -> Block:
    """Compute a window of a world, to the last bit the same whatever window asks."""
    place = place_of(world.seed)
    padded = _padded(window, PAD_PX, PAD_PX)
    land = landscape_of(padded, place, world.seed)
    view = _view(padded, place, world)
    bands = np.empty((2 * len(world.seasons), window.height, window.width), np.float32)
    for number, season in enumerate(world.seasons):
        pair = reflectivity_of(padded, land, view, place, world.seed, world.orbit, season)
        for band, reflectivity in enumerate(pair):
            take = (world.take,) if world.take else ()
            salt = salt_of(world.seed, 300, SEASONS.index(season), band, int(world.orbit == "ascending"), *take)
            bands[2 * number + band] = _observe(reflectivity, view, window, salt)
    inner = (slice(PAD_PX, -PAD_PX), slice(PAD_PX, -PAD_PX))
    labels = np.ascontiguousarray(land.labels[inner])
    mask = view.layover[inner].astype(np.uint8) + view.shadow[inner].astype(np.uint8) * np.uint8(2)
    if world.swath_edge:
        _cut_swath(bands, labels, mask, window, world)
    return Block(bands, labels, mask)


def _padded(window: PixelWindow, rows: int, cols: int) -> PixelWindow:
    return PixelWindow(window.row - rows, window.col - cols, window.height + 2 * rows, window.width + 2 * cols)


def _view(padded: PixelWindow, place: Place, world: World) -> Geometry:
    height_m = relief_of(_padded(padded, 1, HALO_PX), place, world.seed).height_m
    cols = np.arange(padded.col, padded.col + padded.width)
    return geometry_of(height_m, cols, world.orbit, world.seed)


def _observe(reflectivity: Reflectivity, view: Geometry, window: PixelWindow, salt: int) -> Float:
    """Image one polarisation and take off the noise floor: sigma0 in dB, (height, width)."""
    # Receiver noise is circular Gaussian like the echo, so their powers add before the point response.
    power = image_intensity(reflectivity.mean + view.nesz, reflectivity.points, window, salt)
    power -= view.nesz[:, PAD_PX:-PAD_PX] * np.float32(DENOISED)
    np.maximum(power, _LEAST_POWER, out=power)
    np.log10(power, out=power)
    power *= np.float32(10)
    return power


def _cut_swath(bands: Float, labels: np.ndarray, mask: np.ndarray, window: PixelWindow, world: World) -> None:
    """Make the oblique near edge of the swath: no data beyond it, dark border noise along it."""
    rows = np.arange(window.row, window.row + window.height)
    cols = np.arange(window.col, window.col + window.width)
    across = (cols if world.orbit == "ascending" else world.size - 1 - cols).astype(np.float32)[None, :]
    ragged = noise_grid(rows * 1.0, np.zeros(1), 90.0, salt_of(world.seed, 310)) * np.float32(20)
    inside = across - np.float32(0.12 * world.size) - rows.astype(np.float32)[:, None] * np.float32(0.21)
    dark = (inside + ragged < _EDGE_PX) & (inside >= 0)
    noise = unit(hash_grid(rows, cols, salt_of(world.seed, 311)))
    for band in bands:
        band[dark] = np.float32(-42) + np.float32(10) * noise[dark]
        band[inside < 0] = np.nan
    labels[inside < 0] = 0
    mask[inside < 0] = 0

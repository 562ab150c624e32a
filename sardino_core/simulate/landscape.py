"""Land cover laid over the relief: farmland, forest, natural land, wetland, settlements and roads.

What is decided here is geography, not radar: which cover lies where, and the identifiers from which a parcel or a stand
draws its own character. The order of decisions is that of the function `landscape_of`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sardino_core.raster.grid import PixelWindow
from sardino_core.simulate.covers import Cover, label_table
from sardino_core.simulate.noise import (
    Axis,
    Float,
    UInt,
    cells_at,
    fractal_grid,
    hash_grid,
    hash_values,
    noise_grid,
    salt_of,
    smoothstep,
    unit,
)
from sardino_core.simulate.parcels import Parcels, parcels_at
from sardino_core.simulate.place import Place
from sardino_core.simulate.relief import SPACING_M, Relief, relief_of
from sardino_core.simulate.settlements import Settlements, settlements_of

_LABELS = label_table()
_CROPS = (Cover.CEREAL, Cover.MAIZE, Cover.RAPESEED, Cover.ROOT_CROP, Cover.TILLED)
_CROP_SHARES = (0.40, 0.62, 0.74, 0.84, 1.0)  # cumulative


@dataclass(frozen=True)
class Landscape:
    """A window of the world, every array (H, W)."""

    cover: np.ndarray  # uint8, values of Cover
    relief: Relief
    parcel: UInt  # random bits of the parcel, stand or lot
    settlements: Settlements
    chance: UInt  # random bits of the pixel

    @property
    def labels(self) -> np.ndarray:
        """ESA WorldCover codes, uint8."""
        return _LABELS.take(self.cover)


@dataclass(frozen=True)
class _Fields:
    forest: Float
    natural: Float
    dry: Float
    scrub: Float
    marsh: Float
    slope: Float


def landscape_of(window: PixelWindow, place: Place, seed: int) -> Landscape:
    """Compute a window; the same values whatever window they are asked in."""
    y = (np.arange(window.row, window.row + window.height) + 0.5) * SPACING_M
    x = (np.arange(window.col, window.col + window.width) + 0.5) * SPACING_M
    relief = _padded_relief(window, place, seed)
    inner = Relief(*(values[1:-1, 1:-1] for values in (relief.height_m, relief.shore_m, relief.mountains,
                                                       relief.open_water)))  # fmt: skip
    parcels = _farm_parcels(y, x, place, seed)
    stands = _stands(y, x, seed)
    fields = _fields(y, x, place, seed, inner, parcels, _slope(relief.height_m))
    settlements = settlements_of(window, place, seed)
    chance = hash_grid(np.arange(window.row, window.row + window.height),
                       np.arange(window.col, window.col + window.width), salt_of(seed, 50))  # fmt: skip
    cover = _farmland(parcels, place, fields)
    parcel = parcels.identity
    parcel = _natural_land(cover, parcel, stands, fields)
    parcel = _forest(cover, parcel, stands, parcels, fields)
    _wetland_and_shore(cover, fields, inner, place)
    _roads(cover, inner, y, x, seed)
    parcel = _towns(cover, parcel, settlements)
    cover[inner.shore_m < 0] = Cover.WATER
    return Landscape(cover, inner, parcel, settlements, chance)


def _padded_relief(window: PixelWindow, place: Place, seed: int) -> Relief:
    return relief_of(PixelWindow(window.row - 1, window.col - 1, window.height + 2, window.width + 2), place, seed)


def _slope(height_m: Float) -> Float:
    """Steepness (rise over run) of the inner pixels."""
    down = (height_m[2:, 1:-1] - height_m[:-2, 1:-1]) * np.float32(0.5 / SPACING_M)
    right = (height_m[1:-1, 2:] - height_m[1:-1, :-2]) * np.float32(0.5 / SPACING_M)
    steepness: Float = np.sqrt(down * down + right * right)
    return steepness


def _farm_parcels(y: Axis, x: Axis, place: Place, seed: int) -> Parcels:
    """Parcels on slightly bent ground, so that no border is ruled with a straightedge for kilometres."""
    bend_y = noise_grid(y, x, 2300.0, salt_of(seed, 40)) * np.float32(220) + y.astype(np.float32)[:, None]
    bend_x = noise_grid(y, x, 2300.0, salt_of(seed, 41)) * np.float32(220) + x.astype(np.float32)
    return parcels_at(bend_y, bend_x, place.block_m, place.parcel_length_m, place.parcel_width_m, salt_of(seed, 42))


def _stands(y: Axis, x: Axis, seed: int) -> UInt:
    """Forest stands and patches of natural land with irregular borders."""
    bend_y = noise_grid(y, x, 240.0, salt_of(seed, 43)) * np.float32(130) + y.astype(np.float32)[:, None]
    bend_x = noise_grid(y, x, 240.0, salt_of(seed, 44)) * np.float32(130) + x.astype(np.float32)
    return cells_at(bend_y, bend_x, 330.0, salt_of(seed, 45)).identity


def _fields(y: Axis, x: Axis, place: Place, seed: int, relief: Relief, parcels: Parcels, slope: Float) -> _Fields:
    """How well each cover suits the place; about -0.6 to 0.6, above 0 means it wins."""
    own = unit(hash_values(parcels.identity, 60)) - np.float32(0.5)
    group = unit(hash_values(parcels.block, 61)) - np.float32(0.5)
    steep = smoothstep(slope, 0.08, 0.35)
    ragged = fractal_grid(y, x, (520.0, 230.0, 110.0, 55.0), salt_of(seed, 46), 0.6)
    wide = fractal_grid(y, x, (7800.0, 3100.0, 1400.0), salt_of(seed, 47), 0.55)
    wild = noise_grid(y, x, 9500.0, salt_of(seed, 48)) + noise_grid(y, x, 2600.0, salt_of(seed, 49)) * np.float32(0.5)
    natural = wild + np.float32(place.natural) + steep * np.float32(0.35) + ragged * np.float32(0.12)
    # On farmland the forest's border follows parcels; on wild land it is ragged.
    tame = np.float32(1) - smoothstep(natural, -0.15, 0.1)
    straight = (own * np.float32(0.25) + group * np.float32(0.25)) * tame
    forest = wide + np.float32(place.forest - 0.12) + straight + ragged * (np.float32(0.4) - tame * np.float32(0.3))
    forest += steep * np.float32(0.3) - smoothstep(relief.height_m, 900.0, 1500.0) * np.float32(0.8)
    dry = fractal_grid(y, x, (4200.0, 1700.0, 700.0, 280.0), salt_of(seed, 51), 0.6) + np.float32(place.aridity)
    dry += smoothstep(relief.height_m, 700.0, 1400.0) * np.float32(0.35) + smoothstep(slope, 0.5, 0.9)
    scrub = fractal_grid(y, x, (2300.0, 900.0, 380.0, 150.0), salt_of(seed, 52), 0.7) + np.float32(place.shrubs)
    low = np.float32(1) - smoothstep(relief.shore_m, 30.0, 650.0)
    marsh = noise_grid(y, x, 1900.0, salt_of(seed, 53)) + ragged * np.float32(0.35) + np.float32(place.wetland - 0.5)
    marsh += low * np.float32(0.4) - smoothstep(slope, 0.03, 0.1)
    return _Fields(forest, natural, dry, scrub + ragged * np.float32(0.3), marsh, slope)


def _farmland(parcels: Parcels, place: Place, fields: _Fields) -> np.ndarray:
    """Crops and meadows by parcel. Steep or wet parcels are meadows."""
    draw = unit(hash_values(parcels.identity, 62))
    odds = np.float32(place.crops) * (np.float32(1) - smoothstep(fields.slope, 0.1, 0.25))
    rotation = unit(hash_values(parcels.identity, 63))
    cover = np.full(draw.shape, Cover.TILLED, np.uint8)
    for crop, upto in zip(reversed(_CROPS[:-1]), reversed(_CROP_SHARES[:-1]), strict=True):
        cover[rotation < np.float32(upto)] = crop
    paddy = unit(hash_values(parcels.block, 72)) * np.float32(0.7) + rotation * np.float32(0.3)
    cover[paddy < np.float32(place.rice)] = Cover.RICE
    grass = np.where(unit(hash_values(parcels.identity, 64)) < 0.6, np.uint8(Cover.MEADOW), np.uint8(Cover.GRASS))
    np.copyto(cover, grass, where=draw > odds)
    return cover


def _natural_land(cover: np.ndarray, parcel: UInt, stands: UInt, fields: _Fields) -> UInt:
    """Grass, shrubs and bare ground with ragged borders, where the land is not farmed."""
    wild = fields.natural > 0
    kind = np.full(cover.shape, Cover.GRASS, np.uint8)
    kind[fields.dry > -0.18] = Cover.DRY_GRASS
    kind[fields.scrub > 0.08] = Cover.SHRUB
    kind[fields.dry > 0.12] = Cover.ROCK
    kind[(fields.dry > 0.26) & (fields.slope < 0.08)] = Cover.SAND
    np.copyto(cover, kind, where=wild)
    return np.where(wild, stands, parcel)


def _forest(cover: np.ndarray, parcel: UInt, stands: UInt, parcels: Parcels, fields: _Fields) -> UInt:
    """Stands of one kind of tree each, with clearings; hedges along some tracks."""
    wooded = fields.forest > 0
    draw = unit(hash_values(stands, 65))
    felled = np.float32(0.015) + np.maximum(fields.scrub, np.float32(0)) * np.float32(0.3)
    clearing = draw < felled  # in groups, as owners fell
    conifer = unit(hash_values(stands, 66)) < np.float32(0.5) + fields.dry * np.float32(0.5)
    trees = np.where(conifer, np.uint8(Cover.CONIFER), np.uint8(Cover.DECIDUOUS))
    np.copyto(
        trees, np.where(draw < felled * np.float32(0.5), np.uint8(Cover.GRASS), np.uint8(Cover.SHRUB)), where=clearing
    )
    np.copyto(cover, trees, where=wooded)
    hedge = (parcels.track_m < 9) & (unit(hash_values(parcels.block, 67)) < 0.3) & (fields.natural <= 0) & ~wooded
    cover[hedge] = Cover.DECIDUOUS
    return np.where(wooded, stands, parcel)


def _wetland_and_shore(cover: np.ndarray, fields: _Fields, relief: Relief, place: Place) -> None:
    """Reeds and flooded grass along the water; sand at the open sea and as river bars."""
    wet = fields.marsh > 0
    cover[wet] = Cover.REED
    cover[wet & (fields.marsh > 0.14)] = Cover.FLOODED
    beach = (relief.open_water <= 0) & (relief.shore_m < np.float32(35)) & (fields.scrub > 0.1) & ~wet
    cover[beach] = Cover.SAND if place.kind in ("coast", "arid") else Cover.ROCK


def _roads(cover: np.ndarray, relief: Relief, y: Axis, x: Axis, seed: int) -> None:
    """Main roads along the edges of large cells, some 15 m wide; tracks between blocks are narrower than a pixel."""
    bend_y = noise_grid(y, x, 2900.0, salt_of(seed, 54)) * np.float32(600) + y.astype(np.float32)[:, None]
    bend_x = noise_grid(y, x, 2900.0, salt_of(seed, 55)) * np.float32(600) + x.astype(np.float32)
    main = cells_at(bend_y, bend_x, 5600.0, salt_of(seed, 56)).edge
    cover[(main < np.float32(7.5)) & (relief.mountains < 0.8)] = Cover.PAVED


def _towns(cover: np.ndarray, parcel: UInt, settlements: Settlements) -> UInt:
    """Lots by density: core, houses, gardens and parks; industry at the outskirts of the larger towns."""
    inside = settlements.density > 0
    if not inside.any():
        return parcel
    draw = unit(hash_values(settlements.lot, 68))
    density = settlements.density
    kind = np.full(cover.shape, Cover.HOUSES, np.uint8)
    kind[density > 0.7] = Cover.CORE
    garden = draw > np.float32(0.42) + density * np.float32(0.75)
    kind[garden] = Cover.GRASS
    kind[garden & (unit(hash_values(settlements.lot, 69)) < 0.4)] = Cover.DECIDUOUS
    quarter = unit(hash_values(settlements.quarter, 70))
    kind[(quarter < 0.10) & (density > 0.1) & (density < 0.75)] = Cover.INDUSTRY
    park = (quarter > 0.94) & (density > 0.2)
    kind[park] = Cover.GRASS
    kind[park & (quarter > 0.97)] = Cover.DECIDUOUS
    kind[settlements.street & (kind != Cover.INDUSTRY) & ~park] = Cover.PAVED
    np.copyto(cover, kind, where=inside)
    return np.where(inside, hash_values(settlements.lot, 71), parcel)

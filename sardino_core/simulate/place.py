"""What kind of place a seed stands for: relief, water, and how much of each land cover, as plain numbers.

The kinds are caricatures of regions that a Sentinel-1 user meets, so that consecutive seeds differ in class mix.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from sardino_core.simulate.noise import salt_of


@dataclass(frozen=True)
class Place:
    """Parameters of one landscape. Shares are thresholds on noise near 0: a higher value gives more of that cover."""

    kind: str
    relief_m: float = 120.0  # height of hills over plains
    ruggedness: float = 0.0  # -1: flat everywhere, 1: mountains everywhere
    sea_level: float = -1.0  # against a field of about -0.6 to 0.6
    lakes: float = -1.0  # share, -1 none
    river_m: float = 60.0  # full width of the main rivers
    forest: float = 0.0
    natural: float = -0.25  # grass, shrub and bare instead of farmland
    aridity: float = -0.3  # bare within natural land
    shrubs: float = -0.05
    wetland: float = 0.0
    crops: float = 0.7  # share of parcels that are cropland rather than grass
    rice: float = 0.0  # share of the cropland's parcels
    block_m: float = 1100.0  # blocks of parcels
    parcel_length_m: float = 420.0
    parcel_width_m: float = 150.0
    town_spacing_m: float = 5200.0
    town_radius_m: float = 420.0
    hamlets: float = 0.35  # share of the hamlet lattice that is occupied
    moisture_db: float = 0.0  # wetter soils are brighter


_KINDS: tuple[Place, ...] = (
    Place("mixed", relief_m=320, sea_level=-0.42, ruggedness=0.15, forest=0.02),
    Place("plain", relief_m=35, ruggedness=-0.6, forest=-0.22, natural=-0.4, crops=0.85, parcel_length_m=620,
          parcel_width_m=190, river_m=45),
    Place("coast", relief_m=110, ruggedness=-0.1, sea_level=0.0, forest=-0.06, wetland=0.08, town_radius_m=520),
    Place("arid", relief_m=450, ruggedness=0.1, forest=-0.6, natural=0.35, aridity=0.12, shrubs=0.02, crops=0.8,
          river_m=25, wetland=-0.2, town_spacing_m=9000, hamlets=0.12, moisture_db=-1.5),
    Place("mountain", relief_m=1000, ruggedness=0.5, forest=0.12, natural=-0.02, crops=0.3, river_m=35, hamlets=0.2,
          aridity=-0.12, town_spacing_m=7000, parcel_length_m=260, parcel_width_m=90),
    Place("delta", relief_m=15, ruggedness=-0.9, sea_level=-0.22, forest=-0.3, wetland=0.3, river_m=170, crops=0.75,
          rice=0.4, parcel_length_m=300, parcel_width_m=70, moisture_db=1.0),
    Place("boreal", relief_m=90, ruggedness=-0.15, lakes=0.12, forest=0.3, natural=-0.1, wetland=0.15, crops=0.45,
          river_m=30, town_spacing_m=9000, hamlets=0.15),
    Place("suburban", relief_m=80, ruggedness=-0.2, forest=-0.05, natural=-0.3, town_spacing_m=4200,
          town_radius_m=1000, hamlets=0.6, crops=0.55, river_m=110),
    Place("savanna", relief_m=130, ruggedness=-0.2, forest=-0.12, natural=0.12, aridity=-0.15, shrubs=0.16, crops=0.8,
          parcel_length_m=160, parcel_width_m=90, block_m=700, river_m=40, hamlets=0.5, moisture_db=-0.7),
)  # fmt: skip


def place_of(seed: int) -> Place:
    """The place of a seed: nine kinds in turn, each varied by the seed."""
    base = _KINDS[seed % len(_KINDS)]
    random = np.random.Generator(np.random.Philox(key=salt_of(seed, 1)))
    stretch = np.exp(random.normal(0.0, 0.2, 6))
    shift = random.normal(0.0, 0.035, 5)
    return replace(
        base,
        relief_m=base.relief_m * stretch[0],
        river_m=base.river_m * stretch[1],
        parcel_length_m=base.parcel_length_m * stretch[2],
        parcel_width_m=base.parcel_width_m * stretch[3],
        block_m=base.block_m * stretch[4],
        town_radius_m=base.town_radius_m * stretch[5],
        forest=base.forest + shift[0],
        natural=base.natural + shift[1],
        aridity=base.aridity + shift[2],
        shrubs=base.shrubs + shift[3],
        wetland=base.wetland + shift[4],
        crops=float(np.clip(base.crops + shift[4], 0.1, 0.95)),
    )

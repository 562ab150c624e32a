"""What grows or stands on the ground, finer than the labels: the label each cover carries, and its mean backscatter.

Mean sigma0 in dB at 38 degrees on level ground, by season (winter, spring, summer, fall; northern mid-latitudes, no
snow). The numbers are rounded from the ranges and time series in the sources; they are approximate, and the spread
between places in the sources is 1 to 3 dB:

- F. T. Ulaby and M. C. Dobson, "Handbook of Radar Scattering Statistics for Terrain", Artech House, 1989: C-band means
  and spreads for soil and rock, trees, grasses, shrubs, short vegetation, and roads.
- A. Veloso et al., "Understanding the temporal behavior of crops using Sentinel-1 and Sentinel-2-like data for
  agricultural applications", Remote Sensing of Environment 199, 2017: cereals, rapeseed, maize, sunflower.
- M. Vreugdenhil et al., "Sensitivity of Sentinel-1 backscatter to vegetation dynamics: an Austrian case study",
  Remote Sensing 10(9), 2018: cereals, rapeseed, maize.
- S. Khabbazan et al., "Crop monitoring using Sentinel-1 data: a case study from The Netherlands", Remote Sensing
  11(16), 2019: sugar beet, potato.
- M. Rüetschi, M. Schaepman and D. Small, "Using multitemporal Sentinel-1 C-band backscatter to monitor phenology and
  classify deciduous and coniferous forests in northern Switzerland", Remote Sensing 10(1), 2018.
- K. Koppel et al., "Sensitivity of Sentinel-1 backscatter to characteristics of buildings", International Journal of
  Remote Sensing 38(22), 2017: towns, and their dependence on the walls' direction.

Rice, wetland, shrubland and bare ground vary most and are the least certain. Water is not here: see `water.py`.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from sardino_core.contract.model_spec import SEASONS


class Cover(IntEnum):
    """Covers; the value indexes the tables."""

    WATER = 0
    DECIDUOUS = 1
    CONIFER = 2
    SHRUB = 3
    GRASS = 4
    MEADOW = 5
    CEREAL = 6
    MAIZE = 7
    RAPESEED = 8
    ROOT_CROP = 9
    TILLED = 10
    ROCK = 11
    SAND = 12
    HOUSES = 13
    CORE = 14
    INDUSTRY = 15
    PAVED = 16
    REED = 17
    FLOODED = 18
    DRY_GRASS = 19
    RICE = 20  # under water in spring


@dataclass(frozen=True)
class Signature:
    """One cover: WorldCover label, sigma0 in dB as (VV, VH) by season, and how it varies in space."""

    label: int
    winter: tuple[float, float]
    spring: tuple[float, float]
    summer: tuple[float, float]
    fall: tuple[float, float]
    field_db: float  # standard deviation between parcels or stands
    texture_db: float  # standard deviation within them, over tens of metres
    exponent: float  # sigma0 ~ cos(incidence) ** exponent


SIGNATURES: dict[Cover, Signature] = {
    Cover.WATER: Signature(80, (-20, -32), (-20, -32), (-20, -32), (-20, -32), 0.0, 0.0, 0.0),
    Cover.DECIDUOUS: Signature(10, (-8.6, -14.2), (-9.2, -14.8), (-9.4, -15.0), (-9.0, -14.5), 0.45, 0.7, 1.2),
    Cover.CONIFER: Signature(10, (-10.2, -16.3), (-9.7, -15.7), (-9.3, -15.3), (-9.7, -15.7), 0.45, 0.7, 1.2),
    Cover.SHRUB: Signature(20, (-11.9, -18.4), (-11.5, -17.8), (-11.2, -17.4), (-11.6, -17.9), 0.7, 0.9, 1.5),
    Cover.GRASS: Signature(30, (-11.3, -18.6), (-11.8, -18.9), (-12.3, -19.3), (-11.7, -18.8), 0.9, 0.6, 1.8),
    Cover.MEADOW: Signature(30, (-10.9, -17.9), (-11.6, -18.3), (-12.0, -18.6), (-11.3, -18.1), 0.9, 0.5, 1.8),
    Cover.CEREAL: Signature(40, (-11.2, -18.8), (-13.6, -19.8), (-11.6, -17.6), (-11.2, -18.7), 1.4, 0.4, 1.6),
    Cover.MAIZE: Signature(40, (-11.6, -20.2), (-11.2, -19.4), (-9.6, -15.3), (-10.4, -17.0), 0.9, 0.4, 1.4),
    Cover.RAPESEED: Signature(40, (-10.8, -16.9), (-10.2, -14.4), (-10.9, -15.9), (-11.0, -17.6), 0.9, 0.4, 1.3),
    Cover.ROOT_CROP: Signature(40, (-11.8, -20.4), (-11.3, -19.2), (-8.9, -14.8), (-9.8, -16.4), 0.9, 0.4, 1.4),
    Cover.TILLED: Signature(40, (-11.5, -20.0), (-11.6, -20.6), (-12.4, -20.9), (-10.8, -19.9), 2.1, 0.5, 2.2),
    Cover.ROCK: Signature(60, (-12.0, -20.5), (-12.2, -20.7), (-12.8, -21.2), (-12.4, -20.9), 0.9, 1.2, 2.0),
    Cover.SAND: Signature(60, (-16.5, -24.5), (-16.8, -24.8), (-17.5, -25.2), (-17.0, -25.0), 1.2, 1.0, 2.6),
    Cover.HOUSES: Signature(50, (-7.6, -14.6), (-7.8, -14.7), (-7.9, -14.8), (-7.8, -14.7), 0.8, 1.6, 0.8),
    Cover.CORE: Signature(50, (-5.2, -12.9), (-5.2, -12.9), (-5.2, -12.9), (-5.2, -12.9), 0.9, 1.9, 0.6),
    Cover.INDUSTRY: Signature(50, (-4.2, -12.8), (-4.2, -12.8), (-4.2, -12.8), (-4.2, -12.8), 1.8, 2.4, 0.5),
    Cover.PAVED: Signature(50, (-12.5, -20.0), (-12.8, -20.2), (-13.0, -20.4), (-12.7, -20.2), 0.3, 0.8, 2.4),
    Cover.REED: Signature(90, (-11.2, -18.6), (-11.8, -19.0), (-11.4, -18.1), (-11.0, -18.2), 0.8, 1.1, 1.5),
    Cover.FLOODED: Signature(90, (-12.8, -21.5), (-9.6, -18.8), (-8.8, -17.4), (-11.8, -20.0), 0.9, 1.7, 1.6),
    Cover.DRY_GRASS: Signature(30, (-12.6, -19.0), (-12.9, -19.4), (-13.6, -20.6), (-13.0, -19.8), 0.9, 0.7, 1.9),
    Cover.RICE: Signature(40, (-12.4, -20.6), (-17.0, -25.0), (-10.2, -16.6), (-12.0, -19.4), 1.0, 0.5, 1.6),
}


def label_table() -> NDArray[np.uint8]:
    """WorldCover code of each cover, (covers,)."""
    return np.array([SIGNATURES[cover].label for cover in Cover], dtype=np.uint8)


def mean_table(season: str) -> NDArray[np.float32]:
    """Mean sigma0 in dB, (2, covers): VV, VH."""
    if season not in SEASONS:
        raise ValueError(f"season is {season!r}; allowed are {', '.join(SEASONS)}")
    return np.array([getattr(SIGNATURES[cover], season) for cover in Cover], dtype=np.float32).T.copy()


def spread_table() -> NDArray[np.float32]:
    """Field, texture in dB and incidence exponent, (3, covers)."""
    rows = [(s.field_db, s.texture_db, s.exponent) for s in (SIGNATURES[cover] for cover in Cover)]
    return np.array(rows, dtype=np.float32).T.copy()

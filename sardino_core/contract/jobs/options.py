"""How a scene is read and a model is run: what the jobs on rasters have in common."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Dict, Literal, Optional, Tuple

from sardino_core.contract.errors import SettingInvalid

Units = Literal["auto", "db", "power", "amplitude", "uint8db", "dn83"]
Device = Literal["auto", "cpu", "cuda", "mps"]
Precision = Literal["auto", "fp32", "bf16"]
Format = Literal["gtiff", "cog"]
Extent = Tuple[float, float, float, float]  # xmin, ymin, xmax, ymax in the raster's CRS
SEGMENT_OVERLAP = 0.25  # of the window's side: a third of the error at borders, 1.7 times the windows (docs/overlap.md)
CONTEXT_OVERLAP = 0.5  # attention and tokens depend on their whole window: a wider cross-fade hides its borders


@dataclass(frozen=True)
class SceneOptions:
    """How the input rasters are to be read, common to every job on rasters."""

    inputs: Tuple[str, ...]
    bands: Dict[str, int] = field(default_factory=dict)  # e.g. {"VV": 1, "VH": 2}; empty: recognised
    units: Units = "auto"
    extent: Optional[Extent] = None
    cutline: Optional[str] = None  # polygons: only inside is processed
    mask: Optional[str] = None  # raster (non-zero) or polygons: what is covered is not processed

    def __post_init__(self) -> None:
        """Validate ranges; raises SettingInvalid."""
        if not self.inputs:
            raise SettingInvalid("No input raster was given.", "Name at least one Sentinel-1 raster.")
        for key, number in self.bands.items():
            if number < 1:
                raise SettingInvalid(f"--bands {key}={number} is out of range; band numbers start at 1.")
        extent = self.extent
        if extent and not (all(map(math.isfinite, extent)) and extent[0] < extent[2] and extent[1] < extent[3]):
            raise SettingInvalid(
                f"The extent {','.join(f'{value:g}' for value in extent)} is empty, endless or turned around.",
                "Give xmin,ymin,xmax,ymax in the raster's CRS.",
            )


@dataclass(frozen=True)
class RunOptions:
    """How the model is run."""

    model: str
    overlap: float = SEGMENT_OVERLAP
    batch_size: int = 0  # 0: chosen by device and memory
    device: Device = "auto"
    precision: Precision = "auto"
    format: Format = "gtiff"
    overviews: bool = False  # a cog always has them

    def __post_init__(self) -> None:
        """Validate ranges; raises SettingInvalid."""
        if not 0 <= self.overlap <= 0.75:
            raise SettingInvalid(f"The overlap is {self.overlap:g}; allowed is 0 to 0.75 of the window.")
        if self.batch_size < 0:
            raise SettingInvalid(f"The batch size is {self.batch_size}; give 1 or more, or `auto`.")

"""Before a map and after it: fit and cost, samples, accuracy, merging its classes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Dict, Optional, Tuple

from sardino_core.contract.class_table import parse_table
from sardino_core.contract.errors import SettingInvalid
from sardino_core.contract.jobs.options import Format, RunOptions, SceneOptions


@dataclass(frozen=True)
class PreflightJob:
    """What a model would make of a scene, before any of it is made: fit, windows, memory, time, disk space."""

    scene: SceneOptions
    run: RunOptions
    output: Optional[str] = None  # HTML report


@dataclass(frozen=True)
class SamplePointsJob:
    """A stratified random sample of a land-cover map, as GeoJSON points to be labelled by eye."""

    classified: str
    output: str  # GeoJSON
    size: int = 500
    minimum: int = 30  # points in every class, however small it is
    seed: int = 0
    blind: bool = False  # True: the points do not tell the map's class

    def __post_init__(self) -> None:
        """Validate ranges; raises SettingInvalid."""
        if not 2 <= self.minimum <= self.size <= 100_000:
            raise SettingInvalid(
                f"The sample has {self.size} points with at least {self.minimum} in each class; allowed are up to "
                f"100000 points, and 2 or more in each class."
            )


@dataclass(frozen=True)
class AccuracyJob:
    """A land-cover map against a reference: labelled sample points, or for mere agreement a raster or polygons."""

    classified: str
    reference: str
    output: str  # HTML report; tables as CSV beside it
    mapping: Dict[int, int] = field(default_factory=dict)  # reference value -> class of the map, 0: left out
    field_name: str = "reference"  # of points and polygons: where the reference class is, as value or name

    def __post_init__(self) -> None:
        """Validate ranges; raises SettingInvalid."""
        for value, target in self.mapping.items():
            if not 0 <= target <= 255:
                raise SettingInvalid(f"The mapping {value}={target} is out of range; classes are 0 to 255.")


@dataclass(frozen=True)
class MergeClassesJob:
    """A land-cover map with classes merged, renamed, recoloured or made nodata, by a small table."""

    classified: str
    output: str
    classes: Tuple[str, ...]  # such as `10,20=1:woodland:#1b7837`; classes that are not named stay
    format: Format = "gtiff"

    def __post_init__(self) -> None:
        """Validate the table in itself; raises SettingInvalid."""
        parse_table(self.classes)

"""Many dates of one place: their mean, and where one of them differs."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Dict, Literal, Optional, Tuple

from sardino_core.contract.dates import check_dates
from sardino_core.contract.errors import SettingInvalid
from sardino_core.contract.jobs.options import Extent, Format, RunOptions, SceneOptions, Units


@dataclass(frozen=True)
class CompositeJob:
    """Many dates of one place to the mean of their linear power, per orbit and period, as one raster in dB."""

    inputs: Tuple[str, ...]  # rasters; a folder is the scene of one date
    output: str
    by: Literal["all", "season", "month"] = "all"
    orbit: Optional[str] = None  # only this one: a relative orbit such as 137, or ascending, or descending
    filter: Literal["none", "quegan"] = "none"
    quality: Optional[str] = None  # a second raster: dates and equivalent number of looks at every pixel
    dates: Tuple[str, ...] = ()  # of the inputs, in their order; none: from tags and names
    grid: Optional[str] = None  # a raster whose pixels are taken; None: the earliest date's, extended to all dates
    extent: Optional[Extent] = None  # xmin, ymin, xmax, ymax in the grid's CRS
    bands: Dict[str, int] = field(default_factory=dict)  # of every date; empty: recognised
    units: Units = "auto"
    format: Format = "gtiff"

    def __post_init__(self) -> None:
        """Validate inputs, bands, extent and dates in themselves; raises SettingInvalid."""
        SceneOptions(self.inputs, self.bands, self.units, self.extent)
        check_dates(self.dates, len(self.inputs))


@dataclass(frozen=True)
class ChangeJob:
    """How far the tokens of one date lie from those of reference dates, and how often chance alone takes them there."""

    before: Tuple[str, ...]  # three dates or more, between which nothing has changed
    after: Tuple[str, ...]  # one date
    run: RunOptions
    output: str
    false_alarm: float = 0.01  # share of unchanged patches that are marked nevertheless
    dates: Tuple[str, ...] = ()  # of `before`, then of `after`, in their order; none: from tags and names
    extent: Optional[Extent] = None
    bands: Dict[str, int] = field(default_factory=dict)  # of every date; empty: recognised
    units: Units = "auto"

    def __post_init__(self) -> None:
        """Validate inputs, bands, extent, dates and the rate in themselves; raises SettingInvalid."""
        for inputs in (self.before, self.after):
            SceneOptions(inputs, self.bands, self.units, self.extent)
        check_dates(self.dates, len(self.before) + len(self.after))
        if not 0 < self.false_alarm <= 0.5:
            raise SettingInvalid(f"--false-alarm {self.false_alarm:g} is out of range; allowed is above 0, up to 0.5.")

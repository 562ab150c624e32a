"""What the algorithms on several dates share: layers and their dates, the extent, dressing the results."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from qgis.core import (
    NULL,
    QgsCoordinateReferenceSystem,
    QgsProcessing,
    QgsProcessingContext,
    QgsProcessingParameterDefinition,
    QgsProcessingParameterMultipleLayers,
    QgsProcessingParameterString,
)

from sar_dino_qgis.i18n import tr
from sar_dino_qgis.processing import parameters as declare
from sar_dino_qgis.processing.base import Parameters
from sar_dino_qgis.processing.checks import parse_bands
from sar_dino_qgis.processing.rasters import Raster, read_rasters
from sar_dino_qgis.processing.styled_algorithm import StyledAlgorithm
from sardino_core.contract.dates import check_dates
from sardino_core.contract.errors import AreaOutside, SettingInvalid

Extent = tuple[float, float, float, float]


class DatesAlgorithm(StyledAlgorithm):
    """Rasters of several dates under the parameters LAYERS, with DATES, EXTENT, BANDS and UNITS."""

    GROUP = ("dates", "Several dates of a place")
    LAYERS: Sequence[str] = ()  # parameters that hold rasters, in the order of DATES

    _rasters: dict[str, list[Raster]]

    def check(self, parameters: Parameters, context: QgsProcessingContext) -> None:
        rasters = [raster for name in self.LAYERS for raster in read_rasters(self, parameters, name, context)]
        check_dates(self.dates(parameters, context), len(rasters))
        self.bands(parameters, context)

    def read_layers(self, parameters: Parameters, context: QgsProcessingContext) -> None:
        self._rasters = {name: read_rasters(self, parameters, name, context) for name in self.LAYERS}
        self._extent = self._area(parameters, context)

    def paths(self, name: str) -> tuple[str, ...]:
        """The files of a parameter."""
        return tuple(raster.path for raster in self._rasters[name])

    def dates(self, parameters: Parameters, context: QgsProcessingContext) -> tuple[str, ...]:
        """DATES: one per raster, or none."""
        return tuple(filter(None, re.split(r"[\s,;]+", self.parameterAsString(parameters, "DATES", context))))

    def bands(self, parameters: Parameters, context: QgsProcessingContext) -> dict[str, int]:
        """BANDS by name. Raises SettingInvalid."""
        return parse_bands(self.parameterAsString(parameters, "BANDS", context))

    def units(self, parameters: Parameters, context: QgsProcessingContext) -> Any:
        """UNITS as the core takes them."""
        return self.parameterAsEnumString(parameters, "UNITS", context) or "auto"

    def layer_title(self, title: str, job: Any) -> str:
        return f"{title}, {self._subject()}"

    def _subject(self) -> str:
        """From the first raster to the last."""
        paths = [path for name in self.LAYERS for path in self.paths(name)]
        return f"{Path(paths[0]).stem} to {Path(paths[-1]).stem}" if len(paths) > 1 else Path(paths[0]).stem

    def crs_of_extent(self, parameters: Parameters, context: QgsProcessingContext) -> QgsCoordinateReferenceSystem:
        """The CRS that all rasters share. Raises SettingInvalid where they have several."""
        known = [raster.crs for rasters in self._rasters.values() for raster in rasters]
        if any(crs != known[0] for crs in known):
            raise SettingInvalid("The rasters have different CRSs, so an extent is not clear.", "Clear the extent.")
        return known[0]

    def _area(self, parameters: Parameters, context: QgsProcessingContext) -> Extent | None:
        """EXTENT as the core takes it; None where none was given. Raises AreaOutside for one that is nothing."""
        if parameters.get("EXTENT") in (None, "", NULL):
            return None
        area = self.parameterAsExtent(parameters, "EXTENT", context, self.crs_of_extent(parameters, context))
        if area.isNull():
            raise AreaOutside("The extent is empty, or not known in the rasters' CRS.", "Choose one, or clear it.")
        return area.xMinimum(), area.yMinimum(), area.xMaximum(), area.yMaximum()


def rasters(name: str, title: str, help_text: str) -> QgsProcessingParameterDefinition:
    """Rasters of one or several dates."""
    parameter = QgsProcessingParameterMultipleLayers(name, title, QgsProcessing.SourceType.TypeRaster)
    return declare.helped(parameter, help_text)


def dates(whose: str) -> QgsProcessingParameterDefinition:
    """DATES, for rasters that do not tell them themselves."""
    return declare.helped(
        QgsProcessingParameterString("DATES", tr("Dates"), "", optional=True),
        tr("Where neither tags nor names tell them: one date for every raster, in the order of {whose}, such as "
           "2024-06-18 2024-06-30. Empty: recognised.").format(whose=whose),
    )  # fmt: skip

"""Temporal composite."""

from __future__ import annotations

from qgis.core import (
    QgsCoordinateReferenceSystem,
    QgsProcessingContext,
    QgsProcessingFeedback,
    QgsProcessingParameterDefinition,
    QgsProcessingParameterRasterLayer,
    QgsProcessingParameterString,
)

from sar_dino_qgis.i18n import tr
from sar_dino_qgis.processing import parameters as declare
from sar_dino_qgis.processing.base import Parameters
from sar_dino_qgis.processing.dates_algorithm import DatesAlgorithm, dates, rasters
from sar_dino_qgis.processing.rasters import file_of
from sardino_core.contract.jobs import CompositeJob


class Composite(DatesAlgorithm):
    """Many dates to one raster."""

    NAME = "composite"
    TITLE = "Temporal composite"
    TAGS = ("mean", "multitemporal", "season", "speckle", "Quegan", "stack", "time series")
    HELP = (
        "Makes one raster in dB of many dates: the mean of their linear power, orbit by orbit, over all dates or by "
        "season or month. Speckle averages out. Dates on other pixels are resampled in power. The result goes "
        "into `Segment land cover`, where the model knows composites; see its card."
    )
    PAGE = "composite"
    LAYERS = ("INPUT",)
    OUTPUTS = {"OUTPUT": "composite", "QUALITY": "quality"}

    def parameters(self) -> list[QgsProcessingParameterDefinition]:
        orbit = QgsProcessingParameterString("ORBIT", tr("Only this orbit"), "", optional=True)
        return [
            rasters("INPUT", tr("Sentinel-1 rasters of many dates"), tr(
                "Files with VV and VH, one for each date, or files of each polarisation; tiles of one pass are joined. "
                "Calibrated and terrain-corrected, in dB, power or amplitude.")),
            declare.choice(
                "BY", tr("One mean for"), ["all", "season", "month"], "all",
                tr("all: all dates; season: names bands such as VV@summer, which models of four seasons read, winter "
                   "being December to February; month: one for each."),
            ),
            declare.choice(
                "FILTER", tr("Speckle filter"), ["none", "quegan"], "none",
                tr("quegan: the multitemporal filter of Quegan and Yu (2001). All dates of an orbit smooth each of its "
                   "means; of use by season or month."),
            ),
            declare.extent(),
            dates(tr("the list above")),
            *map(declare.advanced, [
                declare.helped(orbit, tr("A relative orbit such as 137, or ascending, or descending. Empty: bands for "
                                         "each orbit that the dates tell.")),
                declare.helped(
                    QgsProcessingParameterRasterLayer("GRID", tr("On the pixels of"), optional=True),
                    tr("A raster whose pixels and extent the composite takes. Empty: those of the earliest date, "
                       "extended to all."),
                ),
                *declare.reading(),
            ]),
            declare.raster_output("OUTPUT", tr("Composite"), tr("Float32 in dB, a VV and a VH band for each mean.")),
            declare.advanced(
                declare.raster_output(
                    "QUALITY", tr("Quality"), tr("How many dates every pixel has, and its equivalent number of looks."),
                    by_default=False,
                )
            ),
        ]  # fmt: skip

    def read_layers(self, parameters: Parameters, context: QgsProcessingContext) -> None:
        grid = self.parameterAsRasterLayer(parameters, "GRID", context)
        self._grid = file_of(grid) if grid is not None else None
        super().read_layers(parameters, context)

    def crs_of_extent(self, parameters: Parameters, context: QgsProcessingContext) -> QgsCoordinateReferenceSystem:
        grid = self.parameterAsRasterLayer(parameters, "GRID", context)
        return grid.crs() if grid is not None else super().crs_of_extent(parameters, context)

    def job(
        self, parameters: Parameters, context: QgsProcessingContext, feedback: QgsProcessingFeedback
    ) -> CompositeJob:
        return CompositeJob(
            self.paths("INPUT"),
            self.output_path(parameters, "OUTPUT", context) or "",
            by=self.parameterAsEnumString(parameters, "BY", context),
            orbit=self.parameterAsString(parameters, "ORBIT", context).strip() or None,
            filter=self.parameterAsEnumString(parameters, "FILTER", context),
            quality=self.output_path(parameters, "QUALITY", context),
            dates=self.dates(parameters, context),
            grid=self._grid,
            extent=self._extent,
            bands=self.bands(parameters, context),
            units=self.units(parameters, context),
        )

"""What the algorithms that run a model over a scene share: reading the scene's parameters, dressing the results."""

from __future__ import annotations

from typing import Any

from qgis.core import (
    NULL,
    QgsCoordinateReferenceSystem,
    QgsProcessingContext,
    QgsProcessingFeedback,
    QgsRasterLayer,
    QgsRectangle,
)

from sar_dino_qgis.layers.post_processor import layer_name
from sar_dino_qgis.processing.areas import geojson_of, geometry_check
from sar_dino_qgis.processing.base import Parameters
from sar_dino_qgis.processing.checks import check_bands, check_extent, check_spacing, model_of, parse_bands
from sar_dino_qgis.processing.rasters import Raster, file_of, read_rasters
from sar_dino_qgis.processing.styled_algorithm import StyledAlgorithm
from sardino_core.contract.errors import AreaOutside
from sardino_core.contract.jobs import RunOptions, SceneOptions
from sardino_core.contract.model_spec import ModelSpec


class RasterAlgorithm(StyledAlgorithm):
    """INPUT, MODEL, EXTENT, BANDS, UNITS, BATCH_SIZE and DEVICE always; CUTLINE, MASK and OVERLAP where declared."""

    GROUP = ("maps", "Maps from a scene")

    _rasters: list[Raster]
    _extent: tuple[float, float, float, float] | None
    _mask_raster: str | None

    def check_model(self, spec: ModelSpec) -> None:
        """Raises ModelInvalid for a model that this algorithm cannot use."""

    def check(self, parameters: Parameters, context: QgsProcessingContext) -> None:
        spec = model_of(self.model_name(parameters, context))
        self.check_model(spec)
        rasters = self._read_rasters(parameters, context)
        check_bands(rasters, spec, self._bands(parameters, context))
        check_spacing(rasters, spec)
        check_extent(rasters, self._area(parameters, context, rasters[0].crs))

    def read_layers(self, parameters: Parameters, context: QgsProcessingContext) -> None:
        self._rasters = self._read_rasters(parameters, context)
        area = self._area(parameters, context, self._rasters[0].crs)
        bounds = (area.xMinimum(), area.yMinimum(), area.xMaximum(), area.yMaximum())
        self._extent = None if area.isNull() else bounds
        mask = self.parameterAsLayer(parameters, "MASK", context) if self.parameterDefinition("MASK") else None
        self._mask_raster = file_of(mask) if isinstance(mask, QgsRasterLayer) else None

    def scene(
        self, parameters: Parameters, context: QgsProcessingContext, feedback: QgsProcessingFeedback
    ) -> SceneOptions:
        """How the scene is read; polygons are written to temporary files here, off the main thread."""
        return SceneOptions(
            inputs=tuple(raster.path for raster in self._rasters),
            bands=self._bands(parameters, context),
            units=self.parameterAsEnumString(parameters, "UNITS", context) or "auto",
            extent=self._extent,
            cutline=self._polygons(parameters, "CUTLINE", context, feedback),
            mask=self._mask_raster or self._polygons(parameters, "MASK", context, feedback),
        )

    def run_options(self, parameters: Parameters, context: QgsProcessingContext, overlap: float) -> RunOptions:
        """How the model is run; overviews always, for QGIS draws from them."""
        return RunOptions(
            model=self.model_name(parameters, context),
            overlap=self.parameterAsDouble(parameters, "OVERLAP", context)
            if self.parameterDefinition("OVERLAP")
            else overlap,
            batch_size=self.parameterAsInt(parameters, "BATCH_SIZE", context),
            device=self.parameterAsEnumString(parameters, "DEVICE", context) or "auto",
            overviews=True,
        )

    def layer_title(self, title: str, job: Any) -> str:
        return layer_name(title, job)

    def _read_rasters(self, parameters: Parameters, context: QgsProcessingContext) -> list[Raster]:
        return read_rasters(self, parameters, "INPUT", context)

    def _area(
        self, parameters: Parameters, context: QgsProcessingContext, crs: QgsCoordinateReferenceSystem
    ) -> QgsRectangle:
        """EXTENT in that CRS; null where none was given. Raises AreaOutside for one that is nothing."""
        area = self.parameterAsExtent(parameters, "EXTENT", context, crs)
        if area.isNull() and parameters.get("EXTENT") not in (None, "", NULL):
            raise AreaOutside("The extent is empty, or not known in the raster's CRS.", "Choose one, or clear it.")
        return area

    def _bands(self, parameters: Parameters, context: QgsProcessingContext) -> dict[str, int]:
        return parse_bands(self.parameterAsString(parameters, "BANDS", context))

    def _polygons(
        self, parameters: Parameters, name: str, context: QgsProcessingContext, feedback: QgsProcessingFeedback
    ) -> str | None:
        source = self.parameterAsSource(parameters, name, context) if self.parameterDefinition(name) else None
        if source is None:
            return None
        return geojson_of(source, name.lower(), geometry_check(parameters.get(name), context), feedback)

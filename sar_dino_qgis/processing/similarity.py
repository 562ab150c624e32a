"""Similarity to marked places."""

from __future__ import annotations

from qgis.core import (
    QgsProcessing,
    QgsProcessingContext,
    QgsProcessingFeedback,
    QgsProcessingParameterDefinition,
    QgsProcessingParameterFeatureSource,
    QgsProcessingParameterField,
    QgsProcessingParameterMultipleLayers,
)

from sar_dino_qgis.i18n import tr
from sar_dino_qgis.processing import parameters as declare
from sar_dino_qgis.processing.areas import geojson_of, geometry_check
from sar_dino_qgis.processing.base import Parameters
from sar_dino_qgis.processing.raster_algorithm import RasterAlgorithm
from sar_dino_qgis.processing.rasters import rasters_of
from sardino_core.contract.errors import InputMissing
from sardino_core.contract.jobs import CONTEXT_OVERLAP, SimilarityJob


class Similarity(RasterAlgorithm):
    """Where a scene looks as it does at marked places."""

    NAME = "similarity"
    TITLE = "Similarity to marked places"
    PAGE = "explore"
    TAGS = ("search", "cosine", "tokens", "points")
    HELP = (
        "Mark a place, and see what else looks like it: the cosine, -1 to 1, between the network's patch tokens and "
        "that of the marks. The marks may lie in another scene. A pre-trained model without classes will do. The "
        "values rank places; they are no probabilities."
    )
    OUTPUTS = {"OUTPUT": "similarity"}

    def parameters(self) -> list[QgsProcessingParameterDefinition]:
        kinds = [QgsProcessing.SourceType.TypeVectorPoint, QgsProcessing.SourceType.TypeVectorPolygon]
        field = QgsProcessingParameterField("NAME_FIELD", tr("Field with names"), None, "REFERENCES", optional=True)
        other = QgsProcessingParameterMultipleLayers(
            "REFERENCE_SCENE", tr("Scene of the marked places"), QgsProcessing.SourceType.TypeRaster, optional=True
        )
        return [
            declare.scene(),
            declare.model(),
            declare.helped(
                QgsProcessingParameterFeatureSource("REFERENCES", tr("Marked places"), kinds),
                tr("Points or polygons, in any CRS, on pixels with data."),
            ),
            declare.helped(field, tr("One band for each of its values. Empty: one band, for all marks together.")),
            declare.helped(other, tr("Where the marks lie, if not in the scene itself: what was marked there is sought "
                                     "here.")),
            declare.extent(),
            *map(declare.advanced, [*declare.reading(), *declare.running()]),
            declare.raster_output("OUTPUT", tr("Similarity"), tr("One band per name, on the grid of patches.")),
        ]  # fmt: skip

    def read_layers(self, parameters: Parameters, context: QgsProcessingContext) -> None:
        super().read_layers(parameters, context)
        layers = self.parameterAsLayerList(parameters, "REFERENCE_SCENE", context)
        if parameters.get("REFERENCE_SCENE") and not layers:
            raise InputMissing(
                "The scene of the marked places cannot be opened.", "Choose rasters that are local files."
            )
        self._reference_scene = tuple(raster.path for raster in rasters_of(layers))

    def job(
        self, parameters: Parameters, context: QgsProcessingContext, feedback: QgsProcessingFeedback
    ) -> SimilarityJob:
        source = self.parameterAsSource(parameters, "REFERENCES", context)
        check = geometry_check(parameters.get("REFERENCES"), context)
        return SimilarityJob(
            self.scene(parameters, context, feedback),
            self.run_options(parameters, context, CONTEXT_OVERLAP),
            self.output_path(parameters, "OUTPUT", context) or "",
            references=geojson_of(source, "references", check, feedback, attributes=True),
            reference_scene=self._reference_scene,
            name_field=self.parameterAsString(parameters, "NAME_FIELD", context) or None,
        )

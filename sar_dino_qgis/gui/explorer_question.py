"""From a click and the explorer's form to a job for the worker."""

from __future__ import annotations

import shutil
from pathlib import Path

from qgis.core import QgsCoordinateTransform, QgsCsException, QgsPointXY, QgsProcessingUtils, QgsProject, QgsRectangle
from qgis.gui import QgsMapCanvas

from sar_dino_qgis.gui.explorer_controls import Controls
from sar_dino_qgis.processing.rasters import Raster, place_in_core
from sardino_core.contract.errors import AreaOutside
from sardino_core.contract.jobs import ExploreJob, RunOptions, SceneOptions


class Questions:
    """Remembers over what similarity reaches, and owns the folder in which answers lie."""

    def __init__(self, canvas: QgsMapCanvas, controls: Controls) -> None:
        self._canvas, self._controls = canvas, controls
        self._view: QgsRectangle | None = None  # in the layer's CRS
        self._folder = ""  # under QGIS's own temporary folder, which QGIS removes at its end

    def about(self, place: QgsPointXY) -> ExploreJob:
        """What the form asks about a place, in the map's CRS. Raises SardinoError."""
        controls = self._controls
        rasters, mode = controls.rasters(), controls.mode.currentData()
        map_crs = self._canvas.mapSettings().destinationCrs()
        to_layer = QgsCoordinateTransform(map_crs, rasters[0].crs, QgsProject.instance())
        try:
            point = to_layer.transform(place)
            view = to_layer.transformBoundingBox(self._canvas.extent())
        except QgsCsException:
            raise AreaOutside("The place is not known in the layer's CRS.", "Click on the layer.") from None
        if not rasters[0].extent.contains(point):
            raise AreaOutside(f"The place lies outside the layer {rasters[0].name}.", "Click on the layer.")
        extent = self._extent(view, rasters[0]) if mode == "similarity" else None
        return ExploreJob(
            SceneOptions(
                tuple(raster.path for raster in rasters), controls.bands_given(), controls.units.currentText(), extent
            ),
            RunOptions(controls.model_name()),
            self._output(),
            place_in_core(rasters[0], point.x(), point.y()),
            mode,
            controls.depth.value(),
            controls.head_name(),
        )

    def forget(self) -> None:
        """The next question is the first one."""
        self._view = None

    def remove_answers(self) -> None:
        """Remove the folder; for when nobody writes there any more."""
        if self._folder:
            shutil.rmtree(self._folder, ignore_errors=True)
            self._folder = ""

    def _extent(self, view: QgsRectangle, raster: Raster) -> tuple[float, float, float, float]:
        """What is visible of the layer; or what was, as long as nothing else has come into view."""
        visible = view.intersect(raster.extent)
        if self._view is None or not self._view.contains(visible):
            self._view = visible
        area = self._view
        return area.xMinimum(), area.yMinimum(), area.xMaximum(), area.yMaximum()

    def _output(self) -> str:
        if not self._folder:
            self._folder = str(Path(QgsProcessingUtils.generateTempFilename("explored.tif")).parent)
        return str(Path(self._folder) / "explored.tif")

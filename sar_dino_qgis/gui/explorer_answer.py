"""The answer to a question about a place, as a picture for the map: what takes time, for a thread beside the window."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from osgeo import gdal
from qgis.core import QgsCoordinateReferenceSystem, QgsRasterLayer, QgsRectangle
from qgis.PyQt.QtGui import QColor, QImage

from sar_dino_qgis.layers.styles import open_plainly, style_of_place, write_style
from sar_dino_qgis.worker.process import WorkerPool
from sardino_core.contract.errors import AreaOutside, NotARaster
from sardino_core.contract.jobs import ExploreJob
from sardino_core.contract.listener import Listener


@dataclass(frozen=True)
class Picture:
    """An answer as it is laid over the map."""

    job: ExploreJob
    told: str  # what it is, in a line
    image: QImage  # a pixel per patch, transparent without data
    extent: QgsRectangle  # of the image, in the map's CRS
    ramp: tuple[tuple[float, QColor], ...]  # values and their colours, upwards


def ask(pool: WorkerPool, job: ExploreJob, crs: QgsCoordinateReferenceSystem, listener: Listener) -> Picture:
    """Have the worker answer, and draw it for a map of that CRS. Raises SardinoError."""
    result = pool.run(job, listener)
    path = _in_crs(job.output, crs)
    write_style(path, style_of_place(job.mode))
    layer = styled_layer(path, Path(path).stem)
    if not layer.isValid():
        raise NotARaster(f"The answer {path} cannot be opened.", "Look at the place again.")
    renderer = layer.renderer()
    items = renderer.shader().rasterShaderFunction().colorRampItemList()
    return Picture(
        job,
        result.values["told"],
        renderer.block(1, layer.extent(), layer.width(), layer.height()).image(),
        layer.extent(),
        tuple((item.value, QColor(item.color)) for item in items),
    )


def save(pool: WorkerPool, job: ExploreJob, listener: Listener) -> ExploreJob:
    """Have the worker write the answer where it stays, with its style beside it. Raises SardinoError."""
    pool.run(job, listener)
    write_style(job.output, style_of_place(job.mode))
    return job


def styled_layer(path: str, name: str) -> QgsRasterLayer:
    """The raster with the style beside it."""
    layer = open_plainly(path, name)
    layer.loadDefaultStyle()
    return layer


def _in_crs(path: str, crs: QgsCoordinateReferenceSystem) -> str:
    """The raster, or a copy beside it in another CRS; a patch stays a patch."""
    layer = open_plainly(path, "")
    if not crs.isValid() or not layer.crs().isValid() or layer.crs() == crs:
        return path
    warped = str(Path(path).with_name("warped.tif"))
    if gdal.Warp(warped, path, dstSRS=crs.toWkt(), dstNodata="nan", resampleAlg="near") is None:
        raise AreaOutside(f"The place cannot be drawn in {crs.authid()}.", "Choose another CRS for the project.")
    return warped

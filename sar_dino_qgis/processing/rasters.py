"""QGIS's raster layers as the core takes them: files, with what the layer tells about bands and pixels.

Not for judging them: see checks.py.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from osgeo import gdal
from qgis.core import (
    QgsCoordinateReferenceSystem,
    QgsMapLayer,
    QgsProcessingAlgorithm,
    QgsProcessingContext,
    QgsProcessingUtils,
    QgsProviderRegistry,
    QgsRasterLayer,
    QgsRectangle,
    QgsUnitTypes,
)

from sardino_core.contract.errors import InputMissing, SettingInvalid

_METRES_PER_DEGREE = 111_320.0
_POLARISATION = re.compile(r"(?<![a-z])(vv|vh|hh|hv)(?:asc|desc?|dsc|db|lin|amp)?(?![a-z])", re.IGNORECASE)
_NO_FILE = re.compile(r"(?i)^(https?|ftp|wms|wcs|wmts|pg|postgres\w*|memory):|^\s*<|\burl=")
_SAVE_IT = "Save it as a GeoTIFF first (layer menu: Export, Save As)."


@dataclass(frozen=True)
class Raster:
    """One input raster."""

    path: str  # what GDAL opens
    bands: tuple[str, ...]  # their descriptions
    spacing_m: float | None  # sqrt(dx * dy); None where it is not known
    extent: QgsRectangle
    crs: QgsCoordinateReferenceSystem

    @property
    def name(self) -> str:
        """The file's name."""
        return Path(self.path).name

    @property
    def polarisations(self) -> set[str]:
        """What its bands are called, or else its file; empty where nothing is said."""
        texts = [text for text in self.bands if _POLARISATION.search(text)] or [Path(self.path).stem]
        return {found.upper() for text in texts for found in _POLARISATION.findall(text)}


def rasters_of(layers: Sequence[QgsMapLayer]) -> list[Raster]:
    """The layers as files. Raises SettingInvalid for one that is no file, InputMissing for one that is gone."""
    return [_raster(layer) for layer in layers]


def read_rasters(
    algorithm: QgsProcessingAlgorithm, parameters: Mapping[str, Any], name: str, context: QgsProcessingContext
) -> list[Raster]:
    """The layers of a parameter as files. Raises InputMissing for one that cannot be opened, and as rasters_of does."""
    layers = algorithm.parameterAsLayerList(parameters, name, context)
    given = parameters.get(name)
    missing = [
        item for item in (given if isinstance(given, (list, tuple)) else [given])
        if isinstance(item, str) and QgsProcessingUtils.mapLayerFromString(item, context) is None
    ]  # fmt: skip
    if missing or not layers:
        raise InputMissing(
            f"{missing[0] if missing else 'The input'} cannot be opened as a raster layer.",
            "Choose Sentinel-1 rasters that are local files.",
        )
    return rasters_of(layers)


def file_of(layer: QgsMapLayer) -> str:
    """What GDAL opens for this layer. Raises SettingInvalid, or InputMissing."""
    if layer.providerType() != "gdal" or _NO_FILE.search(layer.source()):
        raise SettingInvalid(
            f"The layer {layer.name()} is no raster file (it comes from {layer.providerType()}).", _SAVE_IT
        )
    parts = QgsProviderRegistry.instance().decodeUri("gdal", layer.source())
    prefix, path, suffix = (str(parts.get(key) or "") for key in ("vsiPrefix", "path", "vsiSuffix"))
    if prefix or path.startswith("/vsi"):
        return prefix + path + suffix
    if Path(path).exists():
        return str(Path(path).absolute())
    if ":" in path and not Path(path).drive:  # a part of a larger file, such as NETCDF:"a.nc":VV
        return path
    raise InputMissing(f"The file {path} of the layer {layer.name()} does not exist.", "Check the layer's source.")


def place_in_core(raster: Raster, x: float, y: float) -> tuple[float, float]:
    """A place on QGIS's map as the core counts it: without a geotransform QGIS's rows go down from 0, the core's up."""
    dataset = gdal.Open(raster.path)
    counted = dataset is not None and dataset.GetGeoTransform(can_return_null=True) is None
    return x, -y if counted else y


def _raster(layer: QgsMapLayer) -> Raster:
    path = file_of(layer)  # first: what is no raster has no bands either
    bands = tuple(re.sub(r"^Band \d+(: )?", "", layer.bandName(band + 1)) for band in range(layer.bandCount()))
    return Raster(path, bands, _spacing_m(layer), layer.extent(), layer.crs())


def _spacing_m(layer: QgsRasterLayer) -> float | None:
    crs = layer.crs()
    if not crs.isValid():
        return None
    dx, dy = layer.rasterUnitsPerPixelX(), layer.rasterUnitsPerPixelY()
    if crs.isGeographic():
        latitude = math.radians(layer.extent().center().y())
        return _METRES_PER_DEGREE * math.sqrt(dx * dy * max(math.cos(latitude), 1e-6))
    metres = QgsUnitTypes.fromUnitToUnitFactor(crs.mapUnits(), QgsUnitTypes.DistanceUnit.DistanceMeters)
    return metres * math.sqrt(dx * dy)

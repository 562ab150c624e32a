"""Features of any vector layer as GeoJSON, the one vector format that the core reads without further packages.

The coordinates stay in the layer's CRS, which the file names: the core bends edges as the raster's CRS needs it.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from qgis.core import (
    NULL,
    QgsCoordinateReferenceSystem,
    QgsFeature,
    QgsProcessingFeatureSource,
    QgsProcessingFeedback,
    QgsProcessingUtils,
)

from sardino_core.contract.errors import AreaOutside

_DIGITS = 12  # of coordinates; a nanometre in metres, and less in degrees


def geojson_of(
    source: QgsProcessingFeatureSource, role: str, feedback: QgsProcessingFeedback, *, attributes: bool = False
) -> str:
    """Write the features (the selected ones where only those were asked for) and return the file's path.

    Raises AreaOutside where there are none.
    """
    path = QgsProcessingUtils.generateTempFilename(f"{role}.geojson")
    names = [field.name() for field in source.fields()] if attributes else []
    count = 0
    with open(path, "w", encoding="utf-8") as file:
        file.write(f'{{"type": "FeatureCollection", {_crs_member(source.sourceCrs())}"features": [\n')
        for feature in source.getFeatures():
            if feedback.isCanceled():
                break
            if feature.hasGeometry() and not feature.geometry().isEmpty():
                file.write(("," if count else "") + _feature(feature, names) + "\n")
                count += 1
        file.write("]}\n")
    if not count and not feedback.isCanceled():
        raise AreaOutside(f"The {role} layer holds no feature.", "Draw or choose some, or choose another layer.")
    return path


def _feature(feature: QgsFeature, names: Sequence[str]) -> str:
    properties = json.dumps({name: _plain(feature[name]) for name in names}, ensure_ascii=False)
    return f'{{"type": "Feature", "properties": {properties}, "geometry": {feature.geometry().asJson(_DIGITS)}}}'


def _plain(value: Any) -> Any:
    if value is None or value == NULL:
        return None
    return value if isinstance(value, (bool, int, float, str)) else str(value)


def _crs_member(crs: QgsCoordinateReferenceSystem) -> str:
    if not crs.isValid():
        return ""
    known = crs.authid() and not crs.authid().startswith(("USER:", "CUSTOM:"))
    name = crs.authid() if known else crs.toWkt(QgsCoordinateReferenceSystem.WktVariant.WKT_PREFERRED)
    return f'"crs": {{"type": "name", "properties": {{"name": {json.dumps(name)}}}}}, '

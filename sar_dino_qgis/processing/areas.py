"""Features of any vector layer as GeoJSON, the one vector format that the core reads without further packages.

The coordinates stay in the layer's CRS, which the file names: the core bends edges as the raster's CRS needs it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any

from qgis.core import (
    NULL,
    QgsCoordinateReferenceSystem,
    QgsFeature,
    QgsFeatureRequest,
    QgsProcessingContext,
    QgsProcessingFeatureSource,
    QgsProcessingFeatureSourceDefinition,
    QgsProcessingFeedback,
    QgsProcessingUtils,
)

from sardino_core.contract.errors import AreaOutside

_DIGITS = 12  # of coordinates; a nanometre in metres, and less in degrees


def geojson_of(
    source: QgsProcessingFeatureSource,
    role: str,
    check: QgsFeatureRequest.InvalidGeometryCheck,
    feedback: QgsProcessingFeedback,
    *,
    attributes: bool = False,
) -> str:
    """Write the features (the selected ones where only those were asked for) and return the file's path.

    Invalid geometries are refused, left out or taken, as `check` wants it (see geometry_check). Raises AreaOutside
    where there are no features, and for an invalid one.
    """
    name = re.sub(r"\W+", "_", source.sourceName()).strip("_")[:60] or role  # messages name the file
    path = QgsProcessingUtils.generateTempFilename(f"{name}.geojson")
    names = [field.name() for field in source.fields()] if attributes else []
    count = 0
    with open(path, "w", encoding="utf-8") as file:
        file.write(f'{{"type": "FeatureCollection", {_crs_member(source.sourceCrs())}"features": [\n')
        # Judged here: QGIS's own check throws a C++ exception through Python's iterator, which crashes QGIS.
        unchecked = QgsProcessingFeatureSource.Flag.FlagSkipGeometryValidityChecks
        for feature in source.getFeatures(QgsFeatureRequest(), unchecked):
            if feedback.isCanceled():
                break
            if feature.hasGeometry() and not feature.geometry().isEmpty() and _valid(feature, role, check):
                file.write(("," if count else "") + _feature(feature, names) + "\n")
                count += 1
        file.write("]}\n")
    if not count and not feedback.isCanceled():
        raise AreaOutside(f"The {role} layer holds no feature.", "Draw or choose some, or choose another layer.")
    return path


def geometry_check(value: Any, context: QgsProcessingContext) -> QgsFeatureRequest.InvalidGeometryCheck:
    """What shall be done with invalid geometries: as the parameter's `value` says, else as Processing's options do."""
    if isinstance(value, QgsProcessingFeatureSourceDefinition):
        own = QgsProcessingFeatureSourceDefinition.Flag.FlagOverrideDefaultGeometryCheck
        if value.flags & own:
            return value.geometryCheck
    return context.invalidGeometryCheck()


def _valid(feature: QgsFeature, role: str, check: QgsFeatureRequest.InvalidGeometryCheck) -> bool:
    """Whether the feature is used. Raises AreaOutside."""
    if check == QgsFeatureRequest.InvalidGeometryCheck.GeometryNoCheck or feature.geometry().isGeosValid():
        return True
    if check == QgsFeatureRequest.InvalidGeometryCheck.GeometrySkipInvalid:
        return False
    raise AreaOutside(
        f"The feature {feature.id()} of the {role} layer has an invalid geometry.",
        "Run `Fix geometries` on the layer, or let Processing's options ignore invalid features.",
    )


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

"""What a result's layer is called, when it was acquired, and from what it was made: set when Processing loads it.

The facts are read from the file's tags; the style is that of the file beside it (styles.py).
"""

from __future__ import annotations

import calendar
import json
from pathlib import Path
from typing import Any, ClassVar

from osgeo import gdal
from qgis.core import (
    Qgis,
    QgsDateTimeRange,
    QgsLayerMetadata,
    QgsMapLayer,
    QgsProcessingContext,
    QgsProcessingFeedback,
    QgsProcessingLayerPostProcessorInterface,
    QgsProject,
    QgsRasterLayer,
)
from qgis.PyQt.QtCore import QDate, QDateTime, Qt, QTime


def announce(context: QgsProcessingContext, destination: str, title: str, name: str) -> None:
    """Have the layer dressed and named, if QGIS is going to load it; `title` is the output's own name."""
    if context.willLoadLayerOnCompletion(destination):
        details = context.layerToLoadOnCompletionDetails(destination)
        details.setPostProcessor(ResultLayer(title, name))


def layer_name(title: str, job: Any) -> str:
    """Such as `Land cover, S1A_VV (starter)`: what it is, of what, and by which model."""
    first, count = Path(job.scene.inputs[0]).stem, len(job.scene.inputs)
    more = f" and {count - 1} more" if count > 1 else ""
    return f"{title}, {first}{more} ({Path(job.run.model).stem})"


class ResultLayer(QgsProcessingLayerPostProcessorInterface):
    """Dresses one layer; kept alive here until then, since QGIS does not."""

    _waiting: ClassVar[set[ResultLayer]] = set()

    def __init__(self, title: str, name: str) -> None:
        super().__init__()
        self._title, self._name = title, name
        self._waiting.add(self)

    def postProcessLayer(
        self, layer: QgsMapLayer, context: QgsProcessingContext, feedback: QgsProcessingFeedback
    ) -> None:
        layer.loadDefaultStyle()  # of the file beside it: Processing opens layers without it
        if layer.name() == self._title:  # a name that the user gave, in a model for example, stays
            layer.setName(self._name)
        if isinstance(layer, QgsRasterLayer):
            dress(layer, self._name)
            unfold_legend(layer, context.project())
        self._waiting.discard(self)


def dress(layer: QgsRasterLayer, name: str) -> None:
    """Metadata and date of acquisition, from the file's tags."""
    tags = _tags(layer.source())
    metadata = QgsLayerMetadata()
    metadata.setTitle(name)
    metadata.setAbstract(_abstract(tags))
    metadata.setCrs(layer.crs())
    metadata.setHistory([f"{tags.get('TIFFTAG_SOFTWARE', 'sardino')}: {tags.get('SARDINO_PARAMETERS', '')}"])
    if "SARDINO_ATTRIBUTION" in tags:
        metadata.setRights([tags["SARDINO_ATTRIBUTION"]])
    layer.setMetadata(metadata)
    acquired = time_range(tags.get("ACQUISITION_DATE", ""))
    if acquired is not None:
        temporal = layer.temporalProperties()
        temporal.setMode(Qgis.RasterTemporalMode.FixedTemporalRange)
        temporal.setFixedTemporalRange(acquired)
        temporal.setIsActive(True)


def unfold_legend(layer: QgsRasterLayer, project: QgsProject | None) -> None:
    """A map without its legend is hard to read; QGIS folds it up where there are many entries."""
    node = None if project is None else project.layerTreeRoot().findLayer(layer)
    if node is not None:
        node.setExpanded(False)  # the tree may show it folded although the node is not: it follows changes alone
        node.setExpanded(True)


def time_range(text: str) -> QgsDateTimeRange | None:
    """The whole days (UTC) of `2020-11-05`, `2020-11-05T01:58:58`, `2020-11` or two of them with a slash between."""
    first, _, last = text.partition("/")
    begin, end = _date(first, 1), _date(last or first, 31)
    if begin is None or end is None:
        return None
    utc = Qt.TimeSpec.UTC
    return QgsDateTimeRange(QDateTime(begin, QTime(0, 0), utc), QDateTime(end, QTime(23, 59, 59), utc))


def _date(text: str, day: int) -> QDate | None:
    """The date; `day`, or the month's last, where only the month is told."""
    try:
        year, month, *days = (int(part) for part in text[:10].split("-"))
        date = QDate(year, month, days[0] if days else min(day, calendar.monthrange(year, month)[1]))
    except ValueError:
        return None
    return date if date.isValid() else None


def _tags(path: str) -> dict[str, str]:
    dataset = gdal.Open(path)
    return dict(dataset.GetMetadata()) if dataset is not None else {}


def _abstract(tags: dict[str, str]) -> str:
    try:
        inputs = ", ".join(json.loads(tags.get("SARDINO_PARAMETERS", "{}")).get("inputs", []))
    except ValueError:
        inputs = ""
    lines = [
        f"Model: {tags.get('SARDINO_MODEL', 'unknown')}",
        f"Input: {inputs or 'unknown'}",
        f"Acquired: {tags.get('ACQUISITION_DATE', 'unknown')}",
        f"Units: {tags.get('SARDINO_UNITS', 'unknown')}",
        f"Bands: {tags.get('SARDINO_BANDS', 'unknown')}",
        tags.get("SARDINO_MEANING", ""),
        f"Merged: {tags['SARDINO_MERGED']}" if "SARDINO_MERGED" in tags else "",
        "Simulated: for tests and demonstrations." if tags.get("SARDINO_SIMULATED") == "YES" else "",
    ]
    return "\n".join(line for line in lines if line)

"""A run of an algorithm as a call of `qgis_process`, to be copied from the log."""

from __future__ import annotations

import os
import shlex
import subprocess  # nosec B404
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from qgis.core import (
    NULL,
    QgsMapLayer,
    QgsProcessingFeatureSourceDefinition,
    QgsProcessingOutputLayerDefinition,
    QgsProcessingParameterDefinition,
    QgsProcessingParameterMatrix,
    QgsProject,
    QgsProperty,
    QgsRectangle,
    QgsReferencedRectangle,
)


def qgis_process_call(
    algorithm: str, parameters: Mapping[str, Any], definitions: Sequence[QgsProcessingParameterDefinition]
) -> str:
    """One line for a shell; parameters that were not given are left to their defaults."""
    given = [(item, parameters.get(item.name())) for item in definitions]
    values = [f"{item.name()}={text}" for item, value in given for text in _texts_of(item, value)]
    return shell_line(["qgis_process", "run", algorithm, "--", *values])


def shell_line(words: Sequence[str], windows: bool = os.name == "nt") -> str:
    """The words quoted for the shell of this machine: in Windows' an apostrophe quotes nothing."""
    return subprocess.list2cmdline(words) if windows else shlex.join(words)


def _texts_of(definition: QgsProcessingParameterDefinition, value: Any) -> Iterator[str]:
    """A table is one text with all its cells; empty ones hold their places."""
    if isinstance(definition, QgsProcessingParameterMatrix) and isinstance(value, (list, tuple)):
        yield ",".join(next(_texts(cell), "") for cell in value)
    else:
        yield from _texts(value)


def _texts(value: Any) -> Iterator[str]:
    """The value as qgis_process takes it; a list repeats its parameter."""
    if value is None or value == NULL or value == "":
        return
    if isinstance(value, (list, tuple)):
        for item in value:
            yield from _texts(item)
    elif isinstance(value, QgsProcessingOutputLayerDefinition):
        yield from _texts(value.sink)
    elif isinstance(value, QgsProcessingFeatureSourceDefinition):
        yield from _texts(value.source)
    elif isinstance(value, QgsProperty):
        yield from _texts(value.staticValue())
    elif isinstance(value, QgsMapLayer):
        yield value.source()
    elif isinstance(value, QgsReferencedRectangle):
        yield f"{_rectangle(value)} [{value.crs().authid()}]"
    elif isinstance(value, QgsRectangle):
        yield _rectangle(value)
    elif isinstance(value, bool):
        yield str(value).lower()
    else:
        layer = QgsProject.instance().mapLayer(str(value)) if isinstance(value, str) else None
        yield layer.source() if layer is not None else str(value)


def _rectangle(value: QgsRectangle) -> str:
    return f"{value.xMinimum()},{value.xMaximum()},{value.yMinimum()},{value.yMaximum()}"

"""Messages in QGIS's terms: the core speaks of its command line, and QGIS does not say which values are allowed."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from qgis.core import (
    QgsProcessingContext,
    QgsProcessingParameterDefinition,
    QgsProcessingParameterEnum,
    QgsProcessingParameterFile,
    QgsProcessingParameterNumber,
    QgsProcessingUtils,
)

_OPTION = re.compile(r"(?<![\w/-])--([a-z]+(?:-[a-z]+)*)")
_COMMANDS = {
    "`sardino check`": "`Check the environment`",
    "`sardino classify` saved": "`Classify land cover from labelled areas` kept",
    "`sardino cluster --save-codebook`": "`Clusters without labels`, under SAVE_CODEBOOK",
    "sardino composite DATE --grid RASTER": "`Temporal composite` of each, with GRID",
}
_ENDLESS = 2**31 - 1  # what QGIS takes for a number without an end


def in_qgis_terms(text: str, names: Iterable[str]) -> str:
    """The text with the algorithm's own parameters, `names`, instead of options of the command line, with algorithms
    instead of commands, and without the folders of the temporary files that layers were written to.
    """
    text = re.sub(rf"{re.escape(QgsProcessingUtils.tempFolder())}/[0-9a-f]{{32}}/", "", text)
    for command, algorithm in _COMMANDS.items():
        text = text.replace(command, algorithm)
    known = {name.lower().replace("_", "-"): name for name in names}
    return _OPTION.sub(lambda found: known.get(found[1], found[0]), text)


def refusal(
    definitions: Iterable[QgsProcessingParameterDefinition],
    parameters: Mapping[str, Any],
    context: QgsProcessingContext,
) -> str:
    """What is allowed for the first number or choice that is not acceptable; empty where nothing can be said."""
    for item in definitions:
        value = parameters.get(item.name())
        allowed = _allowed(item)
        if allowed and not item.checkValueIsAcceptable(value, context):
            return f"{item.description()} ({item.name()}) is {value!r}; allowed {allowed}."
    return ""


def _allowed(item: QgsProcessingParameterDefinition) -> str:
    if isinstance(item, QgsProcessingParameterEnum):
        return f"are {', '.join(item.options())}"
    if isinstance(item, QgsProcessingParameterFile) and item.extension():
        return f"are files that end in .{item.extension()}"
    if isinstance(item, QgsProcessingParameterNumber):
        whole = item.dataType() == QgsProcessingParameterNumber.Type.Integer
        kind = "are whole numbers" if whole else "are numbers"
        end = f" to {item.maximum():g}" if abs(item.maximum()) < _ENDLESS else " on"
        return f"{kind} from {item.minimum():g}{end}" if abs(item.minimum()) < _ENDLESS else kind
    return ""

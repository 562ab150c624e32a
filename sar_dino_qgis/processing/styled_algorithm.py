"""What the algorithms that write rasters share: where the rasters go, their styles, and their names in the project."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from qgis.core import QgsProcessingContext, QgsProcessingFeedback

from sar_dino_qgis.layers.post_processor import announce
from sar_dino_qgis.layers.styles import write_style
from sar_dino_qgis.processing.base import Parameters, SardinoAlgorithm
from sardino_core.contract.messages import Result


class StyledAlgorithm(SardinoAlgorithm):
    """Subclasses name their raster outputs, and what a layer is called."""

    OUTPUTS: Mapping[str, str] = {}  # output parameter -> how it is styled, see layers/styles.py

    def __init__(self) -> None:
        super().__init__()
        self._destinations: dict[str, str] = {}  # output parameter -> the path as QGIS knows it

    def layer_title(self, title: str, job: Any) -> str:
        """The layer's name in the project; `title` is the output's own."""
        raise NotImplementedError

    def output_path(self, parameters: Parameters, name: str, context: QgsProcessingContext) -> str | None:
        """The absolute path of a raster to write; None where it was not asked for. Raises SettingInvalid."""
        destination = self.layer_destination(parameters, name, context)
        if not destination:
            return None
        self._destinations[name] = destination
        return str(Path(destination).absolute())

    def finish(
        self, job: Any, result: Result, context: QgsProcessingContext, feedback: QgsProcessingFeedback
    ) -> dict[str, Any]:
        for name, destination in self._destinations.items():
            write_style(str(Path(destination).absolute()), self.OUTPUTS[name])
            title = self.parameterDefinition(name).description()
            announce(context, destination, title, self.layer_title(title, job))
        return dict(self._destinations)

"""The models of the model designer that ship (sar_dino_qgis/models/*.model3), as algorithms of the provider."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from qgis.core import QgsProcessingAlgorithm, QgsProcessingModelAlgorithm
from qgis.PyQt.QtGui import QIcon

from sar_dino_qgis.icons import icon, icon_path

MODELS = Path(__file__).resolve().parent.parent / "models"


class ShippedModel(QgsProcessingModelAlgorithm):
    """A model whose id is its file's name: what users see of it can be changed without breaking their scripts."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path = path
        self.read()

    def read(self) -> None:
        """Read the file, with what the algorithms that it calls say of their outputs."""
        self.fromFile(str(self._path))

    def createInstance(self) -> QgsProcessingAlgorithm:
        return ShippedModel(self._path)

    def name(self) -> str:
        return self._path.stem

    def icon(self) -> QIcon:
        return icon()

    def svgIconPath(self) -> str:
        return icon_path()


def shipped_models() -> Iterator[ShippedModel]:
    """Every model that ships."""
    return map(ShippedModel, sorted(MODELS.glob("*.model3")))

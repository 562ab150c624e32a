"""The provider "SAR land cover (DINO)" of the Processing Toolbox."""

from __future__ import annotations

from qgis.core import QgsApplication, QgsProcessingProvider
from qgis.PyQt.QtGui import QIcon

from sar_dino_qgis.icons import icon, icon_path
from sar_dino_qgis.processing.accuracy import Accuracy
from sar_dino_qgis.processing.attention import Attention
from sar_dino_qgis.processing.change import Change
from sar_dino_qgis.processing.checkenvironment import CheckEnvironment
from sar_dino_qgis.processing.classify import Classify
from sar_dino_qgis.processing.cluster import Cluster
from sar_dino_qgis.processing.composite import Composite
from sar_dino_qgis.processing.embeddings import Embeddings
from sar_dino_qgis.processing.explore import Explore
from sar_dino_qgis.processing.finetune import Finetune
from sar_dino_qgis.processing.mergeclasses import MergeClasses
from sar_dino_qgis.processing.preflight import Preflight
from sar_dino_qgis.processing.pretrain import Pretrain
from sar_dino_qgis.processing.samplepoints import SamplePoints
from sar_dino_qgis.processing.segment import Segment
from sar_dino_qgis.processing.shipped_model import ShippedModel, shipped_models
from sar_dino_qgis.processing.similarity import Similarity
from sar_dino_qgis.worker.process import WorkerPool
from sardino_core import __version__

ALGORITHMS = (
    Segment,
    Classify,
    Attention,
    Explore,
    Embeddings,
    Composite,
    Change,
    Cluster,
    Similarity,
    Preflight,
    MergeClasses,
    SamplePoints,
    Accuracy,
    Pretrain,
    Finetune,
    CheckEnvironment,
)


class SardinoProvider(QgsProcessingProvider):
    """Holds the algorithms, and the workers that they share."""

    def __init__(self, pool: WorkerPool) -> None:
        super().__init__()
        self.pool = pool
        self.algorithmsLoaded.connect(self.complete_models)

    def id(self) -> str:
        return "sardino"

    def name(self) -> str:
        return "SAR land cover (DINO)"

    def longName(self) -> str:
        return f"SAR land cover (DINO) {__version__}"

    def versionInfo(self) -> str:
        return __version__

    def icon(self) -> QIcon:
        return icon()

    def svgIconPath(self) -> str:
        return icon_path()

    def supportedOutputRasterLayerExtensions(self) -> list[str]:
        return ["tif"]

    def supportedOutputVectorLayerExtensions(self) -> list[str]:
        return ["geojson"]

    def loadAlgorithms(self) -> None:
        for algorithm in (*(kind() for kind in ALGORITHMS), *shipped_models()):
            self.addAlgorithm(algorithm)

    def complete_models(self) -> None:
        """Read the models that ship again, once the algorithms that they call are known: before, they had no outputs.

        To be called when the provider has been registered; QGIS itself calls it when it loads the algorithms again.
        """
        if QgsApplication.processingRegistry().providerById(self.id()) is not None:
            for algorithm in self.algorithms():
                if isinstance(algorithm, ShippedModel):
                    algorithm.read()

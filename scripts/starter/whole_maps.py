"""What a network says of whole scenes: windows put together on each raster's grid."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import nn

from sardino_core.contract.model_spec import CalibrationSpec
from sardino_core.models.outputs import probabilities
from sardino_core.training.evaluate import predictions
from sardino_core.training.settings.finetune_config import FinetuneConfig
from sardino_core.training.windows.sources import LabelledScene, SceneStore


@dataclass(frozen=True)
class WholeMap:
    """A scene's map where labels ask for one; each (h, w)."""

    scene: LabelledScene
    given: NDArray[np.int64]  # indices of classes, -1 where no label asks
    confidence: NDArray[np.float32]
    sure: NDArray[np.bool_]  # by the model's own threshold


def whole_maps(
    network: nn.Module, calibration: CalibrationSpec, store: SceneStore, config: FinetuneConfig
) -> Iterator[WholeMap]:
    """One of every scene that has held-out labels, as soon as its last window is done."""
    current: WholeMap | None = None
    for window, logits in predictions(network, store, config):
        scene = window.scene
        if current is None or current.scene is not scene:
            if current is not None:
                yield current
            size = scene.grid.height, scene.grid.width
            current = WholeMap(scene, np.full(size, -1), np.zeros(size, np.float32), np.zeros(size, bool))
        height, width = window.target.shape
        area = slice(window.row, window.row + height), slice(window.col, window.col + width)
        asked = window.target > 0
        confidence = probabilities(logits[None], calibration.temperature)[0].max(axis=0)
        current.given[area][asked] = logits.argmax(axis=0)[asked]
        current.confidence[area][asked] = confidence[asked]
        current.sure[area][asked] = confidence[asked] >= calibration.unsure_below
    if current is not None:
        yield current

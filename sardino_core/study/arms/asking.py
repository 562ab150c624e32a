"""What every arm comes down to: a function that looks at held-out labels and says what it takes each for."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sardino_core.contract.listener import Listener
from sardino_core.study.cells import CellJob
from sardino_core.training.landcover.plan import Material
from sardino_core.training.settings.finetune_config import FinetuneConfig
from sardino_core.training.windows.sources import LabelledScene, SceneStore


@dataclass(frozen=True)
class Judged:
    """A piece of a scene, its upper left pixel at (row, col): numbers of class sets and indices of classes, (h, w)."""

    scene: LabelledScene
    row: int
    col: int
    target: NDArray[np.int64]
    predicted: NDArray[np.int64]


Ask = Callable[[SceneStore, FinetuneConfig], Iterator[Judged]]  # every held-out label is in one piece
Fit = Callable[[CellJob, Material, Listener], Ask]

"""What every arm comes down to: a function that looks at places and counts what it says of their labels."""

from __future__ import annotations

from collections.abc import Callable

from sardino_core.contract.listener import Listener
from sardino_core.study.cells import CellJob
from sardino_core.training.landcover.plan import Material
from sardino_core.training.landcover.scores import Confusion
from sardino_core.training.settings.finetune_config import FinetuneConfig
from sardino_core.training.windows.sources import SceneStore

Ask = Callable[[SceneStore, FinetuneConfig], dict[str, Confusion]]  # confusions by place
Fit = Callable[[CellJob, Material, Listener], Ask]

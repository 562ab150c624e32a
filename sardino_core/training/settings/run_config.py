"""How a run goes about it, whatever it trains: none of these settings changes the weights. No torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from sardino_core.training.settings.yaml_config import require_positive

Precision = Literal["fp32", "bf16", "fp16"]


@dataclass(frozen=True)
class RunConfig:
    """How often the run tells and saves, and what it may use to read."""

    log_every: int = 10  # steps
    checkpoint_every: int = 100  # steps
    picture_every: int = 200  # steps; 0: no pictures
    tensorboard: bool = True
    readers: int = 2  # threads
    memory_mb: int = 1024  # rasters up to this size, as dB in memory, are read once and kept

    def __post_init__(self) -> None:
        """Validate ranges; raises SettingInvalid naming the key."""
        require_positive("run.log_every", self.log_every)
        require_positive("run.checkpoint_every", self.checkpoint_every)
        require_positive("run.readers", self.readers)

"""One scene as the model sees it: the land-cover map, attention, token embeddings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Optional

from sardino_core.contract.errors import SettingInvalid
from sardino_core.contract.jobs.options import RunOptions, SceneOptions


@dataclass(frozen=True)
class SegmentJob:
    """Land-cover map; optionally the confidence (highest probability) and the probability of every class."""

    scene: SceneOptions
    run: RunOptions
    output: str
    confidence: Optional[str] = None
    probabilities: Optional[str] = None
    abstain: bool = True  # False: never `unsure`


@dataclass(frozen=True)
class AttentionJob:
    """Attention of the class token to every patch, one band per head."""

    scene: SceneOptions
    run: RunOptions
    output: str
    layer: int = -1  # counted from 0, or from the last with negative numbers
    heads: Literal["all", "mean", "max"] = "all"
    resolution: Literal["patch", "pixel"] = "pixel"


@dataclass(frozen=True)
class EmbedJob:
    """Patch token embeddings, or their first principal components."""

    scene: SceneOptions
    run: RunOptions
    output: str
    components: int = 0  # 0: all dimensions of the token
    dtype: Literal["float16", "float32", "int8"] = "float16"

    def __post_init__(self) -> None:
        """Validate ranges; raises SettingInvalid."""
        if self.components < 0:
            raise SettingInvalid(f"--components {self.components} is out of range; give 1 or more, or 0 for all.")

"""The real places that judge the starter, and the folds that leave them out.

A fold leaves out two places at a time, one with land cover and one with water, far apart: the recipe is trained again
without them, so that what it says of them is said of places that no weight has seen (nor has the backbone:
configs/pretrain-starter.yaml names none of them).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import PurePosixPath

from sardino_core.training.settings.finetune_config import FinetuneConfig


@dataclass(frozen=True)
class JudgedPlace:
    """Files of one place, by the beginning of their names in configs/finetune-starter.yaml."""

    name: str
    begins: str

    def owns(self, pattern: str) -> bool:
        """Whether a glob of the configuration names its files."""
        return PurePosixPath(pattern).name.startswith(self.begins)


TANZANIA, CHILE, DENMARK = JudgedPlace("Tanzania", "38D"), JudgedPlace("Chile", "433D"), JudgedPlace("Denmark", "637U")
SPAIN, INDIA, GHANA = (JudgedPlace(name, f"{name}_") for name in ("Spain", "India", "Ghana"))
FOLDS = ((TANZANIA, SPAIN), (CHILE, INDIA), (DENMARK, GHANA))
PLACES = tuple(place for fold in FOLDS for place in fold)


def without(config: FinetuneConfig, places: tuple[JudgedPlace, ...]) -> FinetuneConfig:
    """The recipe as it is, but for these places."""
    sources = []
    for source in config.sources:
        images, labels = (
            tuple(pattern for pattern in patterns if not any(place.owns(pattern) for place in places))
            for patterns in (source.images, source.labels)
        )
        if images:
            sources.append(replace(source, images=images, labels=labels))
    return replace(config, sources=tuple(sources))


def only(config: FinetuneConfig, places: tuple[JudgedPlace, ...]) -> FinetuneConfig:
    """Every label of these places, held out, in a source of each place's name."""
    found = []
    for place in places:
        for source in config.sources:
            if images := tuple(item for item in source.images if place.owns(item)):
                labels = tuple(item for item in source.labels if place.owns(item))
                found.append(replace(source, name=place.name, images=images, labels=labels, hold_out=1.0))
    return replace(config, sources=tuple(found))

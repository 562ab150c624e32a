"""All labels of a study looked at once, before anything is trained: what is wrong with them is told at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from sardino_core.contract.errors import Cancelled, SettingInvalid
from sardino_core.contract.listener import Listener
from sardino_core.study.config import StudyConfig
from sardino_core.study.places import GO_ON, Place, evaluation_sources, paths_of, training_sources
from sardino_core.training.windows.label_blocks import take_census
from sardino_core.training.windows.sources import SceneStore


def look_at_labels(config: StudyConfig, places: Sequence[Place], out: Path, listener: Listener) -> None:
    """Warns of classes that no training place has; raises SettingInvalid where fewer than two are left, and what
    reading labels raises: unknown values, damaged files, places without any label. Raises Cancelled.
    """
    sources = (*training_sources(places), *evaluation_sources(places, "validation", "test", "real"))
    settings = replace(config.finetune, sources=sources, paths=paths_of(config, out))
    with SceneStore(settings) as store:
        try:
            census = take_census(store, settings, listener)
        except Cancelled as error:
            told = "The study was stopped while it looked at its labels; what was done before is kept."
            raise Cancelled(told, GO_ON) from error
        numbers = {item.name: store.sets.number([item.value]) for item in settings.classes}
    known = [name for name, number in numbers.items() if census.available[number]]
    if len(known) < 2:
        raise SettingInvalid(
            f"The training places have labels of {known[0] if known else 'no class'} alone; a study needs two classes.",
            "Check the labels and their mapping, or give more places.",
        )
    for name, number in numbers.items():
        if name not in known:
            listener.log(
                "warning",
                f"no training place has labels of {name}: no arm can learn it, and the {census.validation[number]:,} "
                "pixels of it in the other places count as wrong",
            )

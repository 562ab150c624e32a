"""The one pre-training of a study: DINO on the images of its training places, and of the test places marked as seen."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from sardino_core.contract.errors import Cancelled
from sardino_core.contract.listener import Listener
from sardino_core.contract.serial import to_dict
from sardino_core.models.model_file import weights_hash
from sardino_core.study.config import StudyConfig
from sardino_core.study.places import GO_ON, Place, paths_of, pretraining_sources
from sardino_core.training.settings.pretrain_config import PretrainConfig


def pretrained(config: StudyConfig, places: Sequence[Place], out: Path, listener: Listener) -> tuple[str, str]:
    """The model file and its hash; trained where it is not there yet. Raises SardinoError, Cancelled."""
    folder = folder_of(config, places, out)
    model = folder / "model.safetensors"
    if not model.exists():
        from sardino_core.training.pretrain import pretrain
        from sardino_core.training.running.run import finished

        listener.log("info", f"pre-training in {folder.name}")
        settings, begun = settings_of(config, places, out), (folder / "config.yaml").exists()
        try:
            finished(pretrain(settings, folder, begun, listener, go_on=GO_ON))
        except Cancelled as error:
            kept = (
                "its checkpoint is" if (folder / "checkpoint.pt").exists() else "it had no checkpoint yet; places are"
            )
            raise Cancelled(f"The study was stopped in its pre-training; {kept} kept.", GO_ON) from error
    return str(model), weights_hash(model)


def settings_of(config: StudyConfig, places: Sequence[Place], out: Path) -> PretrainConfig:
    """The study's pre-training with its images."""
    return replace(config.pretrain, sources=pretraining_sources(places, paths_of(config, out)))


def folder_of(config: StudyConfig, places: Sequence[Place], out: Path) -> Path:
    """Named after all that the weights depend on, so that other settings or images train anew."""
    told = to_dict(config.pretrain)
    told = {key: value for key, value in told.items() if key not in ("run", "probe", "sources")}
    images = [(place.name, place.source.images, place.stamp) for place in places if place.pretrains]
    text = json.dumps([told, images], sort_keys=True)
    return out / f"pretrain-{hashlib.sha256(text.encode()).hexdigest()[:8]}"

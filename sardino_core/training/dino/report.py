"""What a pre-training run says of itself: rows of numbers, pictures, the model's description. Changes no weight."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import timm
import torch
from torch import Tensor

import sardino_core
from sardino_core.contract.listener import Listener
from sardino_core.contract.model_spec import ModelSpec, ProvenanceSpec
from sardino_core.training.dino.health import look
from sardino_core.training.dino.network import DinoNetwork
from sardino_core.training.dino.schedules import Moment
from sardino_core.training.dino.state import State
from sardino_core.training.dino.step import Lesson, Part
from sardino_core.training.dino.token_probe import OnlineProbe
from sardino_core.training.running.distributed import Team
from sardino_core.training.running.run import Run
from sardino_core.training.running.run_log import Picture, backscatter, heat
from sardino_core.training.running.tally import take_means
from sardino_core.training.settings.pretrain_config import PretrainConfig
from sardino_core.training.windows.places import Survey

_SHOWN = 8  # windows in a picture


def measure(
    state: State,
    lesson: Lesson,
    cosines: Tensor,
    now: Moment,
    config: PretrainConfig,
    crew: Team,
    listener: Listener,
) -> dict[str, float]:
    """A row of the log, with the means since the last one; warns of a collapse."""
    means = take_means(state.sums, crew)
    health = look(lesson.classes, cosines, lesson.tokens, config.loss.student_temperature)
    if told := state.watch.judge(health):
        listener.log("warning", f"step {state.step}: {told}")
    schedule = {"lr": now.lr, "weight_decay": now.weight_decay, "momentum": now.momentum}
    return means | health.row() | schedule | {"skipped": state.skipped.total()}


def log_probe(probe: OnlineProbe, state: State, run: Run) -> None:
    """What the teacher's tokens know of land cover, as columns of the log and in words."""
    found = probe.look(state.teacher.network)
    run.row(state.step, found)
    said = ", ".join(f"{name.removeprefix('probe_').replace('_', ' ')} {value:.3f}" for name, value in found.items())
    run.listener.log("info", f"step {state.step}, probe of the teacher's tokens: {said}")


@torch.no_grad()
def pictures(teacher: DinoNetwork, part: Part) -> dict[str, Picture]:
    """The first windows' two global views and first local one, and the teacher's attention on the first view."""
    n, views = part.count, part.views
    first = views.large[: min(n, _SHOWN)]
    shown = {
        "views/global 1": backscatter(_numpy(first)),
        "views/global 2": backscatter(_numpy(views.large[n : n + len(first)])),
    }
    if views.small is not None:
        shown["views/local 1"] = backscatter(_numpy(views.small[: len(first)]))
    attention = teacher.network.features(first).attention[:, 0]  # (B, heads, N)
    shown["attention of the last layer"] = heat(_numpy(attention), first.shape[-1])
    return shown


def describe(state: State, config: PretrainConfig, found: Survey) -> ModelSpec:
    """The specification of the trained backbone and where it comes from."""
    versions = {"sardino": sardino_core.__version__, "torch": torch.__version__, "timm": timm.__version__}
    notes = [*config.notes]
    if state.watch.collapsed:
        notes.append(f"collapsed in training: {state.watch.collapsed}")
    provenance = ProvenanceSpec(
        data=found.described,
        steps=state.step,
        seed=config.seed,
        metrics={"collapsed": float(bool(state.watch.collapsed))},
        versions=versions | {"numpy": np.__version__},
        notes=tuple(notes),
    )
    return replace(config.spec(), provenance=provenance)


def _numpy(values: Tensor) -> np.ndarray:
    array: np.ndarray = values.detach().float().cpu().numpy()
    return array

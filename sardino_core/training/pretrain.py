"""Pre-training: unlabelled rasters in, a backbone out. The loop is one function that reads from top to bottom.

Student and teacher are the same network; the student learns to say of one view what the teacher says of another, and
the teacher follows the student slowly (DINO, Caron et al. 2021, arXiv 2104.14294).
"""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from sardino_core.contract.jobs import SCRATCH
from sardino_core.contract.listener import Listener
from sardino_core.contract.messages import Result
from sardino_core.contract.serial import to_dict
from sardino_core.models.export import export_onnx
from sardino_core.models.model_file import resolve_model, save_model, weights_hash
from sardino_core.training.dino.plan import plan
from sardino_core.training.dino.report import describe, log_probe, measure, pictures
from sardino_core.training.dino.schedules import moment
from sardino_core.training.dino.state import State, restore, snapshot, start
from sardino_core.training.dino.step import Part, clip_each, follow, learn, prepare, teach
from sardino_core.training.dino.token_probe import OnlineProbe
from sardino_core.training.running.checkpoint import restoring
from sardino_core.training.running.distributed import Team, team
from sardino_core.training.running.precision import autocast
from sardino_core.training.running.run import RESUME, Run
from sardino_core.training.running.step_errors import memory_of, require_finite
from sardino_core.training.running.tally import add
from sardino_core.training.settings.pretrain_config import PretrainConfig
from sardino_core.training.windows.places import Survey
from sardino_core.training.windows.unlabelled import Loader

_FREE = (
    "run",
    "probe",
    "paths",
    "licence",
    "attribution",
    "limits",
    "notes",
)  # may change on resuming; rasters are compared


def pretrain(
    config: PretrainConfig,
    out: str | Path,
    resume: bool = False,
    listener: Listener | None = None,
    init: str = SCRATCH,
    go_on: str = RESUME,
) -> Result:
    """Train, save and export. `init` is a model file to go on from, or `scratch`. Raises SardinoError.

    SIGTERM and Ctrl-C save a checkpoint and return early; `go_on` tells how to go on after that.
    """
    with team() as crew, torch.random.fork_rng():
        voice = listener if listener is not None and crew.leads else Listener()
        config, found, _ = plan(config, voice, init)
        config = _split(config, crew)
        state = start(config, crew.device, init)
        run = Run(Path(out), config, _settings(config, found, init), crew, voice, go_on)
        if saved := run.begin(resume):
            with restoring(run.checkpoint):
                restore(state, saved)
        with Loader(found, config) as loader, run.under_way(state.step), memory_of(config.optimiser.micro_batch):
            probe = OnlineProbe.of(found.probe, config.probe.every) if found.probe and crew.leads else None
            if not train(state, loader, config, run, probe):
                return run.stopped(state.step)
        return _deliver(state, config, found, run) if crew.leads else Result()


def train(state: State, loader: Loader, config: PretrainConfig, run: Run, probe: OnlineProbe | None = None) -> bool:
    """The loop: schedules, views, teacher, student, backward, clip, step, follow, log, save. False if stopped early."""
    optimiser, crew, device = config.optimiser, run.crew, run.crew.device
    mine = crew.parts(optimiser.batch_size, optimiser.micro_batch)
    order = [(step, part) for step in range(state.step, optimiser.steps) for part in mine]
    parameters, position = list(state.student.parameters()), 0
    state.student.train()
    state.teacher.eval()
    if probe is not None and state.step == 0:
        log_probe(probe, state, run)
    while state.step < optimiser.steps:
        now = moment(state.step, config)
        for group in state.optimiser.param_groups:
            group["lr"], group["weight_decay"] = now.lr, now.weight_decay if group["decays"] else 0.0

        waiting = time.monotonic()
        batch: list[Part] = []
        for number in mine:
            chunk = loader.chunk(order, position, optimiser.micro_batch)
            state.skipped += chunk.skipped
            batch.append(prepare(chunk, config, state.step, number, device))
            position += 1
        waited = time.monotonic() - waiting

        with autocast(device, optimiser.precision):
            lessons = teach(state.teacher, batch, state.centres, config.loss, now.temperature, crew)
        for part, lesson in zip(batch, lessons, strict=True):
            torch.manual_seed(part.seed)  # drop path
            with autocast(device, optimiser.precision):
                losses, cosines = learn(state.student, part, lesson, config.loss)
            numbers = dict(
                zip(losses, torch.stack([*losses.values()]).tolist(), strict=True)
            )  # one wait for the device
            require_finite("loss", numbers["loss"], state.step, part.origins)
            state.scaler.scale(losses["loss"] / (len(mine) * crew.size)).backward()  # type: ignore[no-untyped-call]
            add(state.sums, {name: value / len(mine) for name, value in numbers.items()})

        crew.sum_gradients(parameters)
        if state.step < optimiser.freeze_last_layer:
            for layer in state.student.last_layers():
                layer.grad = None
        state.scaler.unscale_(state.optimiser)
        norm = clip_each(parameters, optimiser.clip_norm).item()
        if not state.scaler.is_enabled():  # with fp16 the scaler skips such a step and tries a smaller scale
            require_finite("gradient", norm, state.step, batch[0].origins)
        state.scaler.step(state.optimiser)
        state.scaler.update()
        state.optimiser.zero_grad(set_to_none=True)
        follow(state.teacher, state.student, now.momentum)
        state.step += 1
        add(state.sums, {"gradient_norm": norm, "wait_s": waited, "steps": 1.0})

        last = state.step == optimiser.steps
        if state.step % config.run.log_every == 0 or last:
            row = measure(state, lessons[-1], cosines, now, config, crew, run.listener)
            row["windows_per_s"] = run.speed(row.pop("steps") * optimiser.batch_size)
            run.row(state.step, row)
            run.tell(state.step, optimiser.steps, f"loss {row['loss']:.3f}, rank {row['rank']:.1f}")
        if probe is not None and probe.due(state.step, last):
            log_probe(probe, state, run)
        if run.shows(state.step, last):
            run.show(state.step, pictures(state.teacher, batch[0]))
        if not run.keep(state.step, last, lambda: snapshot(state)):
            return False
    return True


def _deliver(state: State, config: PretrainConfig, found: Survey, run: Run) -> Result:
    """The teacher's backbone as a model file, and its export."""
    listener = run.listener
    listener.progress(0.96, "saving and exporting the model")
    spec = describe(state, config, found)
    model = save_model(run.model, spec, state.teacher.network.state_dict())
    export = export_onnx(model)
    for reason, count in sorted(state.skipped.items()):
        listener.log("info", f"{count} windows skipped: {reason}")
    listener.progress(1.0, "done")
    files = {"model": str(model), "export": str(export), "run": str(run.folder)}
    return Result(files, {**spec.provenance.metrics, "skipped": sum(state.skipped.values())})


def _split(config: PretrainConfig, crew: Team) -> PretrainConfig:
    """The configuration with the number of windows per pass filled in. Raises SettingInvalid if it does not divide."""
    optimiser = config.optimiser
    micro = crew.micro_batch(optimiser.batch_size, optimiser.micro_batch)
    return replace(config, optimiser=replace(optimiser, micro_batch=micro))


def _settings(config: PretrainConfig, found: Survey, init: str) -> dict[str, Any]:
    """What a resumed run must have in common with the one that it continues."""
    kept = {key: value for key, value in to_dict(config).items() if key not in _FREE}
    kept["sources"] = [{key: value for key, value in source.items() if key != "images"} for source in kept["sources"]]
    start_from = init if init == SCRATCH else weights_hash(resolve_model(init))
    return {**kept, "init": start_from, "rasters": list(found.names)}

"""Fine-tuning: labelled rasters in, a model file out. The loop is one function that reads from top to bottom."""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from sardino_core.contract.errors import Cancelled
from sardino_core.contract.listener import Listener
from sardino_core.contract.messages import Result
from sardino_core.contract.serial import to_dict
from sardino_core.models.export import export_onnx
from sardino_core.models.model_file import resolve_model, save_model, weights_hash
from sardino_core.training.evaluate import Evaluation, evaluate_network
from sardino_core.training.landcover.plan import SCRATCH, Material, gather
from sardino_core.training.landcover.report import describe, pictures, validation_row
from sardino_core.training.landcover.schedules import ema_decay, learning_rate
from sardino_core.training.landcover.state import State, restore, snapshot, start, update_average, weights_told
from sardino_core.training.landcover.step import Criterion, prepare
from sardino_core.training.running.checkpoint import restoring
from sardino_core.training.running.distributed import Team, team
from sardino_core.training.running.precision import autocast
from sardino_core.training.running.run import Run
from sardino_core.training.running.step_errors import memory_of, require_finite
from sardino_core.training.running.tally import add, take_means
from sardino_core.training.settings.finetune_config import FinetuneConfig
from sardino_core.training.windows.labelled import LabelledLoader
from sardino_core.training.windows.sources import short_name

_FREE = ("run", "paths", "licence", "attribution", "limits", "notes")  # may change on resuming; scenes are compared


def finetune(
    config: FinetuneConfig, init: str, out: str | Path, resume: bool = False, listener: Listener | None = None
) -> Result:
    """Train, calibrate, save and export. `init` is a model file, or `scratch`. Raises SardinoError.

    SIGTERM and Ctrl-C save a checkpoint and return early. What is validated and saved is the moving average of the
    weights at the end; no best checkpoint is picked: the labels that choose it could no longer say how good it is.
    """
    with team() as crew, torch.random.fork_rng():
        voice = listener if listener is not None and crew.leads else Listener()
        with gather(config, init, voice) as found:
            found = replace(found, config=_split(found.config, crew))
            state = start(found.config, init, crew.device)
            voice.log("info", weights_told(state))
            run = Run(Path(out), found.config, _settings(found, init), crew, voice)
            if saved := run.begin(resume):
                with restoring(run.checkpoint):
                    restore(state, saved)
            loader = LabelledLoader(found.store, found.census, found.config)
            with loader, run.under_way(state.step), memory_of(found.config.optimiser.micro_batch):
                if not train(state, loader, found, run):
                    return run.stopped(state.step)
                return _deliver(state, found, run) if crew.leads else Result()


def train(state: State, loader: LabelledLoader, found: Material, run: Run) -> bool:
    """The loop: draw, augment, forward, loss, backward, clip, step, average, log, validate. False if stopped early."""
    config, crew, device = found.config, run.crew, run.crew.device
    optimiser = config.optimiser
    criterion = Criterion.of(config, found.store.sets, found.census, device)
    mine = crew.parts(optimiser.batch_size, optimiser.micro_batch)
    share = optimiser.micro_batch / optimiser.batch_size
    order, position = [(step, part) for step in range(state.step, optimiser.steps) for part in mine], 0
    parameters = [parameter for parameter in state.network.parameters() if parameter.requires_grad]
    while state.step < optimiser.steps:
        rate = learning_rate(state.step, optimiser)
        for group in state.optimiser.param_groups:
            group["lr"] = rate * group["lr_scale"]

        waiting, batch = time.monotonic(), []
        for number in mine:
            chunk = loader.get(order, position)
            state.skipped += chunk.skipped
            batch.append(prepare(chunk, config, state.step, number, device))
            position += 1
        add(state.sums, {"wait_s": time.monotonic() - waiting})

        total = criterion.total(batch, crew)
        for part in batch:
            torch.manual_seed(part.seed)  # drop path
            with autocast(device, optimiser.precision):
                logits = state.network(part.windows)  # (n, K, S, S)
            loss = criterion(logits, part, total, share)
            value = loss.item()
            require_finite("loss", value, state.step, part.origins)
            state.scaler.scale(loss).backward()  # type: ignore[no-untyped-call]
            add(state.sums, {"loss": value * crew.size})  # the parts' shares sum up to the loss

        crew.sum_gradients(parameters)
        state.scaler.unscale_(state.optimiser)
        norm = torch.nn.utils.clip_grad_norm_(parameters, optimiser.clip_norm).item()
        if not state.scaler.is_enabled():  # with fp16 the scaler skips such a step and tries a smaller scale
            require_finite("gradient", norm, state.step, batch[0].origins)
        state.scaler.step(state.optimiser)
        state.scaler.update()
        state.optimiser.zero_grad(set_to_none=True)
        update_average(state.average, state.network, ema_decay(state.step, optimiser))
        state.step += 1
        add(state.sums, {"gradient_norm": norm, "steps": 1.0})

        last = state.step == optimiser.steps
        if state.step % config.run.log_every == 0 or last:
            row = take_means(state.sums, crew) | {"lr": rate, "skipped": state.skipped.total()}
            row["windows_per_s"] = run.speed(row.pop("steps") * optimiser.batch_size)
            run.row(state.step, row)
            run.tell(state.step, optimiser.steps, f"loss {row['loss']:.3f}")
        if run.shows(state.step, last):
            run.show(state.step, pictures(state.average, batch[0], found.store.sets))
        if state.step % config.validation.every == 0 and not last and _validates(found):
            with suppress(Cancelled):  # `keep` saves first, then raises it
                _judge(state, found, run, crew)
        if not run.keep(state.step, last, lambda: snapshot(state)):
            return False
    return True


def _judge(state: State, found: Material, run: Run, crew: Team) -> Evaluation:
    """Metrics of the averaged weights on the held-out labels, into the log; `crew` shares the windows."""
    evaluation = evaluate_network(state.average, found.store, found.config, run.listener, crew)
    metrics = evaluation.metrics()
    run.row(state.step, validation_row(metrics))
    shown = ", ".join(f"{name} {value:.3f}" for name, value in metrics.items() if name.endswith(("accuracy", "miou")))
    run.listener.log("info", f"step {state.step}: {shown}")
    return evaluation


def _deliver(state: State, found: Material, run: Run) -> Result:
    """The averaged network as a model file, validated and calibrated by one process, and its export."""
    listener = run.listener
    listener.progress(0.96, "validating, saving and exporting the model")
    evaluation = _judge(state, found, run, crew=run.crew.alone()) if _validates(found) else None
    spec = describe(found.config, evaluation, state.step, found.store, found.census)
    model = save_model(run.model, spec, state.average.state_dict())
    export = export_onnx(model)
    for reason, count in sorted(state.skipped.items()):
        listener.log("info", f"{count} windows skipped: {reason}")
    listener.progress(1.0, "done")
    files = {"model": str(model), "export": str(export), "run": str(run.folder)}
    return Result(files, {**spec.provenance.metrics, "skipped": sum(state.skipped.values())})


def _split(config: FinetuneConfig, crew: Team) -> FinetuneConfig:
    """The configuration with the number of windows per pass filled in. Raises SettingInvalid if it does not divide."""
    optimiser = config.optimiser
    micro = crew.micro_batch(optimiser.batch_size, optimiser.micro_batch)
    return replace(config, optimiser=replace(optimiser, micro_batch=micro))


def _settings(found: Material, init: str) -> dict[str, Any]:
    """What a resumed run must have in common with the one that it continues."""
    kept = {key: value for key, value in to_dict(found.config).items() if key not in _FREE}
    kept["sources"] = [
        {key: value for key, value in source.items() if key not in ("images", "labels")} for source in kept["sources"]
    ]
    start_from = init if init == SCRATCH else weights_hash(resolve_model(init))
    scenes = found.store.scenes
    labels = [[short_name(path) for path in scene.labels] for scene in scenes]
    return {**kept, "init": start_from, "scenes": [scene.name for scene in scenes], "labels": labels}


def _validates(found: Material) -> bool:
    return bool(found.census.validation.any())

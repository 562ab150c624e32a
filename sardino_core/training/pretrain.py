"""Pre-training: unlabelled rasters in, a backbone out. The loop is one function that reads from top to bottom.

Student and teacher are the same network; the student learns to say of one view what the teacher says of another, and
the teacher follows the student slowly (DINO, Caron et al. 2021, arXiv 2104.14294).
"""

from __future__ import annotations

import math
import signal
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from sardino_core.contract.errors import Cancelled, OutOfMemory, OutputUnwritable, SettingInvalid
from sardino_core.contract.listener import Listener
from sardino_core.contract.messages import Result
from sardino_core.contract.serial import to_dict
from sardino_core.models.export import export_onnx
from sardino_core.models.model_file import save_model, write_aside
from sardino_core.training.checkpoint import load_checkpoint, save_checkpoint
from sardino_core.training.dino_step import Part, clip_each, follow, learn, prepare, teach
from sardino_core.training.distributed import Team, team
from sardino_core.training.places import Survey
from sardino_core.training.planning import plan
from sardino_core.training.pretrain_config import PretrainConfig
from sardino_core.training.pretrain_report import describe, duration, measure, pictures
from sardino_core.training.pretrain_schedules import moment
from sardino_core.training.pretrain_state import State, restore, snapshot, start
from sardino_core.training.run_log import RunLog
from sardino_core.training.unlabelled import Loader
from sardino_core.training.yaml_config import dump_config

_TYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}


def pretrain(config: PretrainConfig, out: str | Path, resume: bool = False, listener: Listener | None = None) -> Result:
    """Train, save and export. SIGTERM saves a checkpoint and returns early. Raises SardinoError."""
    folder = Path(out)
    with team() as crew, torch.random.fork_rng():
        voice = listener if listener is not None and crew.leads else Listener()
        config, found, _ = plan(config, voice)
        config = _split(config, crew)
        settings = _settings(config, found)
        state = _begun(config, folder, settings, resume, crew, voice)
        log = RunLog(folder, config.run.tensorboard, state.step or None) if crew.leads else None
        try:
            with Loader(found, config) as loader, _on_terminate() as terminated:
                finished = train(state, loader, config, folder, settings, log, crew, voice, terminated)
        except torch.cuda.OutOfMemoryError as error:
            raise _out_of_memory(config) from error
        finally:
            if log is not None:
                log.close()
        if not finished:
            voice.log("warning", f"stopped at step {state.step}; --resume goes on from there")
            return Result({"checkpoint": str(_checkpoint(folder)), "run": str(folder)}, {"steps": state.step})
        return _deliver(state, config, found, folder, voice) if crew.leads else Result()


def train(
    state: State,
    loader: Loader,
    config: PretrainConfig,
    folder: Path,
    settings: Mapping[str, Any],
    log: RunLog | None,
    crew: Team,
    listener: Listener,
    terminated: threading.Event,
) -> bool:
    """The loop: schedules, views, teacher, student, backward, clip, step, follow, log, save. False if stopped early."""
    optimiser, device = config.optimiser, crew.device
    micro = optimiser.micro_batch
    parts = optimiser.batch_size // micro // crew.size
    mine = range(crew.rank * parts, (crew.rank + 1) * parts)
    order = [(step, part) for step in range(state.step, optimiser.steps) for part in mine]
    parameters, position = list(state.student.parameters()), 0
    state.student.train()
    state.teacher.eval()
    first_step, began, since = state.step, time.monotonic(), time.monotonic()
    while state.step < optimiser.steps:
        now = moment(state.step, config)
        for group in state.optimiser.param_groups:
            group["lr"], group["weight_decay"] = now.lr, now.weight_decay if group["decays"] else 0.0

        waiting = time.monotonic()
        batch: list[Part] = []
        for number in mine:
            chunk = loader.chunk(order, position, micro)
            state.skipped += chunk.skipped
            batch.append(prepare(chunk, config, state.step, number, device))
            position += 1
        waited = time.monotonic() - waiting

        with _autocast(device, config):
            lessons = teach(state.teacher, batch, state.centres, config.loss, now.temperature, crew)
        for part, lesson in zip(batch, lessons, strict=True):
            torch.manual_seed(part.seed)  # drop path
            with _autocast(device, config):
                losses, cosines = learn(state.student, part, lesson, config.loss)
            numbers = dict(
                zip(losses, torch.stack([*losses.values()]).tolist(), strict=True)
            )  # one wait for the device
            _require_finite("loss", numbers["loss"], state.step, part)
            state.scaler.scale(losses["loss"] / (parts * crew.size)).backward()  # type: ignore[no-untyped-call]
            _add(state.sums, {name: value / parts for name, value in numbers.items()} | {"wait_s": waited / parts})

        crew.sum_gradients(parameters)
        if state.step < optimiser.freeze_last_layer:
            for layer in state.student.last_layers():
                layer.grad = None
        state.scaler.unscale_(state.optimiser)
        norm = clip_each(parameters, optimiser.clip_norm).item()
        if not state.scaler.is_enabled():  # with fp16 the scaler skips such a step and tries a smaller scale
            _require_finite("gradient", norm, state.step, batch[0])
        state.scaler.step(state.optimiser)
        state.scaler.update()
        state.optimiser.zero_grad(set_to_none=True)
        follow(state.teacher, state.student, now.momentum)
        state.step += 1
        _add(state.sums, {"gradient_norm": norm, "steps": 1.0})

        last = state.step == optimiser.steps
        if state.step % config.run.log_every == 0 or last:
            row = measure(state, lessons[-1], cosines, now, config, crew, listener)
            row["windows_per_s"] = row.pop("steps") * optimiser.batch_size / (time.monotonic() - since)
            if log is not None:
                log.scalars(state.step, row)
            pace = (time.monotonic() - began) / (state.step - first_step)
            text = f"step {state.step} of {optimiser.steps}, loss {row['loss']:.3f}, rank {row['rank']:.1f}"
            left = duration(pace * (optimiser.steps - state.step))
            listener.progress(0.03 + 0.92 * state.step / optimiser.steps, f"{text}, {left} left")
            since = time.monotonic()
        if log is not None and config.run.picture_every and (state.step % config.run.picture_every == 0 or last):
            for name, picture in pictures(state.teacher, batch[0]).items():
                log.picture(state.step, name, picture)

        stopped = crew.any(terminated.is_set() or listener.cancelled()) and not last
        if (stopped or last or state.step % config.run.checkpoint_every == 0) and crew.leads:
            save_checkpoint(_checkpoint(folder), snapshot(state), settings)
        if stopped and listener.cancelled():
            raise Cancelled(f"The run was stopped at step {state.step}.", "--resume goes on from there.")
        if stopped:
            return False
    return True


def _begun(
    config: PretrainConfig, folder: Path, settings: Mapping[str, Any], resume: bool, crew: Team, listener: Listener
) -> State:
    """The state to go on from, and a run folder that fits it."""
    state, path = start(config, crew.device), _checkpoint(folder)
    if path.exists() and not resume:
        raise SettingInvalid(
            f"{folder} holds the checkpoint of an earlier run.", "Go on with it by --resume, or choose another --out."
        )
    if path.exists():
        restore(state, load_checkpoint(path, settings))
        listener.log("info", f"resumed at step {state.step}")
    elif resume and not (folder / "config.yaml").exists():
        raise SettingInvalid(f"{folder} holds no run to resume.", "Check --out, or start without --resume.")
    elif resume:
        listener.log("info", "the run was stopped before its first checkpoint: starting anew")
    if crew.leads:
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OutputUnwritable(
                f"The folder {folder} cannot be made ({error.strerror}).", "Choose another."
            ) from error
        write_aside(folder / "config.yaml", dump_config(config).encode())
    return state


def _deliver(state: State, config: PretrainConfig, found: Survey, folder: Path, listener: Listener) -> Result:
    """The teacher's backbone as a model file, and its export."""
    listener.progress(0.96, "saving and exporting the model")
    spec = describe(state, config, found)
    model = save_model(folder / "model.safetensors", spec, state.teacher.network.state_dict())
    export = export_onnx(model)
    for reason, count in sorted(state.skipped.items()):
        listener.log("info", f"{count} windows skipped: {reason}")
    listener.progress(1.0, "done")
    files = {"model": str(model), "export": str(export), "run": str(folder)}
    return Result(files, {**spec.provenance.metrics, "skipped": sum(state.skipped.values())})


def _split(config: PretrainConfig, crew: Team) -> PretrainConfig:
    """The configuration with the number of windows per pass filled in. Raises SettingInvalid if it does not divide."""
    batch = config.optimiser.batch_size
    micro = config.optimiser.micro_batch or batch // crew.size
    if batch % crew.size or batch // crew.size % micro:
        raise SettingInvalid(
            f"optimiser.batch_size is {batch}; it must be a multiple of {crew.size} processes times "
            f"{micro} windows per pass (optimiser.micro_batch)."
        )
    return replace(config, optimiser=replace(config.optimiser, micro_batch=micro))


def _settings(config: PretrainConfig, found: Survey) -> dict[str, Any]:
    """What a resumed run must have in common with the one that it continues."""
    kept = {key: value for key, value in to_dict(config).items() if key not in _FREE}
    return {**kept, "rasters": list(found.names)}


_FREE = ("run", "sources", "licence", "attribution", "limits", "notes")  # may change on resuming; rasters are compared


def _checkpoint(folder: Path) -> Path:
    return folder / "checkpoint.pt"


@contextmanager
def _on_terminate() -> Iterator[threading.Event]:
    """An event that SIGTERM sets; only the main thread may listen for it."""
    event = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield event
        return
    before = signal.signal(signal.SIGTERM, lambda *_: event.set())
    try:
        yield event
    finally:
        signal.signal(signal.SIGTERM, before)


def _autocast(device: torch.device, config: PretrainConfig) -> torch.autocast:
    kind = _TYPES.get(config.optimiser.precision)
    return torch.autocast(device.type, kind, enabled=kind is not None)


def _add(sums: dict[str, float], values: Mapping[str, float]) -> None:
    for name, value in values.items():
        sums[name] = sums.get(name, 0.0) + value


def _require_finite(what: str, value: float, step: int, part: Part) -> None:
    if not math.isfinite(value):
        shown = "; ".join(part.origins[:3]) + ("; ..." if len(part.origins) > 3 else "")
        raise SettingInvalid(
            f"The {what} at step {step} is {value}: training has diverged. The batch held {shown}.",
            "Lower optimiser.lr or raise optimiser.warm_up; the last checkpoint is kept.",
        )


def _out_of_memory(config: PretrainConfig) -> OutOfMemory:
    micro = config.optimiser.micro_batch
    return OutOfMemory(
        f"The device's memory does not hold a pass over {micro} windows.",
        f"Set optimiser.micro_batch={max(1, micro // 2)}; gradients are then accumulated to the same batch.",
    )

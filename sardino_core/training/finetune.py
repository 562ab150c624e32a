"""Fine-tuning: labelled rasters in, a model file out. The loop is one function that reads from top to bottom."""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import timm
import torch
from torch import Tensor

import sardino_core
from sardino_core.contract.errors import SettingInvalid
from sardino_core.contract.listener import Listener
from sardino_core.contract.messages import Result
from sardino_core.contract.model_spec import ModelSpec, ProvenanceSpec
from sardino_core.models.export import export_onnx
from sardino_core.models.model_file import load_weights, read_spec, resolve_model, save_model
from sardino_core.models.network import Network, initialise_from, random_network
from sardino_core.training.augment import Batch, augment, standardise_batch
from sardino_core.training.config import FinetuneConfig, ModelConfig
from sardino_core.training.evaluate import Evaluation, evaluate_network
from sardino_core.training.losses import partial_cross_entropy, soft_dice
from sardino_core.training.patches import PatchSampler
from sardino_core.training.run_folder import RunFolder
from sardino_core.training.schedules import ema_decay, learning_rate, parameter_groups
from sardino_core.training.sources import SceneStore

SCRATCH = "scratch"
_LOG_EVERY = 10  # steps


@dataclass
class State:
    """Everything that changes during training."""

    network: Network
    average: Network  # exponential moving average of the weights: what is validated and saved
    optimiser: torch.optim.Optimizer
    places: np.random.Generator  # where windows are drawn
    changes: torch.Generator  # how they are augmented
    step: int = 0


def finetune(config: FinetuneConfig, init: str, out: str | Path, listener: Listener | None = None) -> Result:
    """Train, calibrate, save and export. `init` is a model file, or `scratch`. Raises SardinoError."""
    listener = listener or Listener()
    listener.progress(0.0, "finding rasters")
    config = _with_model_of(config, init)
    with SceneStore(config) as store:
        sampler = PatchSampler(store, config)
        folder = RunFolder(out, config)
        state = start(config, init)
        listener.log("info", f"{len(store.scenes)} scenes, {_count(state.network):.2f} M weights, {_device()}")
        train(state, sampler, store, config, folder, listener)
        listener.progress(0.97, "validating")
        evaluation = evaluate_network(state.average, store, config, listener) if _validates(store) else None
        spec = describe(config, evaluation, state.step, store)
        save_model(folder.model, spec, state.average.state_dict())
        export = export_onnx(folder.model)
    for reason, count in sorted(sampler.skipped.items()):
        listener.log("info", f"{count} windows skipped, {reason}")
    listener.progress(1.0, "done")
    files = {"model": str(folder.model), "export": str(export), "run": str(folder.path)}
    return Result(files, {**spec.provenance.metrics, "skipped": sum(sampler.skipped.values())})


def train(
    state: State,
    sampler: PatchSampler,
    store: SceneStore,
    config: FinetuneConfig,
    folder: RunFolder,
    listener: Listener,
) -> None:
    """The loop: draw, augment, forward, loss, backward, clip, step, average, log, validate."""
    optimiser, inputs, device = config.optimiser, config.model.inputs, _device()
    table = torch.from_numpy(store.sets.table).to(device)
    weights = _class_weights(config).to(device)
    state.network.train()
    losses: list[float] = []
    since = time.monotonic()
    while state.step < optimiser.steps:
        listener.raise_if_cancelled()
        rate = learning_rate(state.step, optimiser)
        for group in state.optimiser.param_groups:
            group["lr"] = rate * group["lr_scale"]

        batch = draw_batch(sampler, optimiser.batch_size, state.places).to(device)
        batch = augment(batch, config.augment, state.changes)
        windows = standardise_batch(batch, inputs.bands, inputs.clip_db)  # (N, C, S, S)
        with torch.autocast(device.type, torch.bfloat16, enabled=optimiser.precision == "bf16"):
            logits = state.network(windows)  # (N, K, S, S)
        loss = partial_cross_entropy(logits, batch.target, table, weights, config.loss.label_smoothing)
        if config.loss.dice:
            loss = loss + config.loss.dice * soft_dice(logits, batch.target, table)

        state.optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        norm = torch.nn.utils.clip_grad_norm_(state.network.parameters(), optimiser.clip_norm)
        _require_finite(loss, norm, state.step)
        state.optimiser.step()
        update_average(state.average, state.network, ema_decay(state.step, optimiser))
        state.step += 1

        losses.append(loss.item())
        last = state.step == optimiser.steps
        if state.step % _LOG_EVERY == 0 or last:
            speed = len(losses) * optimiser.batch_size / (time.monotonic() - since)
            row = {"step": state.step, "loss": float(np.mean(losses)), "lr": rate, "gradient_norm": norm.item()}
            row |= {"windows_per_s": speed, "skipped": sampler.skipped.total()}
            if state.step % config.validation.every == 0 and not last and _validates(store):
                row |= _validate(state, store, config, listener)
                folder.save_checkpoint(snapshot(state))
            folder.log(row)
            message = f"step {state.step} of {optimiser.steps}, loss {row['loss']:.3f}"
            listener.progress(0.95 * state.step / optimiser.steps, message)
            losses, since = [], time.monotonic()
    folder.save_checkpoint(snapshot(state))


def start(config: FinetuneConfig, init: str) -> State:
    """Network, optimiser and random generators at step 0; depends on the seed alone."""
    network = random_network(config.spec(), config.seed)
    if init != SCRATCH:
        initialise_from(network, load_weights(resolve_model(init)))
    network = network.to(_device())
    depth = config.model.backbone.depth
    groups = parameter_groups(network, depth, config.optimiser)
    optimiser = torch.optim.AdamW(groups, lr=config.optimiser.lr, betas=config.optimiser.betas)
    average = copy.deepcopy(network).eval().requires_grad_(False)
    changes = torch.Generator().manual_seed(config.seed)
    torch.manual_seed(config.seed)  # drop path
    return State(network, average, optimiser, np.random.default_rng(config.seed), changes)


def draw_batch(sampler: PatchSampler, size: int, rng: np.random.Generator) -> Batch:
    """`size` training windows, stacked."""
    patches = [sampler.draw(rng) for _ in range(size)]
    return Batch(
        torch.from_numpy(np.stack([patch.backscatter_db for patch in patches])),
        torch.from_numpy(np.stack([patch.valid for patch in patches])),
        torch.from_numpy(np.stack([patch.target for patch in patches])),
    )


@torch.no_grad()
def update_average(average: Network, network: Network, decay: float) -> None:
    """average = decay * average + (1 - decay) * network."""
    mean, current = list(average.state_dict().values()), list(network.state_dict().values())
    torch._foreach_lerp_(mean, current, 1 - decay)


def snapshot(state: State) -> Mapping[str, Any]:
    """All of it as tensors, numbers and text."""
    places = state.places.bit_generator.state
    return {
        "step": state.step,
        "network": state.network.state_dict(),
        "average": state.average.state_dict(),
        "optimiser": state.optimiser.state_dict(),
        "changes": state.changes.get_state(),
        "torch": torch.get_rng_state(),
        "places": {"state": str(places["state"]["state"]), "inc": str(places["state"]["inc"])},
    }


def describe(config: FinetuneConfig, evaluation: Evaluation | None, steps: int, store: SceneStore) -> ModelSpec:
    """The specification of the trained model: calibration, metrics and where it comes from."""
    spec, metrics = config.spec(), {}
    if evaluation is not None:
        doubt = evaluation.reliability(config.validation.target_accuracy, config.validation.most_unsure)
        metrics = evaluation.metrics() | {f"calibration: {name}": value for name, value in doubt.metrics.items()}
        spec = replace(spec, calibration=doubt.calibration)
    versions = {"sardino": sardino_core.__version__, "torch": torch.__version__, "timm": timm.__version__}
    provenance = ProvenanceSpec(
        data=store.described(),
        steps=steps,
        seed=config.seed,
        metrics={name: round(value, 4) for name, value in metrics.items()},
        versions=versions | {"numpy": np.__version__},
        notes=config.notes,
    )
    return replace(spec, provenance=provenance)


def _with_model_of(config: FinetuneConfig, init: str) -> FinetuneConfig:
    """With a model to start from, inputs, backbone and window are that model's."""
    if init == SCRATCH:
        return config
    spec = read_spec(resolve_model(init))
    model = ModelConfig(spec.inputs, spec.backbone, spec.window, config.model.head)
    return replace(config, model=model)


def _validate(state: State, store: SceneStore, config: FinetuneConfig, listener: Listener) -> dict[str, float]:
    metrics = evaluate_network(state.average, store, config, listener).metrics()
    names = [name for name in ("accuracy", "miou") if name in metrics]
    shown = ", ".join(f"{name} {value:.3f}" for name, value in metrics.items() if name.endswith(("accuracy", "miou")))
    listener.log("info", f"step {state.step}: {shown}")
    return {f"val_{name}": metrics[name] for name in names}


def _class_weights(config: FinetuneConfig) -> Tensor:
    known = {item.value for item in config.classes}
    unknown = sorted(set(config.loss.class_weights) - known)
    if unknown:
        raise SettingInvalid(f"loss.class_weights names {unknown[0]}; the classes are {sorted(known)}.")
    return torch.tensor([config.loss.class_weights.get(item.value, 1.0) for item in config.classes])


def _require_finite(loss: Tensor, norm: Tensor, step: int) -> None:
    if not math.isfinite(loss.item()) or not math.isfinite(norm.item()):
        raise SettingInvalid(
            f"The loss at step {step} is {loss.item()}, its gradient's norm {norm.item()}: training has diverged.",
            "Lower optimiser.lr, or raise optimiser.warm_up.",
        )


def _validates(store: SceneStore) -> bool:
    return any(scene.split.held_out.any() for scene in store.scenes)


def _device() -> torch.device:
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def _count(network: Network) -> float:
    return sum(parameter.numel() for parameter in network.parameters()) / 1e6

"""The training sections of `make bench`: one DINO step against its plain form, and what the data cost beside it."""

from __future__ import annotations

import statistics
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from arithmetic import Machine, flops_of, measured, timed, wait
from measure import table
from torch import Tensor

from sardino_core.contract.listener import Listener
from sardino_core.training.dino.network import DinoNetwork
from sardino_core.training.dino.state import State, start
from sardino_core.training.dino.step import Part, clip_each, follow, learn, prepare, teach
from sardino_core.training.running.distributed import Team
from sardino_core.training.settings.pretrain_config import (
    PretrainConfig,
    load_pretrain_config,
    with_images,
    with_presets,
)
from sardino_core.training.windows.places import survey
from sardino_core.training.windows.unlabelled import Chunk, PixelStore, WindowSampler

MOMENTUM, TEMPERATURE = 0.996, 0.04
_MANY = 10**6  # windows: the official sizes


class PlainNetwork(DinoNetwork):
    """Each size of crop in its own forward pass, as timm does it."""

    def forward(self, crops: Sequence[Tensor], masks: Sequence[Tensor | None]) -> list[Tensor]:
        """As `DinoNetwork`, without masks."""
        return [self.network.backbone.forward_features(crop) for crop in crops]


def training(path: Path, repeats: int) -> str:
    """Both sections; `path` is a raster with VV and VH."""
    torch.manual_seed(0)
    cuda = torch.cuda.is_available()
    machine = measured(torch.device("cuda"), torch.bfloat16) if cuda else measured(torch.device("cpu"), torch.float32)
    return "\n\n".join([step_section(machine, repeats), data_section(path, machine.device, repeats)])


def step_section(machine: Machine, repeats: int) -> str:
    """ViT-S/16, 2 x 224 + 8 x 96 pixels, official sizes; on a GPU ViT-B/16 as well."""
    cuda = machine.device.type == "cuda"
    batch = 64 if cuda else 4
    rows = []
    plain_s, ours_s, flops = paired(config_of("small", 384, 6, cuda), batch, machine.device, repeats)
    for name, seconds in (("plain form, eager, float32", plain_s), (_ours(cuda), ours_s)):
        rows.append(_row(f"ViT-S/16, {name}", seconds, batch, flops, machine))
    if cuda:
        _, base_s, base_flops = paired(config_of("base", 768, 12, cuda), batch, machine.device, repeats)
        rows.append(_row(f"ViT-B/16, {_ours(cuda)}", base_s, batch, base_flops, machine))
    else:
        rows += [(f"{name} on a GPU", *["not measured"] * 3) for name in ("ViT-S/16", "ViT-B/16")]
    ratios = [plain / ours for plain, ours in zip(plain_s, ours_s, strict=True)]
    head = ("", "median", "images/s", "share of the matrix rate")
    return (
        f"## Training step\n\nForward, backward, clip, AdamW and EMA, views excluded; DINO loss, 65536 prototypes, "
        f"batch {batch}, {machine.device.type}; {repeats} pairs in turn. Matrix multiply in {machine.kind}: "
        f"{machine.rate / 1e9:.0f} GFLOP/s.\n\n{table(head, rows)}\n\nThe plain form takes "
        f"**{statistics.median(ratios):.2f}** times as long ({min(ratios):.2f} to {max(ratios):.2f}); "
        "at least 1 is wanted on a CPU, 2 on a GPU."
    )


def data_section(path: Path, device: torch.device, repeats: int) -> str:
    """Reading and views of a batch, one after the other on one thread, beside the step that they feed."""
    config = config_of("small", 384, 6, device.type == "cuda")
    batch = 64 if device.type == "cuda" else 4
    config = replace(config, optimiser=replace(config.optimiser, batch_size=batch))
    config = with_images(config, [str(path)])
    sampler, store = WindowSampler(survey(config, Listener()), config), PixelStore({})
    reads, views, steps = [], [], []
    state = start(config, device)
    for number in range(repeats + 1):
        began = time.perf_counter()
        rng, skipped = np.random.default_rng(number), Counter[str]()
        drawn = [sampler.draw(store, rng, skipped) for _ in range(batch)]
        chunk = Chunk(*(np.stack(part) for part in zip(*(x for x, _ in drawn), strict=True)), ("",) * batch, skipped)
        read = time.perf_counter()
        part = prepare(chunk, config, 0, number, device)
        wait(device)
        viewed = time.perf_counter()
        step(state, part, config, device)
        wait(device)
        for times, seconds in ((reads, read - began), (views, viewed - read), (steps, time.perf_counter() - viewed)):
            times.append(seconds)
    store.close()
    medians = [statistics.median(times[1:]) for times in (reads, views, steps)]
    rows = [
        (name, f"{seconds:.3f} s", f"{seconds / medians[2]:.1%}")
        for name, seconds in zip(("windows read from a DEFLATE raster", "views", "step"), medians, strict=True)
    ]
    share = sum(medians[:2]) / medians[2]
    return (
        f"## Data path\n\nViT-S/16 as above, with its views; {batch} windows of {config.context_px} pixels, no reading "
        f"ahead, medians of {repeats}.\n\n{table(('', 'median', 'of the step'), rows)}\n\n"
        f"Together **{share:.1%}** of the step (at most 10 % is wanted). Share of the time for which a GPU waits: "
        f"{'see wait_s in metrics.csv' if device.type == 'cuda' else 'not measured'}."
    )


def config_of(size: str, width: int, heads: int, cuda: bool) -> PretrainConfig:
    """The official problem: DINO's loss alone."""
    settings = [f"model.backbone={{architecture: vit_{size}, patch: 16, width: {width}, depth: 12, heads: {heads}}}"]
    settings += ["loss.ibot=0", "loss.koleo=0", "loss.centring=ema", f"optimiser.compile={str(cuda).lower()}"]
    settings += [f"optimiser.precision={'bf16' if cuda else 'fp32'}", "optimiser.micro_batch=0"]
    return with_presets(load_pretrain_config("pretrain-small", settings), _MANY)[0]


def paired(
    config: PretrainConfig, batch: int, device: torch.device, repeats: int
) -> tuple[list[float], list[float], int]:
    """Seconds of the plain and of our step, in turn, and the FLOPs of one; the first of each warms up."""
    side, small = config.model.window, config.views.local_size
    count = config.views.local_crops
    bands = len(config.model.inputs.bands)
    part = _random_part(batch, bands, side, small, count, device)
    eager = replace(config, optimiser=replace(config.optimiser, precision="fp32", compile=False))
    plain, ours = start(eager, device), start(config, device)
    for network in (plain.student, plain.teacher):
        network.__class__ = PlainNetwork
    count = flops_of(lambda: plain_step(plain, part, eager))
    step(ours, part, config, device)
    found: tuple[list[float], list[float]] = ([], [])
    for _ in range(repeats):
        found[0].append(timed(lambda: plain_step(plain, part, eager), device, 1))
        found[1].append(timed(lambda: step(ours, part, config, device), device, 1))
    return *found, count


def step(state: State, part: Part, config: PretrainConfig, device: torch.device) -> None:
    """The arithmetic of one step of `pretrain`."""
    alone = Team(0, 1, device)
    with torch.autocast(device.type, torch.bfloat16, enabled=config.optimiser.precision == "bf16"):
        (lesson,) = teach(state.teacher, [part], state.centres, config.loss, TEMPERATURE, alone)
        losses, _ = learn(state.student, part, lesson, config.loss)
    losses["loss"].backward()
    clip_each(list(state.student.parameters()), config.optimiser.clip_norm)
    state.optimiser.step()
    state.optimiser.zero_grad(set_to_none=True)
    follow(state.teacher, state.student, MOMENTUM)


def plain_step(state: State, part: Part, config: PretrainConfig) -> None:
    """The same arithmetic, tensor by tensor in Python."""
    alone = Team(0, 1, part.views.large.device)
    (lesson,) = teach(state.teacher, [part], state.centres, config.loss, TEMPERATURE, alone)
    losses, _ = learn(state.student, part, lesson, config.loss)
    losses["loss"].backward()
    with torch.no_grad():
        for weight in state.student.parameters():
            if weight.grad is not None:
                scale = config.optimiser.clip_norm / (weight.grad.norm() + 1e-6)
                if scale < 1:
                    weight.grad.mul_(scale)
        for group in state.optimiser.param_groups:
            group["foreach"], group["fused"] = False, False
        state.optimiser.step()
        state.optimiser.zero_grad(set_to_none=True)
        for mean, weight in zip(state.teacher.parameters(), state.student.parameters(), strict=True):
            mean.mul_(MOMENTUM).add_((1 - MOMENTUM) * weight)


def _random_part(batch: int, bands: int, side: int, small: int, count: int, device: torch.device) -> Part:
    from sardino_core.training.dino.views import Views

    large = torch.randn(2 * batch, bands, side, side, device=device)
    local = torch.randn(count * batch, bands, small, small, device=device)
    nothing = torch.zeros(0, device=device)
    return Part(Views(large, local), None, nothing.long(), nothing, 0, ())


def _ours(cuda: bool) -> str:
    return "ours, bf16, compiled" if cuda else "ours, float32"


def _row(name: str, seconds: list[float], batch: int, flops: int, machine: Machine) -> tuple[str, ...]:
    median = statistics.median(seconds)
    return name, f"{median:.2f} s", f"{batch / median:.2f}", f"{flops / median / machine.rate:.0%}"

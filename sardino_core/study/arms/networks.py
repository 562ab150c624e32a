"""Arms that are networks: the ViT, pre-trained or not, and the U-Net, through fine-tuning's own loop."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from torch import nn

from sardino_core.contract.errors import Cancelled
from sardino_core.contract.listener import Listener
from sardino_core.models.network import build
from sardino_core.study.arms.asking import Ask, Judged
from sardino_core.study.arms.unet import UNet
from sardino_core.study.cells import CellJob
from sardino_core.study.config import ArmConfig, UNetConfig
from sardino_core.training.evaluate import predictions
from sardino_core.training.finetune import train
from sardino_core.training.landcover.plan import Material
from sardino_core.training.landcover.schedules import freeze
from sardino_core.training.landcover.state import State, begin, start
from sardino_core.training.running.distributed import team
from sardino_core.training.running.run import Run
from sardino_core.training.running.step_errors import memory_of
from sardino_core.training.settings.finetune_config import FinetuneConfig
from sardino_core.training.windows.labelled import LabelledLoader
from sardino_core.training.windows.sources import SceneStore


def fit_network(job: CellJob, found: Material, listener: Listener) -> Ask:
    """Train to the last step; what is asked afterwards is the moving average of the weights, as in fine-tuning."""
    with team() as crew, torch.random.fork_rng(), TemporaryDirectory() as folder:
        optimiser = found.config.optimiser
        micro = crew.micro_batch(optimiser.batch_size, optimiser.micro_batch)
        found = replace(found, config=replace(found.config, optimiser=replace(optimiser, micro_batch=micro)))
        state = _start(job, found.config, crew.device)
        run = Run(Path(folder), found.config, {}, crew, listener)
        with LabelledLoader(found.store, found.census, found.config) as loader, memory_of(micro):
            if not train(state, loader, found, run):
                raise Cancelled("The network was stopped before its last step.")
    return asking(state.average, listener)


def asking(network: nn.Module, listener: Listener) -> Ask:
    """What a trained network takes every held-out label for."""

    def ask(store: SceneStore, config: FinetuneConfig) -> Iterator[Judged]:
        for window, logits in predictions(network, store, config):
            listener.raise_if_cancelled()
            yield Judged(window.scene, window.row, window.col, window.target, logits.argmax(axis=0))

    return ask


def network_of(arm: ArmConfig, unet: UNetConfig, config: FinetuneConfig) -> nn.Module:
    """An arm's network with random weights, ready to be trained as the arm asks; `config` names the ViT."""
    if arm.kind == "unet":
        return UNet(len(config.model.inputs.bands), len(config.classes), unet.width, unet.levels)
    settings = replace(config, model=replace(config.model, head=arm.head))
    network = build(settings.spec())
    freeze(network, config.model.backbone.depth, replace(config.optimiser, train=arm.train))
    return network


def _start(job: CellJob, config: FinetuneConfig, device: torch.device) -> State:
    if job.arm.kind == "vit":
        return start(config, job.init, device)
    torch.manual_seed(config.seed)
    return begin(network_of(job.arm, job.unet, config), config, device)

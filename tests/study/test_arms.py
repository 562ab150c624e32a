from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from sardino_core.contract.errors import SettingInvalid
from sardino_core.contract.listener import Listener
from sardino_core.study.arms.fit import run_cell
from sardino_core.study.arms.forest import BOXES, features
from sardino_core.study.arms.networks import network_of
from sardino_core.study.arms.unet import UNet
from sardino_core.study.bootstrap import accuracy
from sardino_core.study.config import ArmConfig, PlacesConfig
from sardino_core.study.records import Record
from sardino_core.study.tables import _matrices
from sardino_core.training.settings.finetune_config import OptimiserConfig
from tests.study.studies import basis, lakes, study

KINDS = (
    ArmConfig("scratch-full", (5e-3,)),
    ArmConfig("scratch-frozen", (5e-2,), train="frozen", head="linear"),
    ArmConfig("unet", (5e-3,), kind="unet"),
    ArmConfig("forest", (1.0,), kind="forest"),
)


@pytest.mark.parametrize(("width", "levels"), [(8, 2), (16, 4)])
def test_the_u_net_gives_a_logit_for_each_class_and_pixel(width, levels):
    network = UNet(2, 5, width, levels)
    x = torch.randn(2, 2, 32, 32, requires_grad=True)
    logits = network(x)
    assert logits.shape == (2, 5, 32, 32)
    logits[0].sum().backward()
    assert x.grad[0].abs().sum() > 0
    assert not x.grad[1].any()  # windows do not know of each other
    assert all(parameter.grad is not None for parameter in network.parameters())


def test_the_u_net_sees_how_bright_a_plain_is():
    torch.manual_seed(0)
    network = UNet(2, 5, 8, 3).eval()
    first, second = (network(torch.full((1, 2, 32, 32), level)) for level in (-1.0, 1.0))
    assert (first - second).abs().mean() > 1e-3


def test_a_u_net_without_a_way_down_is_refused():
    with pytest.raises(SettingInvalid, match="1 levels"):
        UNet(2, 5, 8, 1)


def test_what_is_frozen_asks_for_no_gradient():
    config = study()
    frozen = network_of(KINDS[1], config.unet, config.finetune)
    asking = {name.split(".")[0] for name, weight in frozen.named_parameters() if weight.requires_grad}
    assert asking == {"head"}
    full = network_of(KINDS[0], config.unet, config.finetune)
    assert all(weight.requires_grad for weight in full.parameters())


def test_features_of_a_plain_are_its_backscatter_whatever_lies_beside_it():
    db = np.stack([np.full((20, 24), -10.0), np.full((20, 24), -17.0)]).astype(np.float32)
    valid = np.ones((20, 24), bool)
    valid[:, 12:] = False
    db[:, ~valid] = 0
    found = features(db, valid)
    assert found.shape == (3 * len(BOXES) + 2, 20, 24)
    inside = found[:, :, :12]
    assert np.allclose(inside[: 2 * len(BOXES) : 2], -10, atol=1e-3)
    assert np.allclose(inside[1 : 2 * len(BOXES) : 2], -17, atol=1e-3)
    assert np.allclose(inside[2 * len(BOXES) : 3 * len(BOXES)], 7, atol=1e-3)
    assert np.allclose(inside[-2:], 0, atol=1e-3)


@pytest.mark.parametrize("arm", KINDS, ids=lambda arm: arm.name)
def test_every_arm_tells_a_lake_from_a_wood_elsewhere_though_a_class_has_no_label(tmp_path, arm):
    config = study(*lakes(tmp_path / "in", 6), arms=(arm,), compare=(), places=PlacesConfig(validation=1, test=2))
    longer = OptimiserConfig(steps=40, batch_size=4, warm_up=4, ema_decay=0.8)
    config = replace(config, finetune=replace(config.finetune, optimiser=longer))
    found = basis(config, tmp_path)
    (job,) = [job for job in found.finals({(arm.name, 1.0): arm.tried[0]}) if job.cell.seed == 0]
    outcome = run_cell(job, Listener())
    assert outcome.labels == {"water": 3 * 48 * 96, "trees": 3 * 48 * 96, "low": 0}  # fewer classes than the model
    assert (outcome.label_share, outcome.label_places) == (1.0, 3)
    assert set(outcome.counts) == {place.name for place in found.ground.places if place.role == "test"}
    record = Record(job.cell, "", 0.0, "done", outcome=outcome)
    assert accuracy(_matrices(record, config.finetune.classes).sum(axis=0)) > 0.9
    assert sum(map(sum, next(iter(outcome.counts.values())))) == 96 * 96
    assert run_cell(job, Listener()) == outcome

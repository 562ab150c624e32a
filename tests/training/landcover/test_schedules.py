from __future__ import annotations

import numpy as np
import pytest

from sardino_core.models.network import build, random_network
from sardino_core.training.landcover.schedules import freeze, learning_rate, parameter_groups
from sardino_core.training.settings.finetune_config import OptimiserConfig
from tests.training.rasters import config


def test_learning_rate_warms_up_then_falls_to_its_end():
    settings = OptimiserConfig(steps=100, warm_up=10, lr=1.0, final_lr=0.1)
    rates = [learning_rate(step, settings) for step in range(101)]
    assert rates[9] == rates[10] == 1.0
    assert np.all(np.diff(rates[:10]) > 0)
    assert np.all(np.diff(rates[10:]) < 0)
    assert rates[100] == pytest.approx(0.1)


def test_layer_decay_slows_the_bottom_and_spares_biases_from_weight_decay():
    settings = config("a", "b")
    network = random_network(settings.spec(), 0)
    groups = parameter_groups(network, 2, OptimiserConfig(layer_decay=0.5, weight_decay=0.1))
    scale = {id(p): (group["lr_scale"], group["weight_decay"]) for group in groups for p in group["params"]}
    named = {name: scale[id(p)] for name, p in network.named_parameters()}
    assert len(named) == len(scale)
    assert named["backbone.patch_embed.proj.weight"] == (0.125, 0.1)
    assert named["backbone.pos_embed"] == (0.125, 0.0)
    assert named["backbone.blocks.1.attn.qkv.weight"] == (0.5, 0.1)
    assert named["backbone.blocks.1.attn.qkv.bias"] == (0.5, 0.0)
    assert named["head.classify.weight"] == (1.0, 0.1)


@pytest.mark.parametrize(
    ("train", "blocks", "expected"),
    [
        ("full", 0, {"embedding", "block 0", "block 1", "norm", "head"}),
        ("partial", 1, {"block 1", "norm", "head"}),
        ("partial", 2, {"block 0", "block 1", "norm", "head"}),
        ("partial", 9, {"embedding", "block 0", "block 1", "norm", "head"}),
        ("partial", 0, {"head"}),
        ("frozen", 2, {"head"}),
    ],
)
def test_freezing_leaves_just_the_top_to_learn_without_drop_path_below(train, blocks, expected):
    network = build(config("a", "b").spec(), drop_path=0.5)
    settings = OptimiserConfig(train=train, trained_blocks=blocks)
    freeze(network, 2, settings)
    parts = {
        "embedding": [network.backbone.pos_embed, *network.backbone.patch_embed.parameters()],
        "block 0": [*network.backbone.blocks[0].parameters()],
        "block 1": [*network.backbone.blocks[1].parameters()],
        "norm": [*network.backbone.norm.parameters()],
        "head": [*network.head.parameters()],
    }
    for name, parameters in parts.items():
        assert {parameter.requires_grad for parameter in parameters} == {name in expected}, name
    for index, block in enumerate(network.backbone.blocks):
        assert block.training == (f"block {index}" in expected)
    learning = {id(p) for group in parameter_groups(network, 2, settings) for p in group["params"]}
    assert learning == {id(p) for p in network.parameters() if p.requires_grad}

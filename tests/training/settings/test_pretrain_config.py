from __future__ import annotations

import pytest

from sardino_core.contract.errors import SettingInvalid
from sardino_core.training.dino.schedules import moment, parameter_groups
from sardino_core.training.dino.state import start
from sardino_core.training.settings.pretrain_config import (
    load_pretrain_config,
    with_images,
    with_presets,
)
from sardino_core.training.settings.yaml_config import CONFIGS, dump_config
from tests.training.rasters import pretrain_config


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("pretrain-*.yaml")), ids=lambda path: path.stem)
def test_every_shipped_configuration_loads_and_makes_a_valid_specification(path):
    assert load_pretrain_config(path.stem).spec().task == "pretrained"


def test_what_is_dumped_loads_as_the_same(tmp_path):
    config = load_pretrain_config("pretrain-tiny", ["optimiser.steps=7", "views.zoom=[1, 2]"])
    (tmp_path / "config.yaml").write_text(dump_config(config))
    assert load_pretrain_config(tmp_path / "config.yaml") == config


@pytest.mark.parametrize(
    ("override", "named"),
    [
        ("loss.koleoo=1", "'koleoo'"),
        ("views.local_size=12", "views.local_size"),
        ("views.speckle_looks=[9, 4]", "views.speckle_looks[0]"),
        ("optimiser.micro_batch=5", "optimiser.micro_batch"),
        ("loss.centring=maybe", "loss.centring"),
        ("views.drop_band=2", "views.drop_band"),
        ("optimiser.steps=0", "optimiser.steps"),
        ("seed=9999999999999999999999", "seed is"),
        ("loss.teacher_temperature=-1", "loss.teacher_temperature"),
        ("loss.centre_momentum=7", "loss.centre_momentum"),
        ("loss.koleo=-1", "loss.koleo"),
        ("views.gain_db=-1", "views.gain_db"),
        ("optimiser.freeze_last_layer=-5", "optimiser.freeze_last_layer"),
        ("optimiser.weight_decay=-1", "optimiser.weight_decay"),
        ("model.backbone.patch=0", "model.backbone.patch"),
        ("sources.0.weight=-1", "sources[0].weight"),
    ],
)
def test_errors_name_the_wrong_key(override, named):
    with pytest.raises(SettingInvalid) as error:
        load_pretrain_config("pretrain-tiny", [override])
    assert named in str(error.value)


@pytest.mark.parametrize(("windows", "prototypes"), [(100, 1024), (30_000, 2048), (150_000, 16_384), (10**7, 65_536)])
def test_small_data_get_a_small_problem_and_what_was_set_stays(windows, prototypes):
    bare = load_pretrain_config("pretrain-tiny", ["head.prototypes=0", "loss.momentum=0"])
    found, reason = with_presets(bare, windows)
    assert found.head.prototypes == prototypes
    assert found.loss.teacher_temperature > 0
    assert found.loss.momentum > 0
    assert str(windows) in reason
    assert str(prototypes) in reason
    kept, reason = with_presets(load_pretrain_config("pretrain-tiny", ["head.prototypes=77"]), windows)
    assert kept.head.prototypes == 77
    assert "prototypes" not in reason


def test_globs_on_the_command_line():
    config = load_pretrain_config("pretrain-tiny")
    assert with_images(config, ["a.tif"]).sources[0].images == ("a.tif",)
    with pytest.raises(SettingInvalid, match="--images"):
        with_images(config, [])


def test_schedules_start_and_end_where_they_should():
    config = load_pretrain_config("pretrain-tiny", ["loss.momentum=0.99", "loss.teacher_temperature=0.04",
                                  "loss.teacher_temperature_start=0.02", "loss.teacher_warm_up=10"])  # fmt: skip
    optimiser = config.optimiser
    first, last = moment(0, config), moment(optimiser.steps - 1, config)
    assert first.lr == pytest.approx(optimiser.lr / optimiser.warm_up)
    assert moment(optimiser.warm_up, config).lr == pytest.approx(optimiser.lr)
    assert last.lr == pytest.approx(optimiser.final_lr)
    assert (first.weight_decay, last.weight_decay) == (optimiser.weight_decay, optimiser.final_weight_decay)
    assert (first.momentum, last.momentum) == (0.99, 1.0)
    assert (first.temperature, moment(5, config).temperature, last.temperature) == (0.02, pytest.approx(0.03), 0.04)


def test_biases_norms_and_tokens_are_spared_from_weight_decay():
    import torch

    student = start(pretrain_config("x"), torch.device("cpu")).student
    decayed, spared = parameter_groups(student)
    names = {id(parameter): name for name, parameter in student.named_parameters()}
    free = {names[id(parameter)] for parameter in spared["params"]}
    assert {"network.backbone.pos_embed", "network.backbone.cls_token", "mask_token", "head.mlp.0.bias"} <= free
    assert {"head.prototypes", "network.backbone.blocks.0.attn.qkv.weight"} <= {names[id(p)] for p in decayed["params"]}
    assert len(decayed["params"]) + len(spared["params"]) == len(names)

from __future__ import annotations

import pytest

from sardino_core.contract.errors import InputMissing, SettingInvalid
from sardino_core.training.settings.finetune_config import load_config, with_rasters
from sardino_core.training.settings.yaml_config import CONFIGS, dump_config


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("finetune-*.yaml")), ids=lambda path: path.stem)
def test_every_shipped_configuration_loads_and_makes_a_valid_specification(path):
    assert load_config(path.stem).spec().task == "segmentation"


def test_what_is_dumped_loads_as_the_same(tmp_path):
    config = load_config("finetune-tiny", ["optimiser.steps=7", "seed=3"])
    (tmp_path / "config.yaml").write_text(dump_config(config))
    assert load_config(tmp_path / "config.yaml") == config


def test_overrides_reach_nested_values_lists_and_yaml_types():
    config = load_config("finetune-tiny", ["optimiser.lr=1e-2", "sources.0.erode_px=2", "augment.zoom=[0.5, 2]"])
    assert (config.optimiser.lr, config.sources[0].erode_px, config.augment.zoom) == (0.01, 2, (0.5, 2.0))


@pytest.mark.parametrize(
    ("override", "named"),
    [
        ("optimiser.stepz=3", "'stepz'"),
        ("stepz=3", "'stepz'"),
        ("optimiser.steps=many", "optimiser.steps"),
        ("optimiser.steps=0", "optimiser.steps"),
        ("sources.4.weight=1", "sources.4.weight"),
        ("seed.inner=1", "seed is"),
        ("name.inner.most=1", "name.inner.most"),
        ("augment.zoom=[2, 1]", "augment.zoom[0]"),
        ("sources.0.hold_out=1.5", "sources[0].hold_out"),
        ("label_fraction=0", "label_fraction is 0"),
        ("loss.focal_gamma=-1", "loss.focal_gamma"),
        ("loss.class_weights={7: 2.0}", "loss.class_weights names 7"),
        ("optimiser.train=some", "optimiser.train"),
        ("optimiser.micro_batch=5", "optimiser.micro_batch"),
        ("run.log_every=0", "run.log_every"),
        ("steps", "key=value"),
        ("optimiser.lr=[", "optimiser.lr=["),
        ("seed=-1", "seed is -1"),
        ("optimiser.betas=[0.9, 1]", "optimiser.betas[1]"),
        ("optimiser.warm_up=-1", "optimiser.warm_up"),
        ("loss.dice=-1", "loss.dice"),
        ("loss.class_weights={80: -1}", "loss.class_weights.80"),
        ("loss.class_weights={80: 0, 10: 0, 50: 0, 30: 0, 60: 0}", "every class"),
        ("validation.margin_px=-8", "validation.margin_px"),
        ("model.backbone.patch=0", "model.backbone.patch"),
        ("sources.0.mapping={null: [10]}", "key null"),
        ("sources.0.mapping={1.5: [10]}", "key 1.5"),
        ("sources.0.mapping={true: [10]}", "key true"),
        ("sources.²=1", "sources.²"),
    ],
)
def test_errors_name_the_wrong_key(override, named):
    with pytest.raises(SettingInvalid) as error:
        load_config("finetune-tiny", [override])
    assert named in str(error.value)


def test_an_unknown_configuration_is_told_which_there_are():
    with pytest.raises(InputMissing, match="finetune-starter, finetune-tiny"):
        load_config("no-such")


def test_rasters_on_the_command_line_need_one_source():
    tiny = with_rasters(load_config("finetune-tiny"), ["a.tif"], ["b.tif"])
    assert (tiny.sources[0].images, tiny.sources[0].labels) == (("a.tif",), ("b.tif",))
    with pytest.raises(SettingInvalid, match="sources"):
        with_rasters(load_config("finetune-starter"), ["a.tif"], ["b.tif"])
    with pytest.raises(SettingInvalid, match="--images"):
        with_rasters(load_config("finetune-tiny"), [], [])

"""Passes over the data become steps, and what is counted in steps is stretched with them."""

from __future__ import annotations

import pytest

from sardino_core.contract.errors import SettingInvalid
from sardino_core.training.settings.epochs import with_epochs
from sardino_core.training.settings.finetune_config import OptimiserConfig, load_config
from sardino_core.training.settings.pretrain_config import load_pretrain_config, with_presets


@pytest.mark.parametrize(("epochs", "windows", "steps"), [(1, 160, 10), (2, 160, 20), (0.5, 161, 6), (0.001, 16, 1)])
def test_every_window_is_counted_once_an_epoch(epochs, windows, steps):
    found = with_epochs(OptimiserConfig(epochs=epochs, steps=100, warm_up=50, batch_size=16), windows, ("warm_up",))
    assert found.steps == steps
    assert found.warm_up == round(steps / 2)
    assert found.epochs == 0  # resolved: a resumed run compares steps


def test_without_epochs_nothing_changes():
    config = OptimiserConfig()
    assert with_epochs(config, 1000, ("warm_up",)) is config


def test_pretraining_says_what_it_made_of_them():
    config = load_pretrain_config("pretrain-tiny", ["optimiser.epochs=3"])
    found, reason = with_presets(config, 3200)
    assert found.optimiser.steps == 300
    assert found.optimiser.freeze_last_layer == round(config.optimiser.freeze_last_layer * 300 / config.optimiser.steps)
    assert "3 epochs are 300 steps" in reason


@pytest.mark.parametrize("load", [load_config, load_pretrain_config])
def test_epochs_below_zero_are_refused(load):
    name = "finetune-tiny" if load is load_config else "pretrain-tiny"
    with pytest.raises(SettingInvalid, match=r"optimiser\.epochs is -1"):
        load(name, ["optimiser.epochs=-1"])

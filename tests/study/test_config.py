from __future__ import annotations

from dataclasses import replace

import pytest

from sardino_core.contract.errors import SettingInvalid
from sardino_core.study.config import ArmConfig, load_study_config
from tests.study.studies import ARMS, study


@pytest.mark.parametrize("name", ["study", "study-tiny"])
def test_the_studies_that_ship_are_read(name):
    config = load_study_config(name)
    assert config.simulated
    assert {arm.kind for arm in config.arms} == {"vit", "unet", "forest"}
    assert {(arm.init, arm.train) for arm in config.arms if arm.kind == "vit"} == {
        (init, train) for init in ("pretrained", "scratch") for train in ("full", "frozen")
    }


def test_the_issue_s_table_is_the_default():
    config = load_study_config("study")
    assert config.fractions == (0.01, 0.05, 0.2, 1.0)
    assert len(config.seeds) == 5


def test_the_remedies_are_the_study_with_other_arms():
    """Else neither its pre-training nor its cells would be those of the study."""
    study, remedies = load_study_config("study"), load_study_config("study-remedies")
    assert set(remedies.fractions) < set(study.fractions)
    assert {name: remedies.arm(name) for name in ("dino-full", "scratch-full")} == {
        name: study.arm(name) for name in ("dino-full", "scratch-full")
    }
    other = {"name": study.name, "fractions": study.fractions, "arms": study.arms, "compare": study.compare}
    assert replace(remedies, **other) == study


def test_a_network_is_changed_for_both_sides_at_once():
    config = load_study_config("study", ["pretrain.model.backbone.depth=3"])
    assert config.finetune.model.backbone.depth == 3


@pytest.mark.parametrize(
    ("override", "named"),
    [
        ("places.trainn=3", "'trainn'"),
        ("seeds=[0,100]", "tuning_seed is 100"),
        ("seeds=[1,1]", "seeds must name one or more, each once"),
        ("fractions=[2]", r"fractions\[0\]"),
        ("arms.0.tried=[0.1]", "tries 3 values and dino-full 1"),
        ("arms.0.name=a_b", "'a_b'"),
        ("compare=[[dino-full, dino]]", "compare names the arm dino;"),
        ("pretrain.model.window=32", "differ"),
    ],
)
def test_what_is_wrong_is_named(override, named):
    with pytest.raises(SettingInvalid, match=named):
        load_study_config("study", [override])


def test_every_arm_has_the_same_number_of_trials():
    with pytest.raises(SettingInvalid, match="must try as many"):
        study(arms=(*ARMS, ArmConfig("more", (1e-3, 2e-3, 3e-3))))
    assert study(arms=tuple(replace(arm, tried=(1.0,)) for arm in ARMS)).arm("forest").tried == (1.0,)

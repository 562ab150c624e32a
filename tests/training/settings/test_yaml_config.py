"""Configurations from strangers: one line of error, at once, and nothing of them is run."""

from __future__ import annotations

import pytest

from sardino_core.contract.errors import SettingInvalid
from sardino_core.training.settings.finetune_config import load_config
from sardino_core.training.settings.pretrain_config import load_pretrain_config
from sardino_core.training.settings.yaml_config import _parse

_TENFOLD = ", ".join(f"&n{level} [{', '.join([f'*n{level - 1}'] * 10)}]" for level in range(1, 12))
HOSTILE = {
    "an anchor bomb where text belongs": f"name: [&n0 [a, b], {_TENFOLD}]",
    "an anchor bomb in a list": f"notes: [&n0 [a, b], {_TENFOLD}]",
    "a list that holds itself": "name: &n [*n]",
    "a mapping that holds itself": "name: &n {a: *n}",
    "a list of itself": "notes: &n [*n]",
    "a python tag": "name: !!python/object/apply:os.getcwd []",
    "a thousand brackets": "notes: " + "[" * 5000 + "]" * 5000,
    "a number of five thousand digits": "seed: " + "9" * 5000,
    "a day that is none": "name: 2021-02-31",
    "a list": "- name",
    "nothing": "",
    "two documents": "name: a\n---\nname: b",
    "a list as a key": "? [a]\n: 1",
}


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_hostile_yaml_is_refused_in_one_short_line(tmp_path, text):
    path = tmp_path / "config.yaml"
    path.write_text(text)
    with pytest.raises(SettingInvalid) as error:
        load_config(path, ["seed=1"] if text.startswith("name") else [])
    assert len(str(error.value)) < 400


def test_what_is_no_text_is_named(tmp_path):
    (tmp_path / "config.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(SettingInvalid, match=r"config\.yaml"):
        load_config(tmp_path / "config.yaml")


@pytest.mark.parametrize(
    "text, expected", [("off", "off"), ("no", "no"), ("true", True), ("False", False), ("1e-3", 0.001)]
)
def test_plain_words_mean_what_they_say(text, expected):
    assert _parse(f"key: {text}", "text") == {"key": expected}


def test_views_of_other_dates_are_switched_off_by_their_word():
    assert load_pretrain_config("pretrain-tiny", ["views.dates=off"]).views.dates == "off"

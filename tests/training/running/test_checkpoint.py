from __future__ import annotations

import os

import pytest
import torch

from sardino_core.contract.errors import InputMissing, OutputUnwritable, SettingInvalid
from sardino_core.training.running.checkpoint import differences, load_checkpoint, save_checkpoint

SETTINGS = {"seed": 0, "optimiser": {"lr": 0.1, "betas": (0.9, 0.95)}, "rasters": ["a"]}
STATE = {"step": 3, "weights": {"a": torch.arange(5.0)}, "words": ["x"], "none": None}


def test_what_was_saved_comes_back_bit_for_bit(tmp_path):
    save_checkpoint(tmp_path / "c.pt", STATE, SETTINGS)
    found = load_checkpoint(tmp_path / "c.pt", SETTINGS)
    assert torch.equal(found["weights"]["a"], STATE["weights"]["a"])
    assert (found["step"], found["words"], found["none"]) == (3, ["x"], None)
    assert [path.name for path in tmp_path.iterdir()] == ["c.pt"]


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({**SETTINGS, "seed": 1}, "seed was 0 and is 1"),
        ({**SETTINGS, "optimiser": {"lr": 0.2, "betas": [0.9, 0.95]}}, "optimiser.lr was 0.1 and is 0.2"),
        ({**SETTINGS, "rasters": ["a", "b"]}, "rasters was"),
        ({**SETTINGS, "rasters": ["b"]}, 'rasters[0] was "a" and is "b"'),
        ({**SETTINGS, "new": 1}, "new was null and is 1"),
    ],
)
def test_other_settings_are_refused_by_name(tmp_path, changed, told):
    save_checkpoint(tmp_path / "c.pt", STATE, SETTINGS)
    with pytest.raises(SettingInvalid) as error:
        load_checkpoint(tmp_path / "c.pt", changed)
    assert told in str(error.value)


def test_equal_settings_do_not_differ_and_lists_are_tuples():
    assert differences(SETTINGS, {**SETTINGS, "optimiser": {"lr": 0.1, "betas": [0.9, 0.95]}}) == []


@pytest.mark.parametrize("keep", [0, 100, -40])
def test_a_cut_file_is_told_in_one_line(tmp_path, keep):
    path = tmp_path / "c.pt"
    save_checkpoint(path, STATE, SETTINGS)
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(SettingInvalid, match="damaged") as error:
        load_checkpoint(path, SETTINGS)
    assert "\n" not in str(error.value)


def test_foreign_and_hostile_files_are_refused(tmp_path):
    class Hostile:
        def __reduce__(self):
            return (os.mkdir, (str(tmp_path / "owned"),))

    torch.save({"model": torch.zeros(2)}, tmp_path / "foreign.pt")
    torch.save({"kind": Hostile()}, tmp_path / "hostile.pt")
    (tmp_path / "text.pt").write_text("hello")
    for name in ("foreign.pt", "hostile.pt", "text.pt"):
        with pytest.raises(SettingInvalid, match=name):
            load_checkpoint(tmp_path / name, SETTINGS)
    assert not (tmp_path / "owned").exists()
    with pytest.raises(InputMissing):
        load_checkpoint(tmp_path / "none.pt", SETTINGS)


@pytest.mark.parametrize(
    "change", [{"state": None}, {"state": {}}, {"settings": 7}, {"settings": "{"}, {"state": {"step": -1}}]
)
def test_a_checkpoint_in_our_name_that_holds_something_else_is_damaged(tmp_path, change):
    path = tmp_path / "c.pt"
    save_checkpoint(path, STATE, SETTINGS)
    torch.save(torch.load(path, weights_only=True) | change, path)
    with pytest.raises(SettingInvalid, match="damaged"):
        load_checkpoint(path, SETTINGS)


def test_an_interrupted_write_leaves_the_previous_checkpoint(tmp_path, monkeypatch):
    path = tmp_path / "c.pt"
    save_checkpoint(path, STATE, SETTINGS)

    def full(*_args: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(torch, "save", full)
    with pytest.raises(OutputUnwritable, match="previous checkpoint"):
        save_checkpoint(path, {"step": 4}, SETTINGS)
    monkeypatch.undo()
    assert load_checkpoint(path, SETTINGS)["step"] == 3
    assert [item.name for item in tmp_path.iterdir()] == ["c.pt"]

"""What is tried is what it is called, and is counted as judge_starter.py counts."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from sardino_core.raster.scaling import standardise
from sardino_core.training.settings.finetune_config import load_config
from sardino_core.training.windows.targets import ClassSets

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "starter" / "tried.py"
CONFIG = load_config("finetune-starter")
SETS = ClassSets.of(CONFIG.classes, CONFIG.sources)


def pixels(logits, label, block=None):
    from tried import Pixels

    blocks = np.array(["scene 0,0"] * len(label) if block is None else block)
    return Pixels(SETS, np.asarray(logits, np.float32), np.asarray(label), blocks)


def network(windows):
    """Logits that depend on place and brightness: (B, C, S, S) to (B, K, S, S)."""
    ramp = torch.linspace(0, 1, windows.shape[-1])
    return torch.stack([windows[:, 0] * ramp, windows[:, 1], windows[:, 0] - ramp[:, None]], dim=1)


@pytest.mark.parametrize("gain", [-2.0, 1.0])
def test_a_gain_is_that_of_the_valid_pixels_before_they_are_clipped(gain):
    from tried import brighter

    db = np.array([[[-50, -35.5, -34, -10, 14.5, 30]], [[-40, -36, -33, -20, 13, 16]]], np.float32)
    valid = np.array([[True, True, True, False, True, True]])
    before, after = CONFIG.model.inputs, brighter(CONFIG, gain).model.inputs
    found = standardise(db, valid, after.bands, after.clip_db)
    assert found == pytest.approx(standardise(db + np.float32(gain), valid, before.bands, before.clip_db), abs=1e-5)
    assert (found[:, ~valid] == 0).all()


def test_mirrored_looks_do_not_change_with_the_mirror():
    from tried import mirrored

    windows = torch.randn(2, 2, 8, 8, generator=torch.Generator().manual_seed(0))
    found = mirrored(network, windows)
    looks = [windows, windows.flip(-1), windows.flip(-2), windows.transpose(-1, -2)]
    back = [torch.log_softmax(network(look), dim=1) for look in looks]
    turned = [back[0], back[1].flip(-1), back[2].flip(-2), back[3].transpose(-1, -2)]
    assert torch.allclose(found, sum(turned) / 4)
    assert not torch.allclose(found, back[0])


def test_pixels_that_may_be_water_are_neither_hits_nor_mistakes_of_it():
    from judgement import f1, right

    water, trees, either = SETS.number([80]), SETS.number([10]), SETS.number([80, 10])
    given = np.eye(5)[[0, 1, 0, 0, 3]]  # water, trees, water, water, low vegetation
    found = pixels(given, [water, water, trees, either, either], ["a", "a", "a", "b", "b"])
    blocks = found.judged("plain", "here")
    assert [item.block for item in blocks] == ["a", "b"]
    sums = sum(item.sums(80) for item in blocks)
    assert f1(sums) == pytest.approx(2 / 4)  # one hit, one miss, one false; `either` is left out
    assert right(sums) == pytest.approx(2 / 5)
    moved = np.array([-9.0, 0, 0, 0, 0])
    assert found.counted(moved).counts[:, 0].sum() == 0


def test_offsets_undo_a_bias_of_the_logits():
    from tried import SIMULATED, fit_offsets

    random = np.random.default_rng(0)
    names = [SETS.number([item.value]) for item in SETS.classes]
    truth = random.integers(0, 5, 20_000)
    p = np.full((len(truth), 5), 0.1)
    p[np.arange(len(truth)), truth] = 0.6
    told = np.array([random.choice(5, p=row) for row in p])  # what the network believes: right in 6 of 10
    honest = np.log(np.where(np.eye(5, dtype=bool)[told], 0.6, 0.1))
    bias = np.array([1.5, -0.5, 0.0, -1.0, 0.0])
    biased = pixels(honest + bias, np.array(names)[truth])
    found = fit_offsets({SIMULATED: biased, "elsewhere": biased}, 0.5)
    assert found - found.mean() == pytest.approx(-(bias - bias.mean()), abs=0.1)


def test_blocks_are_named_as_the_judge_names_them():
    from types import SimpleNamespace

    from judge_starter import BLOCK_PX, _by_block
    from tried import _blocks

    from sardino_core.study.arms.asking import Judged

    target = np.arange(100 * 90).reshape(100, 90)
    window = SimpleNamespace(target=target, row=30, col=70, scene=SimpleNamespace(name="scene"))
    found = _blocks(window)
    assert BLOCK_PX < 100
    for block, part, _ in _by_block(Judged(None, 30, 70, target, target)):
        assert set(found[part.ravel()]) == {f"scene {block}"}


def test_the_page_compares_every_row_with_what_is():
    from tried import GAINS_DB, MIRRORED, PLAIN, REAL_SHARES, Tried, _gain_name, _offsets_name, page

    water, trees = SETS.number([80]), SETS.number([10])
    names = [PLAIN, *map(_offsets_name, REAL_SHARES), MIRRORED, *map(_gain_name, GAINS_DB)]
    found = []
    for number, name in enumerate(names):
        for place, hits in (("east", 50 + number), ("west", 50)):
            given = np.zeros(100, int)
            given[hits:] = 3
            label = [water] * 90 + [trees] * 10
            blocks = [f"{index % 4}" for index in range(100)]
            found += pixels(np.eye(5)[given], label, blocks).judged(name, place)
    lines = page(Tried(found, {PLAIN: 0.6}))
    rows = {line.split(" | ")[0].strip("| "): line.split(" | ") for line in lines if line.startswith("| ")}
    assert rows[PLAIN][1:5] == ["0.500", "0.500", "0.500", ""]
    assert rows[PLAIN][-1] == "0.600 |"
    assert rows[MIRRORED][1] == "0.550" and rows[MIRRORED][4].startswith("+0.025 (")
    assert rows[MIRRORED][-1] == "not asked |"
    text = " ".join(lines)
    assert "east +0.060" in text and "west" not in text.partition("Input darker")[2]
    assert "tune on the test" in text


def test_what_is_missing_is_told_in_one_line(tmp_path):
    words = [sys.executable, str(SCRIPT), "--data", str(tmp_path), "--work", str(tmp_path), "--output", str(tmp_path)]
    tried = subprocess.run(words, capture_output=True, text=True)
    assert tried.returncode == 1
    assert "model.safetensors" in tried.stderr and "Traceback" not in tried.stderr

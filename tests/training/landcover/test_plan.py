"""What is said before a fine-tuning run starts."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from affine import Affine

from sardino_core.contract.errors import AreaOutside, InputMissing, ModelInvalid, SettingInvalid
from sardino_core.training.landcover.plan import SCRATCH, finetune_plan, memory_mb
from sardino_core.training.settings.finetune_config import OptimiserConfig
from tests.training.rasters import config, lake, write
from tests.training.runs import ROOT, Ear


def test_it_says_what_would_be_used(tmp_path):
    ear = Ear()
    finetune_plan(config(*lake(tmp_path, 96, 192), source={"mapping": {10: (10, 30), 80: (80,)}}), SCRATCH, ear)
    text = "\n".join(ear.said)
    assert "1 scenes (images), 0.0 million pixels" in text
    assert "units: db" in text
    assert "bands: VV, VH" in text
    assert "  water: " in text
    assert "  trees or low: " in text
    assert "blocks of 32 x 32 pixels" in text


def test_a_batch_larger_than_the_labels_can_fill_is_refused(tmp_path):
    settings = config(*lake(tmp_path, 32, 32), source={"hold_out": 0.0})
    allowed = replace(settings, optimiser=replace(settings.optimiser, batch_size=16))
    finetune_plan(allowed, SCRATCH, Ear())
    with pytest.raises(SettingInvalid, match=r"lie in 1 blocks.*batch_size is 17, allowed is up to 16"):
        finetune_plan(replace(settings, optimiser=replace(settings.optimiser, batch_size=17)), SCRATCH, Ear())


def test_a_fraction_finer_than_the_blocks_is_warned_of(tmp_path):
    ear = Ear()
    finetune_plan(config(*lake(tmp_path), label_fraction=0.01), SCRATCH, ear)
    assert any(line.startswith("warning: whole blocks") for line in ear.said)


def test_inputs_that_do_not_fit_are_named(tmp_path):
    scene, labels = lake(tmp_path)
    with pytest.raises(InputMissing, match=r"none\*\.tif"):
        finetune_plan(config(tmp_path / "none*.tif", labels), SCRATCH, Ear())
    with pytest.raises(ModelInvalid, match="missing"):
        finetune_plan(config(scene, labels), "missing.safetensors", Ear())
    far = Affine(10, 0, 900_000, 0, -10, 5_000_000)
    elsewhere = write(tmp_path / "far.tif", np.full((96, 96), 80, np.uint8), far)
    with pytest.raises(AreaOutside, match="overlaps"):
        finetune_plan(config(scene, elsewhere), SCRATCH, Ear())


def test_memory_grows_with_the_pass_and_shrinks_with_what_is_frozen():
    settings = config("a", "b")
    sizes = [
        memory_mb(replace(settings, optimiser=OptimiserConfig(batch_size=64, micro_batch=micro, train=train)))
        for micro, train in ((0, "full"), (64, "full"), (16, "full"), (16, "frozen"))
    ]
    assert sizes[0] == sizes[1] > sizes[2] > sizes[3] > 0


def test_planning_does_not_pay_for_torch():
    code = "import sys, sardino_core.training.landcover.plan; print('torch' in sys.modules)"
    found = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert found.stdout == "False\n"

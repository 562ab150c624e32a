"""The arithmetic behind the floor is that of the formula, attention included."""

from __future__ import annotations

import pytest
import torch

from sardino_core.contract.model_spec import BackboneSpec
from sardino_core.models.network import random_network
from sardino_core.simulate import simulate_arrays
from tests.models.specs import make_spec


def test_attention_is_counted():
    from arithmetic import flops_of

    spec = make_spec(window=64, patch=8, width=96, depth=3, heads=3, head="linear")
    backbone = random_network(spec, 0).eval().backbone
    tokens, width = 8 * 8 + 1, 96
    blocks = 3 * (24 * tokens * width**2 + 4 * tokens**2 * width)
    embedding = 2 * (tokens - 1) * width * 2 * 8**2
    with torch.inference_mode():
        assert flops_of(lambda: backbone(torch.zeros(1, 2, 64, 64))) == blocks + embedding


@pytest.mark.slow
def test_the_share_of_the_floor_is_a_share(tmp_path):
    from bench_floor import floor

    small = BackboneSpec("vit_tiny", patch=16, width=48, depth=1, heads=3)
    found = floor(tmp_path, simulate_arrays(128, seed=1)[0], 1, small, window=64)
    rows = [line.split(" | ") for line in found.splitlines() if line.startswith("| vit_tiny/")]
    assert [row[0] for row in rows] == ["| vit_tiny/8 at 128, decoder head", "| vit_tiny/16 at 64, decoder head"]
    assert [row[2] for row in rows] == ["1", "9"]  # 128 pixels: one window, and a step of 48 between windows of 64
    assert all(0 < float(row[-1].split(" ")[0]) < 1.5 for row in rows)

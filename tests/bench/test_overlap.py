"""The geometry and the scores behind docs/overlap.md, and the page of a small place."""

from __future__ import annotations

import re
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sardino_core.models.model_file import save_model
from sardino_core.models.network import random_network
from sardino_core.raster.tiles import Axis, plan_axis
from tests.models.specs import make_spec

SPEC = make_spec(window=64)  # eight tokens a side


@given(st.integers(8, 200), st.sampled_from((0.0, 0.125, 0.25, 0.375, 0.5, 0.75)))
def test_windows_of_a_fitting_side_overlap_as_asked_and_no_more(tokens, overlap):
    from window_maps import fitting

    side = fitting(tokens, SPEC, overlap)
    plan = plan_axis(side, SPEC.tokens_per_side, overlap)
    stride = int(SPEC.tokens_per_side * (1 - overlap))
    assert tokens - stride < side <= tokens
    assert [plan.start(index) for index in range(plan.count)] == list(range(0, plan.count * stride, stride))


@given(st.integers(24, 200))
def test_every_view_of_every_overlap_shows_the_shared_ground(tokens):
    from window_maps import OVERLAPS, fitting, half_stride, shared_ground

    ground = shared_ground(tokens, SPEC)
    assert ground
    for overlap in OVERLAPS:
        shift = half_stride(SPEC, overlap)
        side = fitting(tokens - shift, SPEC, overlap)
        assert shift + side <= tokens
        assert ground.start - shift >= 4 and ground.stop + 4 <= side


def test_borders_are_those_of_windows_and_not_of_the_raster():
    from window_maps import Map

    axis = Axis(length=48, window=32, count=2, unit=8)  # 0 to 32 and 16 to 48
    found = Map(np.zeros((2, 48, 48)), np.ones((48, 48), bool), axis, Axis(48, 48, 1, 8), np.array([1, 2], np.uint8))
    assert np.flatnonzero(found.near_borders()[:, 0]).tolist() == [*range(8, 40)]
    assert (found.near_borders() == found.near_borders()[:, :1]).all()


def test_confusion_counts_what_has_a_label():
    from window_maps import confusion

    values = np.array([80, 10], np.uint8)
    counts = confusion(np.array([[80, 10], [0, 10]], np.uint8), np.array([[0, 0], [1, 1]]), values)
    assert counts.tolist() == [[1, 0], [1, 1]]


def test_the_page_of_a_small_place(tmp_path, monkeypatch):
    import overlap

    spec = make_spec(window=64)
    model = save_model(tmp_path / "model.safetensors", spec, random_network(spec, 0).state_dict(), "float32")
    arguments = ["overlap", "--output", tmp_path, "--model", model, "--places", "1", "--size", "192"]
    monkeypatch.setattr(sys, "argv", [str(item) for item in arguments])
    assert overlap.main() == 0
    page = (tmp_path / "overlap.md").read_text()
    rows = [line.split(" | ") for line in page.splitlines() if line.startswith(("| raised cosine", "| flat mean"))]
    assert [row[1] for row in rows] == 2 * ["0", "0.125", "0.25", "0.375", "0.5"]
    costs = [1 / (1 - overlap) ** 2 for overlap in (0, 0.125, 0.25, 0.375, 0.5)]
    assert [float(row[2]) for row in rows[:5]] == pytest.approx(costs, rel=0.02)
    near = [float(row[3]) for row in rows[:5]]
    assert near[4] < near[0]  # half a window of overlap is nearer to three quarters than none is
    assert re.search(r"At the default, 0\.25, moving the windows changes", page)
    assert (tmp_path / "overlap.png").read_bytes().startswith(b"\x89PNG")

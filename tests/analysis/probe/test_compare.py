"""Whole comparisons on made-up tables: what is known inside the training fold, and what must not be known there."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from sardino_core.analysis.probe.compare import COMMONEST, FREE, compare, differences, equal_dims
from sardino_core.analysis.probe.config import ProbeConfig
from sardino_core.analysis.probe.features import BRIGHTNESS, HEADS, RANDOM, RECIPES, SAR, SCORES, TOKENS
from sardino_core.analysis.probe.folds import outer_folds
from sardino_core.analysis.probe.probes import KINDS
from sardino_core.analysis.probe.samples import Samples
from sardino_core.analysis.probe.scores import bootstrap_draws, score
from tests.training.rasters import CLASSES

CONFIG = ProbeConfig(dims=(2, 50), trees=4, bootstrap=100)
PLACES, EACH = 3, 90
WEAK, TRAP = 1, 3  # columns: a little is known everywhere; everything is known, but in the last place alone


def made_up(seed: int = 0) -> tuple[Samples, dict[str, np.ndarray]]:
    rng = np.random.default_rng(seed)
    count = PLACES * EACH
    label, place = rng.integers(0, 3, count), np.arange(count) // EACH
    tables = {
        name: rng.normal(size=(count, columns)).astype(np.float32)
        for name, columns in ((HEADS, 6), (SCORES, 6), (TOKENS, 10), (SAR, 8), (BRIGHTNESS, 1),
                              (RANDOM + HEADS, 6), (RANDOM + TOKENS, 10))
    }  # fmt: skip
    tables[HEADS][:, WEAK] += 1.5 * label
    tables[HEADS][place == PLACES - 1, TRAP] = 10 * label[place == PLACES - 1]
    tables[TOKENS][:, :3] += 4 * np.eye(3, dtype=np.float32)[label]
    return Samples(CLASSES, label, place, np.arange(count), place, np.arange(count) // 30), tables


@pytest.fixture(scope="module")
def outcomes():
    samples, tables = made_up()
    folds = outer_folds(samples, 8, 0)
    found = compare(samples, tables, folds, CONFIG, lambda fraction, message: None)
    return {(item.recipe, item.dims, item.probe): item for item in found}


@pytest.mark.parametrize("probe", KINDS)
def test_the_best_head_is_chosen_without_the_place_that_scores(outcomes, probe):
    """In the last fold the trap would be perfect; inside the training fold nothing speaks for it."""
    found = outcomes["best head", FREE, probe]
    assert found.picked[-1] == WEAK
    assert score(found.by_group[-1]).accuracy < 0.8, "the trap would give 1"


def test_labels_of_the_place_that_scores_change_nothing_but_its_score(outcomes):
    samples, tables = made_up()
    label = samples.label.copy()
    last = samples.place == PLACES - 1
    label[last] = (label[last] + 1) % 3
    other = replace(samples, label=label)
    changed = compare(other, tables, outer_folds(other, 8, 0), CONFIG, lambda fraction, message: None)
    for item in changed:
        before = outcomes[item.recipe, item.dims, item.probe]
        np.testing.assert_array_equal(
            item.by_group[-1].sum(axis=0), before.by_group[-1].sum(axis=0), "predictions of the last fold"
        )
        assert item.picked[-1:] == before.picked[-1:]


def test_every_set_is_probed_free_and_at_equal_size(outcomes):
    assert equal_dims(made_up()[1], (2, 50)) == [2, 6]
    sizes = {item.dims for item in outcomes.values()}
    assert sizes == {FREE, 2, 6}
    for recipe in RECIPES:
        for probe in KINDS:
            for dims in (2, 6):
                found = outcomes.get((recipe.name, dims, probe))
                assert found is None or found.size == dims
            assert outcomes[recipe.name, FREE, probe].counts.sum() == PLACES * EACH, "every patch scores once"
    assert ("best head", 2, "linear") not in outcomes
    assert outcomes["all heads + tokens", FREE, "linear"].size == 16
    assert outcomes["best head + tokens", FREE, "linear"].size == 11


def test_what_was_put_in_comes_out(outcomes):
    for probe in KINDS:
        tokens = outcomes["tokens", FREE, probe].scores.miou
        assert tokens > 0.8
        assert outcomes["tokens, random weights", FREE, probe].scores.miou < 0.45
        assert outcomes["best head", FREE, probe].scores.miou > outcomes[COMMONEST, FREE, ""].scores.miou + 0.1


def test_differences_are_paired_and_of_one_size_and_probe(outcomes):
    draws = bootstrap_draws(PLACES, 300, 0)
    found = differences(list(outcomes.values()), draws)
    by_key = {(item.first, item.second, item.dims, item.probe): item for item in found}
    item = by_key["tokens", "tokens, random weights", 2, "forest"]
    expected = outcomes["tokens", 2, "forest"].scores.miou - outcomes["tokens, random weights", 2, "forest"].scores.miou
    assert item.value == pytest.approx(expected)
    assert 0 < item.low <= item.value <= item.high
    assert all(key[2] == FREE for key in by_key if key[:2] == ("best head", "brightness alone"))

from __future__ import annotations

import numpy as np
import pytest

from sardino_core.analysis.probe.folds import inner_folds, outer_folds
from sardino_core.analysis.probe.samples import Samples
from sardino_core.contract.errors import NoValidData
from tests.training.rasters import CLASSES


def samples(places: int, blocks: int = 4, each: int = 12, seed: int = 0) -> Samples:
    rng = np.random.default_rng(seed)
    count = places * blocks * each
    place, block = np.arange(count) // (blocks * each), np.arange(count) // each
    order = rng.permutation(count)  # folds must not lean on the order
    return Samples(CLASSES, rng.integers(0, 3, count), place[order], np.arange(count), place[order], block[order])


@pytest.mark.parametrize(("places", "limit"), [(2, 8), (5, 8), (8, 8), (9, 8), (23, 4)])
def test_no_place_is_on_both_sides_and_every_patch_scores_once(places, limit):
    found = samples(places)
    folds = outer_folds(found, limit, 0)
    assert folds.kind == "place"
    assert len(folds.splits) == min(places, limit)
    for fit, scored in folds.splits:
        assert set(found.place[fit]).isdisjoint(found.place[scored])
        assert len(fit) + len(scored) == len(found.label)
    scored = np.concatenate([scored for _, scored in folds.splits])
    assert sorted(scored) == list(range(len(found.label)))
    if places <= limit:
        assert all(len(set(found.place[scored])) == 1 for _, scored in folds.splits)


def test_folds_depend_on_the_seed_alone():
    found = samples(23)
    first, same, other = (outer_folds(found, 4, seed).splits for seed in (0, 0, 1))
    assert all(np.array_equal(a[1], b[1]) for a, b in zip(first, same, strict=True))
    assert any(not np.array_equal(a[1], b[1]) for a, b in zip(first, other, strict=True))


def test_a_single_place_is_split_by_blocks_and_says_so():
    found = samples(1)
    folds = outer_folds(found, 8, 0)
    assert folds.kind == "block"
    assert folds.count == 4
    for fit, scored in folds.splits:
        assert set(found.block[fit]).isdisjoint(found.block[scored])


def test_a_single_block_is_refused():
    with pytest.raises(NoValidData, match="one block of one place"):
        outer_folds(samples(1, blocks=1), 8, 0)


def test_inner_splits_stay_inside_the_training_fold_and_part_its_places():
    found = samples(6)
    folds = outer_folds(found, 8, 0)
    for fit, _ in folds.splits:
        for inner_fit, inner_scored in inner_folds(found, fit, folds.groups, 3, 0):
            assert max(inner_fit.max(), inner_scored.max()) < len(fit), "positions within the training fold"
            assert set(found.place[fit[inner_fit]]).isdisjoint(found.place[fit[inner_scored]])


def test_of_one_training_place_its_blocks_are_the_inner_groups():
    found = samples(2)
    folds = outer_folds(found, 8, 0)
    fit, _ = folds.splits[0]
    splits = inner_folds(found, fit, folds.groups, 3, 0)
    assert len(splits) == 3
    for inner_fit, inner_scored in splits:
        assert set(found.block[fit[inner_fit]]).isdisjoint(found.block[fit[inner_scored]])


def test_of_one_training_block_the_halves_are():
    found = samples(2, blocks=1)
    folds = outer_folds(found, 8, 0)
    fit, _ = folds.splits[0]
    (first, second), (third, fourth) = inner_folds(found, fit, folds.groups, 3, 0)
    assert sorted([*first, *second]) == list(range(len(fit)))
    assert np.array_equal(first, fourth)
    assert np.array_equal(second, third)

"""Metamers are one set of pixels, differently arranged."""

from __future__ import annotations

import numpy as np
import pytest

from sardino_core.simulate.metamers import KINDS, metamer


def pairs(block):
    """The (VV, VH) pairs in an order of their own."""
    flat = block.reshape(2, -1)
    return flat[:, np.lexsort(flat)]


@pytest.fixture(scope="module")
def blocks():
    return {kind: metamer(kind, 96, seed=3) for kind in KINDS}


def test_every_kind_holds_the_same_pairs_of_pixels(blocks):
    first, *others = blocks.values()
    for other in (*others, metamer("rows", 96, seed=4)):
        assert np.array_equal(pairs(first), pairs(other))
        assert not np.array_equal(first, other)


def test_the_pixels_are_backscatter(blocks):
    vv, vh = blocks["stands"]
    assert vv.dtype == np.float32
    assert -13 < np.median(vv) < -10 and 5 < np.median(vv - vh) < 8
    assert 2 < vv.std() < 4.5


def test_the_kinds_differ_in_what_lies_side_by_side(blocks):
    def lag(block, step):
        vv = block[0] - block[0].mean()
        return (vv[:, :-step] * vv[:, step:]).mean() / vv.var()

    assert 0.3 < lag(blocks["grains"], 1) < 0.75
    assert lag(blocks["grains"], 4) < 0.1 < lag(blocks["clumps"], 4) < lag(blocks["stands"], 4)
    assert lag(blocks["stands"], 8) > 0.2 > lag(blocks["clumps"], 8)


def test_a_seed_gives_one_block():
    assert np.array_equal(metamer("lattice", 64, 1), metamer("lattice", 64, 1))
    assert not np.array_equal(metamer("lattice", 64, 1), metamer("lattice", 64, 2))

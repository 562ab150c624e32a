"""Scores of judged blocks, against numbers worked out by hand, and their paired intervals."""

from __future__ import annotations

import numpy as np
import pytest

CLASSES, MEMBERS = [80, 10], [[], [80], [10], [10, 80]]


def judged(method, block, counts, place="here"):
    from judgement import Judgement

    return Judgement(method, place, block, CLASSES, MEMBERS, [[0, 0], *counts])


def test_scores_by_hand():
    from judgement import f1, right

    sums = judged("a", "0,0", [[6, 2], [1, 11], [3, 2]]).sums(80)
    assert sums.tolist() == [6 + 11 + 3 + 2, 25, 6, 2, 1, 20]
    assert right(sums) == pytest.approx(22 / 25)
    assert f1(sums) == pytest.approx(12 / 15)


def test_a_place_counts_as_wet_by_what_is_known_of_water_alone():
    from judgement import Board

    found = [
        judged("a", "0,0", [[1, 0], [0, 99], [50, 850]], "wet"),
        judged("a", "0,0", [[1, 0], [0, 100], [0, 0]], "dry"),
        judged("a", "0,0", [[0, 0], [0, 0], [5, 5]], "unknown"),
    ]
    assert Board(found, 80).holding(0.01) == ["wet"]


def test_a_method_does_not_differ_from_itself_and_a_better_one_is_better_by_its_mean():
    from judgement import Board, right

    random = np.random.default_rng(0)
    found = []
    for place in ("east", "west"):
        for block in range(12):
            hits = int(random.integers(40, 60))
            found.append(judged("plain", f"{block},0", [[hits, 100 - hits], [0, 0], [0, 0]], place))
            found.append(judged("better", f"{block},0", [[hits + 20, 80 - hits], [0, 0], [0, 0]], place))
    board = Board(found, 80)
    same, apart = (board.mean("better", board.places, right, less=other) for other in ("better", "plain"))
    assert (same.value, same.low, same.high) == (0, 0, 0)
    assert apart.value == pytest.approx(0.2)
    assert apart.low == pytest.approx(0.2) and apart.high == pytest.approx(0.2)  # block by block the same 20 pixels
    alone = board.mean("plain", board.places, right)
    assert alone.low < alone.value < alone.high


def test_a_piece_is_cut_along_the_blocks_of_its_scene():
    from judge_starter import BLOCK_PX, _by_block

    from sardino_core.study.arms.asking import Judged

    random = np.random.default_rng(0)
    whole = random.integers(0, 9, (3 * BLOCK_PX, 2 * BLOCK_PX))
    row, col, height, width = 30, 7, 100, 90
    piece = whole[row : row + height, col : col + width]
    found = {}
    for block, target, predicted in _by_block(Judged(None, row, col, piece, piece + 1)):
        assert (predicted == target + 1).all()
        found[block] = target
    assert sum(part.size for part in found.values()) == piece.size
    for block, part in found.items():
        top, left = (int(number) * BLOCK_PX for number in block.split(","))
        area = whole[
            max(top, row) : min(top + BLOCK_PX, row + height), max(left, col) : min(left + BLOCK_PX, col + width)
        ]
        assert (part == area).all()

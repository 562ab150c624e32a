"""A stratified random sample: how many points each class gets, and which of its pixels they are. Integers alone.

Within a class every pixel is equally likely (simple random sampling without replacement), which is what the estimators
of area_adjusted.py rest on. On a grid in degrees the pixels of a class differ in area, by a few percent over a scene:
the weights of the classes follow their areas, the difference within a class is neglected.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from sardino_core.contract.errors import SettingInvalid


def allocate(pixels: Sequence[int], size: int, minimum: int) -> list[int]:
    """Points per class: `minimum` for classes whose share of `size` falls below it, the rest in proportion to size.

    That is the compromise that P. Olofsson et al. recommend ("Good practices for estimating area and assessing
    accuracy of land change", Remote Sensing of Environment 148, 2014, section 5.1.2): enough points in rare classes for
    their user's accuracy, proportion elsewhere for area and overall accuracy. No class gets more points than pixels.
    The sum is `size`, or all pixels. Raises SettingInvalid when `size` does not suffice for the minimum.
    """
    least = [min(minimum, count) for count in pixels]
    if size < sum(least):
        raise SettingInvalid(
            f"{size} points do not give each of the {len(pixels)} classes its minimum of {minimum}.",
            f"Ask for at least {sum(least)} points, or for a smaller minimum.",
        )
    if size >= sum(pixels):
        return list(pixels)
    given = dict(enumerate(least))
    free = set(given)  # classes that get their proportional share: what is left, which is less than all their pixels
    while free:
        left = size - sum(given[index] for index in given if index not in free)
        share = {index: left * pixels[index] / sum(pixels[i] for i in free) for index in free}
        short = {index for index in free if share[index] < least[index]}
        if not short:
            given |= _whole(share, left)
            break
        free -= short
    return [given[index] for index in range(len(pixels))]


def _whole(shares: Mapping[int, float], total: int) -> dict[int, int]:
    """Whole numbers of the given sum, by largest remainders."""
    floor = {index: int(share) for index, share in shares.items()}
    order = sorted(shares, key=lambda index: (floor[index] - shares[index], index))
    return {index: floor[index] + (order.index(index) < total - sum(floor.values())) for index in shares}


def draw_ranks(pixels: Sequence[int], points: Sequence[int], seed: int) -> list[NDArray[np.int64]]:
    """For each class the ranks (sorted, from 0) of the drawn pixels among all of the class, in the order of reading."""
    rng = np.random.default_rng(seed)
    return [np.sort(rng.choice(count, wanted, replace=False)) for count, wanted in zip(pixels, points, strict=True)]


def locate(
    windows: Iterable[tuple[NDArray[np.uint8], NDArray[np.bool_]]], ranks: Mapping[int, NDArray[np.int64]]
) -> Iterator[list[tuple[int, int, int]]]:
    """For each window (classes, valid), the drawn pixels in it as (class value, row, col) of the window.

    `ranks` by class value, as `draw_ranks` gives them for the same windows in the same order.
    """
    passed = dict.fromkeys(ranks, 0)
    for values, valid in windows:
        counts = np.bincount(values[valid], minlength=256)
        found = []
        for value, wanted in ranks.items():
            first, last = np.searchsorted(wanted, (passed[value], passed[value] + counts[value]))
            if first < last:
                places = np.flatnonzero((values == value) & valid)[wanted[first:last] - passed[value]]
                rows, cols = np.divmod(places, values.shape[1])
                found += [(value, int(row), int(col)) for row, col in zip(rows, cols, strict=True)]
            passed[value] += int(counts[value])
        yield found

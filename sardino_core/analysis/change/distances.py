"""How far the tokens of one date lie from those of others. Arrays in, arrays out.

A date is compared with the mean of reference dates, by the cosine: 0 for the same direction in token space, 1 for a
right angle. Among n reference dates each is compared with the mean of the n - 1 others. The new date takes the place of
every reference date in turn and is compared with the same n - 1: where nothing has changed it is one more draw from the
same distances.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Float = NDArray[np.float32]


def leave_one_out(references: Float, after: Float) -> tuple[Float, Float]:
    """Tokens (n, D, patches) and (D, patches): distances of the references (n, patches), of the new date (patches,).

    The new date's is the mean over the n comparisons.
    """
    directions = _unit(references)
    total = directions.sum(axis=0)
    others = _unit(total - directions)  # (n, D, patches): the direction of the mean of all but one
    return _distance(directions, others), _distance(_unit(after), others).mean(axis=0)


def _unit(tokens: Float) -> Float:
    length = np.linalg.norm(tokens, axis=-2, keepdims=True)
    return np.asarray(tokens / np.maximum(length, 1e-12), np.float32)


def _distance(one: Float, other: Float) -> Float:
    """1 - cosine of unit vectors along the last axis but one, from their difference: exact where they are alike."""
    return np.asarray(((one - other) ** 2).sum(axis=-2) / 2, np.float32)

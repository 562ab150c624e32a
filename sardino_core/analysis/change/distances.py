"""How far the tokens of one date lie from those of others. Arrays in, arrays out.

A date is compared with the mean of reference dates: the root mean square, over the tokens' dimensions, of the
difference. (A cosine would not do: less its window's median, the token of even ground has a direction of chance.)
Among n reference dates each is compared with the mean of the n - 1 others. The new date takes the place of every
reference date in turn and is compared with the same n - 1: where nothing has changed it is one more draw from the same
distances.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Float = NDArray[np.float32]


def leave_one_out(references: Float, after: Float) -> tuple[Float, Float]:
    """Tokens (n, D, patches) and (D, patches): distances of the references (n, patches), of the new date (patches,).

    The new date's is the mean over the n comparisons.
    """
    others = (references.sum(axis=0) - references) / np.float32(len(references) - 1)  # (n, D, patches)
    return _distance(references, others), _distance(after, others).mean(axis=0)


def _distance(one: Float, other: Float) -> Float:
    return np.asarray(np.sqrt(((one - other) ** 2).mean(axis=-2)), np.float32)

"""What is asked of the network in a window."""

import numpy as np

from sardino_core.products import reduce_heads


def test_heads():
    maps = np.arange(24, dtype=np.float32).reshape(2, 3, 2, 2)
    assert reduce_heads(maps, "all") is maps
    np.testing.assert_array_equal(reduce_heads(maps, "mean")[:, 0], maps.mean(axis=1))
    np.testing.assert_array_equal(reduce_heads(maps, "max")[:, 0], maps.max(axis=1))

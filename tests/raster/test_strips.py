"""Windows as they are read: cells and pixels."""

import numpy as np

from sardino_core.raster.strips import cells_with_data


def test_a_cell_counts_when_any_of_its_pixels_does():
    valid = np.zeros((8, 8), bool)
    valid[0, 5] = True
    assert cells_with_data(valid, 4).tolist() == [[False, True], [False, False]]

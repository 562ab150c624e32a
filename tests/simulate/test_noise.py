import numpy as np
import pytest

from sardino_core.simulate.noise import cells_at, hash_grid, noise_at, noise_grid, salt_of, unit


def test_hash_is_uniform_and_uncorrelated():
    u = unit(hash_grid(np.arange(400), np.arange(500), salt_of(1, 2))).astype(float)
    assert 0 < u.min() < u.max() < 1
    assert abs(u.mean() - 0.5) < 0.003
    assert abs(u.var() - 1 / 12) < 0.002
    d = u - 0.5
    for shifted in (d[1:] * d[:-1], d[:, 1:] * d[:, :-1], d[1:, 1:] * d[:-1, :-1]):
        assert abs(shifted.mean() * 12) < 0.01


def test_salts_differ_by_every_part():
    salts = {salt_of(seed, a, b) for seed in range(20) for a in range(10) for b in range(10)}
    assert len(salts) == 2000
    assert salt_of(1 << 40, 1) != salt_of(0, 1)


@pytest.mark.parametrize("wavelength", [3.0, 47.0, 900.0])
def test_noise_does_not_depend_on_the_window(wavelength):
    y, x = np.arange(-50, 90) * 1.0, np.arange(1000, 1200) * 1.0
    whole = noise_grid(y, x, wavelength, 5)
    assert np.array_equal(whole[33:80, 7:151], noise_grid(y[33:80], x[7:151], wavelength, 5))
    assert whole.dtype == np.float32
    assert np.abs(whole).max() <= 1


def test_noise_at_points_agrees_with_the_grid():
    y, x = np.arange(80) * 1.0, np.arange(90) * 1.0
    # The grid's lattice is shifted by a fixed part of the wavelength.
    yy, xx = np.meshgrid(y + 0.37 * 20, x + 0.71 * 20, indexing="ij")
    points = noise_at(yy.astype(np.float32), xx.astype(np.float32), 20.0, 9)
    assert np.allclose(points, noise_grid(y, x, 20.0, 9), atol=1e-4)


def test_cells_are_convex_patches_with_a_true_edge_distance():
    yy, xx = np.meshgrid(np.arange(300.0), np.arange(300.0), indexing="ij")
    cells = cells_at(yy.astype(np.float32), xx.astype(np.float32), 60.0, 3)
    assert 20 < len(np.unique(cells.identity)) < 70
    changes = cells.identity[:, 1:] != cells.identity[:, :-1]
    assert cells.edge[:, 1:][changes].max() < 2  # the border lies within the step, or hardly outside it near a corner
    assert cells.edge.min() >= 0
    part = cells_at(yy[40:90, 100:222].astype(np.float32), xx[40:90, 100:222].astype(np.float32), 60.0, 3)
    assert np.array_equal(part.identity, cells.identity[40:90, 100:222])
    assert np.array_equal(part.edge, cells.edge[40:90, 100:222])

"""Principal components of tokens."""

import numpy as np
import pytest

from sardino_core.analysis.explore.projection import Projection


def test_components_agree_with_the_singular_values():
    tokens = np.random.default_rng(0).normal(size=(500, 6)).astype(np.float32) * [5, 4, 3, 2, 1, 0.5] + 7
    projection = Projection.fit(tokens.astype(np.float32), 3)
    singular = np.linalg.svd(tokens - tokens.mean(axis=0), compute_uv=False)
    np.testing.assert_allclose(projection.explained, (singular**2 / (singular**2).sum())[:3], rtol=1e-4)
    np.testing.assert_allclose(projection.basis.T @ projection.basis, np.eye(3), atol=1e-5)
    np.testing.assert_allclose(projection.apply(tokens.astype(np.float32)).mean(axis=0), 0, atol=1e-4)


@pytest.mark.parametrize("components", [1, 3])
def test_a_constant_scene_does_not_break_the_projection(components):
    projection = Projection.fit(np.full((10, 4), 2.0, np.float32), components)
    assert np.isfinite(projection.apply(np.full((10, 4), 2.0, np.float32))).all()

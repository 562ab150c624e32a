import numpy as np
import pytest

from sardino_core.simulate.geometry import FAR_DEG, HALO_PX, NEAR_DEG, geometry_of, swath_position

COLS = np.arange(200)


def _ridge(slope, height=40):
    """A ridge running north-south in flat land, padded as `geometry_of` wants it."""
    distance = np.abs(np.arange(-HALO_PX, 200 + HALO_PX) - 100) * 10.0
    profile = np.maximum(height - slope * distance, 0).astype(np.float32)
    return np.broadcast_to(profile, (12, profile.size)).copy()


def test_flat_land_has_no_terrain_effect():
    view = geometry_of(np.zeros((12, 200 + 2 * HALO_PX), np.float32), COLS, "ascending", 0)
    assert np.allclose(view.area_gain, 1, atol=1e-5)
    assert np.allclose(view.cos_local, np.cos(np.radians(view.incidence_deg)), atol=1e-5)
    assert not view.layover.any()
    assert not view.shadow.any()


def test_the_slope_that_faces_the_sensor_is_bright():
    gain = geometry_of(_ridge(0.2), COLS, "ascending", 0).area_gain  # looks east: the west slope faces it
    assert gain[5, 90] > 1.15 > 0.95 > gain[5, 110]
    gain = geometry_of(_ridge(0.2), COLS, "descending", 0).area_gain
    assert gain[5, 90] < 0.95 < 1.15 < gain[5, 110]


def test_steep_slopes_lie_over_and_cast_shadow():
    view = geometry_of(_ridge(2.0, 200), COLS, "ascending", 0)
    assert view.layover[5, 92]
    assert not view.layover[5, 60]
    assert view.shadow[5, 108]
    assert not view.shadow[5, 92]
    gentle = geometry_of(_ridge(0.3), COLS, "ascending", 0)
    assert not gentle.layover.any()
    assert not gentle.shadow.any()


@pytest.mark.parametrize("slope", [0.2, 2.0])
def test_descending_mirrors_ascending(slope):
    height = _ridge(slope, 150)
    height += np.linspace(0, 3, height.shape[1], dtype=np.float32)
    east = geometry_of(height, COLS, "ascending", 3)
    west = geometry_of(height[:, ::-1].copy(), -COLS[::-1], "descending", 3)
    for name in ("incidence_deg", "cos_local", "area_gain", "layover", "shadow", "nesz"):
        assert np.allclose(getattr(east, name), getattr(west, name)[:, ::-1], atol=1e-5), name


def test_incidence_stays_in_the_swath_and_grows_along_the_look():
    position = swath_position(np.arange(0, 131072, 50), "ascending", 5)
    assert 0 <= position.min() <= position.max() <= 1
    view = geometry_of(np.zeros((3, 200 + 2 * HALO_PX), np.float32), COLS, "ascending", 0)
    assert NEAR_DEG <= view.incidence_deg.min() <= view.incidence_deg.max() <= FAR_DEG
    assert np.diff(view.incidence_deg[0]).min() >= 0
    noise_db = 10 * np.log10(geometry_of(np.zeros((3, 200 + 2 * HALO_PX), np.float32), COLS * 120, "ascending", 0).nesz)
    assert -26.5 < noise_db.min() < noise_db.max() < -21.5

import numpy as np
import pytest
import rasterio

from sardino_core.raster.grid import PixelWindow
from sardino_core.simulate.speckle import PAD_PX, image_intensity
from sardino_core.simulate.speckle_statistics import measure

SIZE = 384


def _even(power=1.0, size=SIZE):
    return np.full((size + 2 * PAD_PX, size + 2 * PAD_PX), power, np.float32)


@pytest.fixture(scope="module")
def speckle():
    return image_intensity(_even(), None, PixelWindow(0, 0, SIZE, SIZE), 11)


def test_the_mean_is_the_reflectivity(speckle):
    assert abs(speckle.mean() - 1) < 0.01


def test_speckle_of_even_ground_has_the_looks_and_correlation_of_grd(speckle):
    """ENL 5 to 8 and correlation 0.62-0.70, 0.13-0.29 are what real homogeneous 10 m tiles have."""
    measured = measure(speckle)
    assert 5 <= measured.enl <= 8
    assert 0.62 <= measured.lag1 <= 0.70
    assert 0.13 <= measured.lag2 <= 0.29
    assert abs(measured.autocorrelation_rows[2]) < 0.06
    assert abs(measured.autocorrelation_cols[2]) < 0.06


def test_windows_join_to_the_last_bit(speckle):
    row, col, height, width = 37, 91, 150, 203
    part = image_intensity(_even()[: height + 2 * PAD_PX, : width + 2 * PAD_PX], None,
                           PixelWindow(row, col, height, width), 11)  # fmt: skip
    assert np.array_equal(part, speckle[row : row + height, col : col + width])


def test_other_salts_are_independent(speckle):
    other = image_intensity(_even(), None, PixelWindow(0, 0, SIZE, SIZE), 12)
    assert abs(np.corrcoef(speckle.ravel(), other.ravel())[0, 1]) < 0.02


def test_intensity_is_gamma_like(speckle):
    """Skewness is 2 / sqrt(looks) for equal looks (a gamma distribution), and somewhat more for unequal ones."""
    d = speckle - speckle.mean()
    looks = speckle.mean() ** 2 / d.var()
    skewness = (d**3).mean() / d.var() ** 1.5
    assert 0.95 < skewness / (2 / np.sqrt(looks)) < 1.4


def test_a_point_target_keeps_its_energy_and_the_resolution():
    points = np.zeros((61, 61), np.float32)
    points[30, 30] = 100.0
    window = PixelWindow(0, 0, 61 - 2 * PAD_PX, 61 - 2 * PAD_PX)
    image = image_intensity(np.full((61, 61), 1e-9, np.float32), points, window, 1)
    assert abs(image.sum() - 100) < 10
    row, col = np.unravel_index(image.argmax(), image.shape)
    assert max(abs(row - 25), abs(col - 25)) <= 1
    assert 2 <= (image[:, col] > image.max() / 2).sum() <= 3  # 22 m in azimuth
    assert 2 <= (image[row] > image.max() / 2).sum() <= 4  # about 20 m in range


def test_measure_needs_enough_valid_squares():
    image = np.full((64, 64), np.nan)
    image[:16, :16] = 1.0
    with pytest.raises(ValueError, match="at least 8"):
        measure(image)


def test_measure_of_white_speckle():
    white = np.random.default_rng(1).gamma(5.0, 0.2, (320, 320))
    measured = measure(white, (0.0, 1.0))
    assert 4.7 < measured.enl < 5.4
    assert abs(measured.lag1) < 0.03


def test_real_tiles_measure_as_the_estimator_says(data_folder):
    """Homogeneous savanna in Ghana: what the simulation is held against."""
    with rasterio.open(data_folder / "sen1floods11" / "S1" / "Ghana_53713_S1Hand.tif") as source:
        power = 10 ** (source.read(1).astype(float) / 10)
    measured = measure(power)
    assert 5 <= measured.enl <= 8
    assert 0.62 <= measured.lag1 <= 0.70
    assert 0.13 <= measured.lag2 <= 0.29

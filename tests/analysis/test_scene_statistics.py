import numpy as np
import pytest

from sardino_core.analysis.scene_statistics import SceneSample, misfits
from sardino_core.contract.model_spec import BandSpec, InputSpec

INPUTS = InputSpec(bands=(BandSpec("VV", -12.0, 5.0), BandSpec("VH", -19.0, 5.0)), clip_db=(-35.0, 15.0))


def speckled(looks=5, size=128, means=(-12.0, -19.0), seed=0):
    rng = np.random.default_rng(seed)
    ground = np.where(np.arange(size) < size // 2, 3.0, -3.0)
    speckle = 10 * np.log10(rng.gamma(looks, 1 / looks, (2, size, size)))
    return (np.array(means)[:, None, None] + ground + speckle).astype(np.float32)


def summary(*windows):
    sample = SceneSample(INPUTS)
    for db, valid in windows:
        sample.add(db, valid)
    return sample.summary()


def test_windows_together_are_the_whole():
    db = speckled()
    valid = np.random.default_rng(1).random((128, 128)) < 0.8
    found = summary((db[:, :50], valid[:50]), (db[:, 50:], valid[50:]))
    assert found.valid_share == pytest.approx(valid.mean()) and found.valid_pixels == valid.sum()
    for index, band in enumerate(found.bands):
        assert band.mean_db == pytest.approx(db[index][valid].mean(), abs=1e-4)
        assert band.std_db == pytest.approx(db[index][valid].std(), abs=1e-4)


@pytest.mark.parametrize("looks", [1, 5, 50])
def test_the_looks_are_found_in_spite_of_edges(looks):
    windows = [(speckled(looks, seed=seed), np.ones((128, 128), bool)) for seed in range(6)]
    assert summary(*windows).looks == pytest.approx(looks, rel=0.25)  # taking the best fifth errs upwards


def test_too_little_ground_tells_no_looks():
    assert summary((speckled(size=40), np.ones((40, 40), bool))).looks is None
    assert summary((speckled(), np.zeros((128, 128), bool))).looks is None


def test_a_scene_like_the_training_data_fits():
    assert misfits(summary((speckled(), np.ones((128, 128), bool))), INPUTS) == []


@pytest.mark.parametrize(
    ("db", "told"),
    [
        (speckled(means=(0.0, -7.0)), "standard deviations above"),
        (speckled(means=(-24.0, -31.0)), "standard deviations below"),
        (np.stack([np.full((128, 128), -12.0), np.full((128, 128), -19.0)]).astype(np.float32), "varies by 0.00 dB"),
        (np.where(np.arange(128) < 16, -60.0, speckled()).astype(np.float32), "outside the model's -35 to 15 dB"),
    ],
)
def test_what_does_not_fit_is_told(db, told):
    found = misfits(summary((db, np.ones((128, 128), bool))), INPUTS)
    assert any(told in text for text in found)

from __future__ import annotations

import numpy as np
import pytest
import torch

from sardino_core.contract.model_spec import BandSpec
from sardino_core.raster.scaling import standardise
from sardino_core.training.augment import (
    Batch,
    augment,
    flip,
    lose_data,
    multilook,
    offset_gain,
    smooth,
    standardise_batch,
)
from sardino_core.training.settings.finetune_config import AugmentConfig
from tests.training.rasters import INPUTS


def batch(count: int = 6, side: int = 16) -> Batch:
    """Every pixel's dB tells its label, so that misalignment shows."""
    generator = torch.Generator().manual_seed(0)
    target = torch.randint(1, 5, (count, side, side), generator=generator)
    return Batch(
        torch.stack([-target.float(), -10 - target.float()], dim=1), torch.ones(count, side, side).bool(), target
    )


@pytest.mark.parametrize("seed", range(5))
def test_labels_stay_on_their_pixels_and_gaps_lose_theirs(seed):
    config = AugmentConfig(gain_db=0.0, band_gain_db=0.0, multilook=0.0, invalid=1.0)
    found = augment(batch(), config, torch.Generator().manual_seed(seed))
    assert torch.equal(-found.backscatter_db[:, 0][found.valid], found.target[found.valid].float())
    assert not found.target[~found.valid].any()


@pytest.mark.parametrize("dim", [-1, -2])
def test_flips_mirror_the_chosen_windows_and_undo_themselves(dim):
    before = batch()
    chosen = torch.tensor([True, False] * 3)
    once = flip(before, dim, chosen)
    assert torch.equal(once.target[0], before.target[0].flip(dim))
    assert torch.equal(once.target[1], before.target[1])
    twice = flip(once, dim, chosen)
    assert torch.equal(twice.backscatter_db, before.backscatter_db)


def test_gain_adds_one_number_in_db_per_window_and_band():
    before = batch(count=400)
    after = offset_gain(before, 1.0, 0.5, torch.Generator().manual_seed(0))
    offsets = after.backscatter_db - before.backscatter_db
    assert offsets.flatten(2).std(dim=-1).max() < 1e-5
    offsets = offsets[:, :, 0, 0]
    assert offsets.std().item() == pytest.approx(1.25**0.5, rel=0.15)
    assert (offsets[:, 0] - offsets[:, 1]).std().item() == pytest.approx(0.5**0.5, rel=0.15)
    assert torch.equal(after.target, before.target)


def test_gaps_stay_within_their_share_and_probability():
    before = batch(count=300, side=40)
    after = lose_data(before, 0.5, 0.25, torch.Generator().manual_seed(0))
    lost = (~after.valid).flatten(1).float().mean(dim=1)
    assert 0.3 < (lost > 0).float().mean() < 0.55
    assert lost.max() <= 0.25 + 0.25 + 1e-6
    assert torch.equal(lose_data(before, 0.0, 0.25, torch.Generator()).valid, before.valid)


def test_the_batched_standardisation_equals_the_one_of_inference():
    rng = np.random.default_rng(0)
    db, valid = rng.normal(-15, 12, (3, 2, 8, 8)).astype(np.float32), rng.random((3, 8, 8)) > 0.2
    expected = [standardise(db[i], valid[i], INPUTS.bands, (-30.0, 5.0)) for i in range(3)]
    found = standardise_batch(
        Batch(torch.from_numpy(db), torch.from_numpy(valid), torch.zeros(3, 8, 8)), INPUTS.bands, (-30.0, 5.0)
    )
    assert np.allclose(found.numpy(), np.stack(expected), atol=1e-5)


def test_gain_that_is_common_to_two_bands_leaves_their_difference_alone():
    bands = (*INPUTS.bands, BandSpec("VV-VH", 7.0, 3.5))
    two = batch()
    both = torch.cat([two.backscatter_db, two.backscatter_db[:, :1] - two.backscatter_db[:, 1:]], dim=1)
    before = Batch(both, two.valid, two.target)
    config = AugmentConfig(
        flip_east_west=0, flip_north_south=0, gain_db=3.0, band_gain_db=0.0, multilook=0.0, invalid=0.0
    )
    after = augment(before, config, torch.Generator().manual_seed(0), bands)
    assert (after.backscatter_db[:, 0] - both[:, 0]).abs().max() > 1
    assert torch.allclose(after.backscatter_db[:, 2], both[:, 2], atol=1e-5)
    alone = augment(Batch(both[:, 2:], two.valid, two.target), config, torch.Generator().manual_seed(0), bands[2:])
    assert torch.equal(alone.backscatter_db, both[:, 2:])


def test_multilook_averages_power_over_valid_pixels_alone():
    power, valid = torch.ones(2, 1, 9, 9), torch.ones(2, 9, 9).bool()
    power[0, 0, 4, 4] = 10.0
    power[1, 0, 4, 4] = 1e6
    valid[1, 4, 4] = False
    after = multilook(power, valid, 1.0, torch.Generator().manual_seed(0))
    assert after[0, 0].max().item() in (pytest.approx(2.0), pytest.approx(1 + 9 / 25))
    assert torch.allclose(after[1], torch.ones(1, 9, 9))
    assert torch.equal(multilook(power, valid, 0.0, torch.Generator()), power)


def test_a_smoother_product_has_more_looks_the_same_mean_and_its_labels():
    speckled = -10 + 3 * torch.randn(1, 2, 64, 64, generator=torch.Generator().manual_seed(0))
    before = Batch(speckled, torch.ones(1, 64, 64).bool(), torch.ones(1, 64, 64, dtype=torch.int64))
    after = smooth(before, 1.0, torch.Generator().manual_seed(1))
    powers = [10 ** (item.backscatter_db / 10) for item in (before, after)]
    assert powers[1].mean().item() == pytest.approx(powers[0].mean().item(), rel=0.02)
    assert powers[1].var() < powers[0].var() / 5
    assert torch.equal(after.target, before.target)
    assert smooth(before, 0.0, torch.Generator()) is before

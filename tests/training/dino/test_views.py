from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from sardino_core.contract.model_spec import BandSpec
from sardino_core.raster.resampling import resample_backscatter, resampling_matrix
from sardino_core.training.dino.views import (
    Image,
    Windows,
    crop,
    draw_boxes,
    drop_band,
    gamma_field,
    make_views,
    speckle,
)
from sardino_core.training.settings.pretrain_config import ViewConfig
from tests.training.rasters import INPUTS

STILL = ViewConfig(
    flip_east_west=0, flip_north_south=0, speckle=0, multilook=0, gain_db=0, band_gain_db=0, drop_band=0, invalid=0
)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def image(count: int = 4, side: int = 24) -> Image:
    return Image(torch.rand(count, 2, side, side, generator=generator()) + 0.1, torch.ones(count, side, side).bool())


def windows(count: int = 3, dates: int = 1, side: int = 48) -> Windows:
    db = -12 + torch.randn(count, dates, 2, side, side, generator=generator())
    return Windows(db, torch.ones(count, dates, side, side).bool())


def test_the_whole_image_at_its_own_size_is_itself():
    before = image()
    after = crop(before, torch.tensor([[0.0, 0.0, 24.0, 24.0]]).repeat(4, 1), 24)
    assert torch.allclose(after.power, before.power, atol=1e-6)


@pytest.mark.parametrize("size", [8, 10, 24, 40])
def test_a_crop_averages_power_as_inference_does(size):
    before = image(1)
    before.valid[0, :9, :5] = False
    after = crop(before, torch.tensor([[0.0, 0.0, 24.0, 24.0]]), size)
    db = 10 * np.log10(before.power[0].numpy())
    expected, _ = resample_backscatter(db, before.valid[0].numpy(), resampling_matrix(24, size))
    known = after.valid[0].numpy()
    assert np.allclose(10 * np.log10(after.power[0].numpy()[:, known]), expected[:, known], atol=1e-3)


def test_boxes_lie_inside_and_cover_the_areas_asked_for():
    boxes = draw_boxes(2000, 96, (0.2, 0.6), 1.1, generator())
    top, left, height, width = boxes.T
    assert top.min() >= 0
    assert (top + height).max() <= 96 + 1e-4
    assert (left + width).max() <= 96 + 1e-4
    area = height * width / 96**2
    assert area.min() == pytest.approx(0.2, abs=0.01)
    assert area.max() == pytest.approx(0.6, abs=0.01)
    assert (height / width).max() <= 1.1 + 1e-4


@pytest.mark.parametrize("looks", [4.0, 20.0])
def test_speckle_has_mean_one_its_looks_and_the_correlation_of_real_tiles(looks):
    found = gamma_field((4, 2, 200, 200), torch.full((4,), looks), torch.full((4,), 0.66), generator())
    fading = found - 1
    assert found.mean().item() == pytest.approx(1, abs=0.01)
    assert found.var().item() == pytest.approx(1 / looks, rel=0.08)
    for rows, cols in (((slice(1, None), slice(None)), (slice(None, -1), slice(None))),
                       ((slice(None), slice(1, None)), (slice(None), slice(None, -1)))):  # fmt: skip
        lag1 = (fading[(..., *rows)] * fading[(..., *cols)]).mean() / fading.var()
        assert 0.62 < lag1 < 0.70
    between = torch.corrcoef(fading.transpose(0, 1).flatten(1))[0, 1]
    assert abs(between) < 0.05


def test_speckle_multiplies_power_and_spares_the_others():
    before = Image(torch.full((200, 2, 8, 8), 0.05), torch.ones(200, 8, 8).bool())
    after = speckle(before, 0.5, (4.0, 4.0), generator(), generator(1))
    touched = (after.power != before.power).flatten(1).any(dim=1)
    assert 0.4 < touched.float().mean() < 0.6
    assert after.power[touched].mean().item() == pytest.approx(0.05, rel=0.03)


def test_one_band_at_most_is_dropped():
    windows = torch.ones(1000, 2, 2, 2)
    gone = drop_band(windows, 0.3, generator())[:, :, 0, 0] == 0
    assert 0.25 < gone.any(dim=1).float().mean() < 0.35
    assert gone.sum(dim=1).max() == 1
    assert torch.equal(drop_band(windows[:, :1], 1.0, generator()), windows[:, :1])


def test_views_depend_on_their_generators_alone_and_are_standardised():
    config = ViewConfig(local_crops=3, local_size=16)
    first = make_views(windows(), 32, config, INPUTS, generator(1), generator(2))
    again = make_views(windows(), 32, config, INPUTS, generator(1), generator(2))
    other = make_views(windows(), 32, config, INPUTS, generator(3), generator(2))
    assert first.large.shape == (6, 2, 32, 32)
    assert first.small.shape == (9, 2, 16, 16)
    assert torch.equal(first.large, again.large)
    assert torch.equal(first.small, again.small)
    assert not torch.equal(first.large, other.large)
    assert torch.isfinite(first.large).all()


def test_without_any_change_a_constant_stays_what_it_is():
    flat = Windows(torch.full((2, 1, 2, 48, 48), -12.59), torch.ones(2, 1, 48, 48).bool())
    views = make_views(flat, 32, STILL, INPUTS, generator(), generator())
    assert views.large[:, 0].abs().max() < 1e-4
    assert torch.allclose(views.large[:, 1], torch.tensor((-12.59 + 20.26) / 5.91), atol=1e-4)


def test_the_global_views_show_two_dates_where_there_are_two():
    two = windows(8, dates=2)
    two.backscatter_db[:, 1] -= 10
    views = make_views(two, 32, STILL, INPUTS, generator(), generator())
    level = views.large[:, 0].mean(dim=(1, 2)) * 5.26 - 12.59
    assert ((level[:8] - level[8:]).abs() > 5).all()


def test_what_is_not_valid_is_zero():
    half = windows(2)
    half.valid[:, :, :, :24] = False
    half.backscatter_db[:, :, :, :, :24] = 0.0  # as the reader leaves it: 0 dB, far brighter than the rest
    config = ViewConfig(**{**STILL.__dict__, "global_area": (1.0, 1.0), "aspect": 1.0})
    views = make_views(half, 48, config, INPUTS, generator(), generator())
    assert not views.large[..., :23].any()
    assert views.large[:, 0].max() < 2


def test_a_difference_of_two_bands_stays_their_difference_whatever_changes_them():
    """Common gain cancels in it, speckle and multi-looking are those of its parts, a missing band takes it along."""
    bands = (*INPUTS.bands, BandSpec("VV-VH", 7.0, 3.5))
    inputs = replace(INPUTS, bands=bands)
    db = windows(8).backscatter_db
    three = torch.cat([db, db[:, :, :1] - db[:, :, 1:]], dim=2)
    config = ViewConfig(speckle=1.0, multilook=0.5, gain_db=3.0, drop_band=0.0, invalid=0.0, local_size=16)
    found = make_views(Windows(three, torch.ones(8, 1, 48, 48).bool()), 32, config, inputs, generator(), generator())
    vv, vh, difference = (found.large[:, index] * band.std_db + band.mean_db for index, band in enumerate(bands))
    assert torch.allclose(vv - vh, difference, atol=1e-4)
    lost = drop_band(torch.ones(400, 3, 2, 2), 0.5, generator(), bands)[:, :, 0, 0] == 0
    assert lost[:, :2].any(dim=0).all()
    assert torch.equal(lost[:, :2].any(dim=1) & ~lost[:, 2], torch.zeros(400).bool())

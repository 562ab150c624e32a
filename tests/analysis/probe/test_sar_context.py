from __future__ import annotations

import numpy as np
import pytest

from sardino_core.analysis.probe.sar_context import QUANTILES, brightness, names, sar_context

CLIP = (-35.0, 15.0)
SIDE, PATCH = 6, 4
ALL = np.arange(SIDE * SIDE)
NAMES = names(["VV", "VH"])


def window(seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    db = rng.normal(-12, 6, (2, SIDE * PATCH, SIDE * PATCH)).astype(np.float32)
    valid = rng.random(db.shape[1:]) < 0.8
    return np.where(valid, db, 0).astype(np.float32), valid


def test_every_column_has_a_name():
    db, valid = window()
    found = sar_context(db, valid, ALL, PATCH, CLIP)
    assert found.shape == (SIDE * SIDE, len(NAMES)) == (36, 36)
    assert len(set(NAMES)) == 36


@pytest.mark.parametrize("reach", [0, 1, 2])
@pytest.mark.parametrize("band", [0, 1])
def test_statistics_are_those_of_the_valid_pixels_around(reach, band):
    db, valid = window()
    found = dict(zip(NAMES, sar_context(db, valid, ALL, PATCH, CLIP).T, strict=True))
    area = "patch" if reach == 0 else f"{2 * reach + 1}x{2 * reach + 1} patches"
    for patch in (0, 7, 14, 35):
        row, col = divmod(patch, SIDE)
        rows = slice(max(0, row - reach) * PATCH, (row + reach + 1) * PATCH)
        cols = slice(max(0, col - reach) * PATCH, (col + reach + 1) * PATCH)
        pixels = np.clip(db[band, rows, cols][valid[rows, cols]], *CLIP).astype(np.float64)
        name = ("VV", "VH")[band]
        assert found[f"{name} mean, {area}"][patch] == pytest.approx(pixels.mean(), abs=1e-4)
        assert found[f"{name} deviation, {area}"][patch] == pytest.approx(pixels.std(), abs=1e-4)
        for level in QUANTILES:
            expected = np.quantile(pixels, level)
            assert found[f"{name} {level:.0%} quantile, {area}"][patch] == pytest.approx(expected, abs=1e-4)
        everywhere = np.clip(db[band][valid], *CLIP).mean(dtype=np.float64)
        assert found[f"{name} mean, patch less window"][patch] == pytest.approx(
            found[f"{name} mean, patch"][patch] - everywhere, abs=1e-4
        )


def test_what_is_farther_than_two_patches_shows_in_the_window_alone():
    db, valid = window()
    before = sar_context(db, valid, np.array([0]), PATCH, CLIP)[0]
    db[:, 3 * PATCH :, 3 * PATCH :] -= 3
    after = sar_context(db, valid, np.array([0]), PATCH, CLIP)[0]
    changed = {name for name, a, b in zip(NAMES, before, after, strict=True) if a != b}
    assert changed == {name for name in NAMES if "window" in name}


def test_the_arrangement_of_pixels_within_a_patch_does_not_show():
    db, valid = window()
    turned, mask = db.copy(), valid.copy()
    area = slice(PATCH, 2 * PATCH)
    turned[:, area, area], mask[area, area] = db[:, area, area].swapaxes(1, 2), valid[area, area].T
    np.testing.assert_allclose(
        sar_context(db, valid, ALL, PATCH, CLIP), sar_context(turned, mask, ALL, PATCH, CLIP), atol=1e-4
    )


def test_brightness_is_the_mean_of_both_bands():
    db, valid = window()
    table = sar_context(db, valid, ALL, PATCH, CLIP)
    found = dict(zip(NAMES, table.T, strict=True))
    expected = (found["VV mean, patch"] + found["VH mean, patch"]) / 2
    np.testing.assert_allclose(brightness(table, 2)[:, 0], expected, rtol=1e-6)

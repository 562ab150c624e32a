import numpy as np
import pytest
import rasterio

from sardino_core.contract.model_spec import SEASONS
from sardino_core.raster.grid import PixelWindow
from sardino_core.simulate import WORLDCOVER, measure, simulate_arrays
from sardino_core.simulate.covers import SIGNATURES, mean_table
from sardino_core.simulate.place import place_of
from sardino_core.simulate.render import World, render


@pytest.fixture(scope="module")
def blocks():
    """One block of each of the nine kinds of place."""
    return [render(PixelWindow(700, 300, 320, 320), World(seed)) for seed in range(9)]


def _class_median(blocks, value, band):
    return np.median(np.concatenate([block.sigma0_db[band][block.labels == value] for block in blocks]))


def test_arrays_are_deterministic_and_float32():
    first, labels = simulate_arrays(130, seed=4)
    again, same = simulate_arrays(130, seed=4)
    assert first.dtype == np.float32
    assert first.shape == (2, 130, 130)
    assert labels.dtype == np.uint8
    assert np.array_equal(first, again)
    assert np.array_equal(labels, same)
    assert np.isfinite(first).all()
    other, _ = simulate_arrays(130, seed=13)
    assert not np.array_equal(first, other)


@pytest.mark.parametrize(("seed", "orbit"), [(0, "descending"), (4, "ascending"), (7, "descending")])
def test_any_window_is_a_cut_of_any_larger_one(seed, orbit):
    """To the last bit, whatever the block: windows that share no edge with a power of two."""
    world = World(seed, orbit)
    whole = render(PixelWindow(900, 1500, 213, 187), world)
    for row, col, height, width in ((0, 0, 50, 187), (50, 33, 101, 97), (151, 130, 62, 57), (100, 100, 1, 1)):
        part = render(PixelWindow(900 + row, 1500 + col, height, width), world)
        inside = (slice(row, row + height), slice(col, col + width))
        assert np.array_equal(part.sigma0_db, whole.sigma0_db[:, *inside])
        assert np.array_equal(part.labels, whole.labels[inside])
        assert np.array_equal(part.layover_shadow, whole.layover_shadow[inside])


def test_labels_are_worldcover_and_places_differ(blocks):
    shares = []
    for block in blocks:
        assert set(np.unique(block.labels)) <= set(WORLDCOVER)
        shares.append([np.mean(block.labels == value) for value in WORLDCOVER])
    assert set(np.concatenate([np.unique(block.labels) for block in blocks])) == set(WORLDCOVER)
    for i, first in enumerate(shares):
        for second in shares[:i]:
            assert np.abs(np.subtract(first, second)).sum() > 0.1
    assert len({place_of(seed).kind for seed in range(9)}) == 9


def test_classes_are_ordered_as_in_the_world(blocks):
    vv = {value: _class_median(blocks, value, 0) for value in WORLDCOVER}
    vh = {value: _class_median(blocks, value, 1) for value in WORLDCOVER}
    assert vv[80] == min(vv.values())
    assert vh[80] == min(vh.values())
    assert vv[50] == max(vv.values())
    assert vv[10] > vv[30]
    assert vh[10] > vh[20] > vh[30] > vh[60] > vh[80]
    assert all(3 < vv[value] - vh[value] < 12 for value in WORLDCOVER)
    assert -24 < vv[80] < -14
    assert -30 < vh[80] < -24  # the noise floor, mostly


def test_class_medians_are_within_the_spread_of_real_tiles(blocks, data_folder):
    """Spain and India, water by hand: the simulated water lies within 3 dB of theirs in both polarisations."""
    for name in ("Spain_7370579", "India_900498"):
        with rasterio.open(data_folder / "sen1floods11" / "S1" / f"{name}_S1Hand.tif") as source:
            sigma0_db = source.read()
        with rasterio.open(data_folder / "sen1floods11" / "Labels" / f"{name}_LabelHand.tif") as source:
            water = source.read(1) == 1
        for band in (0, 1):
            real = np.nanmedian(sigma0_db[band][water])
            assert abs(real - _class_median(blocks, 80, band)) < 3


def test_trees_lie_within_the_spread_of_real_tiles(blocks, data_folder):
    """Chile and Denmark: gamma0, so 1 dB above sigma0 at 38 degrees."""
    for name in ("433D_629L_3_1", "637U_59R_1_3"):
        with rasterio.open(data_folder / "terramind" / "S1RTC" / f"{name}.tif") as source:
            gamma0_db = source.read()
        with rasterio.open(data_folder / "terramind" / "LULC" / f"{name}.tif") as source:
            trees = source.read(1) == 2
        for band in (0, 1):
            real = np.median(gamma0_db[band][trees]) - 1.0
            assert abs(real - _class_median(blocks, 10, band)) < 3


def test_whole_scenes_have_the_speckle_of_real_tiles(blocks):
    """ENL 5 to 8 and correlation 0.62-0.70, 0.13-0.29, texture included; towns are left out (seed 7)."""
    for seed, block in enumerate(blocks):
        if seed == 7:
            continue
        measured = measure(10 ** (block.sigma0_db[0].astype(float) / 10))
        assert 5 <= measured.enl <= 8, seed
        assert 0.62 <= measured.lag1 <= 0.70, seed
        assert 0.13 <= measured.lag2 <= 0.29, seed


def test_seasons_share_the_place_but_not_the_speckle():
    block = render(PixelWindow(0, 0, 160, 160), World(1, seasons=SEASONS))
    assert block.sigma0_db.shape == (8, 160, 160)
    alone = render(PixelWindow(0, 0, 160, 160), World(1, seasons=("fall",)))
    assert np.array_equal(alone.sigma0_db, block.sigma0_db[6:])
    assert np.array_equal(alone.labels, block.labels)
    winter, summer = 10 ** (block.sigma0_db[0] / 10), 10 ** (block.sigma0_db[4] / 10)
    assert abs(np.corrcoef(winter.ravel(), summer.ravel())[0, 1]) < 0.7


def test_takes_share_the_ground_and_nothing_of_the_speckle():
    window = PixelWindow(700, 300, 256, 256)
    first, second, again = (render(window, World(8, take=take)) for take in (0, 1, 1))
    assert np.array_equal(second.sigma0_db, again.sigma0_db)
    assert np.array_equal(first.labels, second.labels)
    difference = first.sigma0_db - second.sigma0_db
    assert np.abs(np.median(difference, axis=(1, 2))).max() < 0.2
    # Two independent Gamma variables of 5 to 7 looks differ by 2.4 to 2.9 dB in standard deviation; noise adds to it.
    assert np.all((difference.std(axis=(1, 2)) > 2.3) & (difference.std(axis=(1, 2)) < 3.2))


def test_polarisations_have_independent_speckle(blocks):
    power = 10 ** (blocks[8].sigma0_db.astype(float) / 10)
    wooded = blocks[8].labels == 10
    # High-pass, so that what both see of the ground drops out.
    fine = power[:, 1:-1] - (power[:, :-2] + power[:, 2:]) / 2
    inside = wooded[1:-1] & wooded[:-2] & wooded[2:]
    assert abs(np.corrcoef(fine[0][inside], fine[1][inside])[0, 1]) < 0.15


def test_orbits_see_the_same_ground_from_the_other_side():
    window = PixelWindow(0, 0, 200, 200)
    east, west = render(window, World(4, "ascending")), render(window, World(4, "descending"))
    assert np.array_equal(east.labels, west.labels)
    assert not np.array_equal(east.sigma0_db, west.sigma0_db)


def test_swath_edge_is_oblique_nan_with_nodata_labels():
    block = render(PixelWindow(0, 0, 300, 300), World(0, "ascending", swath_edge=True, size=300))
    empty = np.isnan(block.sigma0_db[0])
    assert np.array_equal(empty, np.isnan(block.sigma0_db[1]))
    assert np.array_equal(empty, block.labels == 0)
    assert empty[-1].sum() > empty[0].sum() > 0


def test_every_cover_has_plausible_means():
    for season in SEASONS:
        vv, vh = mean_table(season)
        assert ((vv - vh > 4) & (vv - vh < 13)).all()
    assert {signature.label for signature in SIGNATURES.values()} == set(WORLDCOVER)
    with pytest.raises(ValueError, match="winter, spring, summer, fall"):
        mean_table("autumn")

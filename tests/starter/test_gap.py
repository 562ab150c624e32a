from __future__ import annotations

import runpy
import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from sardino_core.contract.errors import InputMissing
from sardino_core.contract.jobs import SimulateJob
from sardino_core.models.model_file import save_model
from sardino_core.models.network import random_network
from sardino_core.simulate import simulate_scene
from tests.training.rasters import pretrain_config

gap = SimpleNamespace(**runpy.run_path(str(Path(__file__).resolve().parents[2] / "scripts" / "starter" / "gap.py")))


def sample(seed, mean=0.0, count=200, width=5):
    random = np.random.default_rng(seed)
    return mean + random.normal(size=(count, width)) @ random.normal(size=(width, width))


def test_the_distance_of_a_set_to_itself_is_0_and_both_ways_are_as_long():
    one, other = sample(1), sample(2, mean=3.0)
    assert gap.frechet(one, one) == pytest.approx(0, abs=1e-5)
    assert gap.frechet(one, other) == pytest.approx(gap.frechet(other, one), rel=1e-9)
    assert gap.frechet(one, other) > 1


def test_the_distance_of_a_shift_is_its_length_and_that_of_a_stretch_the_difference_of_deviations():
    one = sample(3)
    assert gap.frechet(one, one + np.array([3.0, 4.0, 0, 0, 0])) == pytest.approx(5)
    line = sample(4, width=1)
    line -= line.mean()
    assert gap.frechet(line, 3 * line) == pytest.approx(2 * line.std())


def test_few_samples_leave_a_covariance_that_has_no_inverse_and_still_a_distance():
    one = sample(5, count=3, width=16)
    assert gap.frechet(one, one) == pytest.approx(0, abs=1e-5)
    assert np.isfinite(gap.frechet(one, sample(6, count=2, width=16)))


def test_principal_components_keep_the_distance_of_what_lies_in_them():
    one, other = sample(7, width=4), sample(8, mean=1.0, width=4)
    padded, turn = (np.pad(part, ((0, 0), (0, 28))) for part in (one, other)), np.linalg.qr(sample(9, 1, 32, 32))[0]
    near, far = (part @ turn for part in padded)
    axes, kept = gap.principal_axes(near, far)
    assert axes.shape == (32, gap.DIMENSIONS)
    assert kept == pytest.approx(1)
    assert gap.frechet(near @ axes, far @ axes) == pytest.approx(gap.frechet(one, other), rel=1e-6)


def test_places_are_drawn_against_as_many_and_swapping_the_sets_swaps_their_rows():
    made = {str(seed): sample(seed, count=8) for seed in range(6)}
    observed = {str(seed): sample(seed, mean=40.0, count=8) for seed in range(10, 14)}
    found, turned = gap.distances(made, observed), gap.distances(observed, made)
    assert found.places == turned.places == 2
    assert found.whole == pytest.approx(turned.whole)
    assert found.across.min() > max(found.real.max(), found.simulated.max())
    assert len(found.across) == gap.DRAWS
    alone = gap.distances({"a": sample(1)}, observed)
    assert (alone.places, len(alone.real)) == (0, 0)


def test_the_shift_is_that_of_the_places_medians_and_is_judged_by_drawing_places():
    random = np.random.default_rng(0)

    def side(level, places, spread):
        return gap.Look(
            {str(n): random.normal(level + spread * (-1) ** n, 1, (2, 4000)) for n in range(places)}, [], {}, 0
        )

    far, near = gap.shift(side(-14, 12, 0.1), side(-12, 8, 0.1)), gap.shift(side(-14, 12, 3), side(-13.5, 8, 3))
    vv, vh, ratio = far
    assert vv.value == pytest.approx(-2, abs=0.1) and vh.value == pytest.approx(-2, abs=0.1)
    assert -2.3 < vv.low < vv.value < vv.high < -1.7
    assert ratio.value == pytest.approx(0, abs=0.1)
    assert near[0].low < 0 < near[0].high
    assert "leaves out 0 in VV (darker in simulation) and in VH" in gap._shift_line(far)[0]
    assert "hold 0 in VV and in VH" in gap._shift_line(near)[0]


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    spec, path = pretrain_config("x").spec(), tmp_path_factory.mktemp("model") / "model.safetensors"
    return str(save_model(path, spec, random_network(spec, 0).state_dict(), "float32"))


def test_real_tiles_that_are_the_simulated_ones_show_no_gap(tmp_path, model):
    places = [tmp_path / f"place_{seed}" for seed in range(4)]
    target = tmp_path / "real" / "sen1floods11" / "S1"
    target.mkdir(parents=True)
    for place, name in zip(places, ("Spain_1", "India_1", "Ghana_1", "Paraguay_1"), strict=True):
        simulate_scene(SimulateJob(str(place), size=128, seed=int(place.name[-1])))
        shutil.copyfile(place / "scene.tif", target / f"{name}_S1Hand.tif")
    lines, png = gap.gap(model, places[:3], tmp_path / "real")
    cells = [line.split(" | ") for line in lines]
    rows = {(row[0].strip("| "), row[1]): row[2].rstrip(" |") for row in cells if len(row) == 3}
    assert float(rows["simulated against real", "all"]) == pytest.approx(0, abs=0.005)
    simulated, real = ([line for line in lines if line.startswith(f"| {name} |")] for name in ("simulated", "real"))
    assert [line.split("|")[2:] for line in simulated] == [line.split("|")[2:] for line in real]
    assert png.startswith(b"\x89PNG")
    assert (lines, png) == gap.gap(model, places[:3], tmp_path / "real")


def test_the_frozen_tile_the_empty_one_and_all_dates_but_one_are_left_out(tmp_path):
    files = (
        "terramind/S1RTC/433D_1.tif", "terramind/S1RTC/609U_1.tif", "sen1floods11/S1/Spain_1.tif",
        "sen1floods11/S1/Spain_2.tif", "sen1floods11/S1/Paraguay_1.tif", "kenya_wlt/sentinel1_vv.tif",
        "kenya_wlt/sentinel1_vh.tif", "ssl4eo_s12/s1/1/a/VV.tif", "ssl4eo_s12/s1/1/a/VH.tif",
        "ssl4eo_s12/s1/1/b/VV.tif", "ssl4eo_s12/s1/1/b/VH.tif",
    )  # fmt: skip
    for name in files:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    tiles = gap.real_tiles(tmp_path)
    assert [tile.place for tile in tiles] == ["TerraMesh 433D", "Spain", "Spain", "Kenya", "SSL4EO-S12"]
    assert [Path(name).parent.name for name in tiles[-1].inputs] == ["a", "a"]


def test_a_folder_without_tiles_and_a_place_without_a_scene_are_named(tmp_path):
    with pytest.raises(InputMissing, match="holds no real tile"):
        gap.real_tiles(tmp_path)
    with pytest.raises(InputMissing, match=r"scene\.tif"):
        gap.simulated_tiles([tmp_path])

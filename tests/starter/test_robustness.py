from __future__ import annotations

import runpy
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import rasterio

from sardino_core.contract.errors import InputMissing
from sardino_core.contract.jobs import SimulateJob
from sardino_core.contract.listener import Listener
from sardino_core.contract.model_spec import CalibrationSpec
from sardino_core.models.model_file import save_model
from sardino_core.models.network import random_network
from sardino_core.simulate import simulate_scene
from sardino_core.training.evaluate import evaluate
from sardino_core.training.settings.finetune_config import load_config
from tests.training.rasters import BACKBONE, UTM, write

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "starter" / "robustness.py"
robust = SimpleNamespace(**runpy.run_path(str(SCRIPT)))
BY_FOLDER = {change.folder: change for change in robust.CHANGES}
SIDE = 96


@pytest.fixture(scope="module")
def places(tmp_path_factory):
    folder = tmp_path_factory.mktemp("places")
    for seed in (901, 902):
        simulate_scene(SimulateJob(str(folder / f"val_{seed}"), size=SIDE, seed=seed, orbit="ascending", season="fall"))
    return sorted(folder.iterdir())


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    config = load_config("finetune-starter", ["model.window=32"])
    spec = robust.replace(config.spec(), backbone=BACKBONE, calibration=CalibrationSpec(1.0, 0.21))
    path = tmp_path_factory.mktemp("model") / "model.safetensors"
    return str(save_model(path, spec, random_network(spec, 0).state_dict(), "float32"))


def pixels(path):
    with rasterio.open(path) as dataset:
        return dataset.read()


def with_gap(folder):
    """A scene whose corner has no data."""
    db = np.random.default_rng(0).normal(-12, 2, (2, 20, 20)).astype(np.float32)
    db[:, :5, :4] = np.nan
    return write(folder / "scene.tif", db, nodata=float("nan"), names=("VV", "VH")), db


@pytest.mark.parametrize(("folder", "shift"), [("gain_up", (1, 1)), ("gain_down", (-1, -1)), ("gain_vv", (1, 0))])
def test_a_gain_shifts_every_pixel_as_much_and_leaves_nodata_alone(tmp_path, folder, shift):
    scene, db = with_gap(tmp_path)
    found = pixels(robust.changed(scene, tmp_path / "changed", BY_FOLDER[folder]))
    assert np.array_equal(found, db + np.float32(shift)[:, None, None], equal_nan=True)
    assert np.isnan(found[:, :5, :4]).all()


def test_the_coarse_raster_covers_the_same_ground_and_keeps_its_mean_power(places, tmp_path):
    coarse = robust.changed(places[0] / "scene.tif", tmp_path, BY_FOLDER["coarse"])
    with rasterio.open(places[0] / "scene.tif") as fine, rasterio.open(coarse) as found:
        assert found.bounds == fine.bounds
        assert found.res == (30, 30)
        assert found.descriptions == ("VV", "VH")
        before, after = (np.power(10, part.read().astype(float) / 10).mean(axis=(1, 2)) for part in (fine, found))
    assert after == pytest.approx(before, rel=1e-5)


def test_blocks_at_the_edge_and_beside_gaps_are_means_of_what_is_there():
    db, valid = np.full((2, 7, 8), -10, np.float32), np.ones((7, 8), bool)
    valid[:3, :3] = False
    valid[3, 3] = False
    db[:, ~valid] = 0
    found, known = robust.coarsen(db, valid)
    assert found.shape == (2, 3, 3)
    assert known.sum() == 8
    assert not known[0, 0]
    assert found[:, known] == pytest.approx(-10, abs=1e-5)


@pytest.mark.parametrize("folder", ["mean", "lee"])
def test_filters_keep_a_constant_and_calm_speckle(folder):
    valid = np.ones((60, 60), bool)
    constant = np.full((2, 60, 60), -13, np.float32)
    assert BY_FOLDER[folder].apply(constant, valid)[0] == pytest.approx(constant, abs=1e-4)
    speckle = 10 * np.log10(np.random.default_rng(0).gamma(robust.LOOKS, 1 / robust.LOOKS, (2, 60, 60)))
    power = 10 ** (BY_FOLDER[folder].apply(speckle.astype(np.float32), valid)[0].astype(float) / 10)
    assert power.mean() == pytest.approx(1, abs=0.05)
    assert power.var() < 0.35 / robust.LOOKS


def test_the_lee_filter_leaves_a_corner_reflector_where_the_mean_smears_it():
    db, valid = np.full((2, 21, 21), -12, np.float32), np.ones((21, 21), bool)
    db[:, 10, 10] = 15
    kept, smeared = (BY_FOLDER[folder].apply(db, valid)[0][0, 10, 10] for folder in ("lee", "mean"))
    assert kept > 12
    assert smeared < 3


def test_what_is_there_is_used_again_unless_the_place_was_made_anew(places, tmp_path):
    change = BY_FOLDER["mean"]
    first = robust.changed(places[0] / "scene.tif", tmp_path, change)
    written, values = first.stat().st_mtime_ns, pixels(first)
    assert robust.changed(places[0] / "scene.tif", tmp_path, change).stat().st_mtime_ns == written
    assert not np.allclose(pixels(robust.changed(places[1] / "scene.tif", tmp_path, change)), values, atol=0.5)
    with rasterio.open(first) as dataset, rasterio.open(places[1] / "scene.tif") as scene:
        assert dataset.transform == scene.transform


def test_from_the_other_orbit_the_ground_is_the_same_and_the_image_another(places, tmp_path):
    found = dict(robust.variants(places[0], tmp_path, Listener()))
    for name, orbit in (("other orbit direction", "descending"), ("other speckle", "ascending")):
        with rasterio.open(found[name]) as dataset:
            assert dataset.tags()["SARDINO_ORBIT"] == orbit
            assert dataset.tags()["SARDINO_SEASONS"] == "fall"
        assert np.array_equal(pixels(found[name].with_name("labels.tif")), pixels(places[0] / "labels.tif"))
        assert not np.allclose(pixels(found[name]), pixels(places[0] / "scene.tif"), atol=0.5)


def test_the_first_row_is_what_evaluation_says_and_a_second_run_repeats_every_row(places, model, tmp_path):
    lines = robust.robustness(model, places, tmp_path / "work", Listener())
    table = [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines[4:]]
    rows = {name: cells for name, *cells in table}
    assert list(rows) == ["as it is", "other speckle", "other orbit direction", *(c.name for c in robust.CHANGES)]
    config = load_config("finetune-starter")
    source = next(item for item in config.sources if item.name == robust.SOURCE)
    images, labels = (tuple(str(place / name) for place in places) for name in ("scene.tif", "labels.tif"))
    config = robust.replace(config, sources=(robust.replace(source, images=images, labels=labels),))
    metrics = evaluate(model, config, tmp_path / "scores").values
    assert float(rows["as it is"][0]) == pytest.approx(metrics["accuracy"], abs=6e-4)
    assert float(rows["as it is"][1]) == pytest.approx(metrics["miou"], abs=6e-4)
    assert float(rows["as it is"][5].rstrip("%")) / 100 == pytest.approx(metrics["unsure share"], abs=0.03)
    assert lines == robust.robustness(model, places, tmp_path / "work", Listener())


def test_every_row_counts_the_same_pixels(places, model, tmp_path):
    spec = robust.read_spec(model)
    network = robust.build(spec, robust.load_weights(model)).eval()
    found = {
        name: robust.score(network, spec, places[0], scene)
        for name, scene in robust.variants(places[0], tmp_path, Listener())
    }
    assert {scored.pixels for scored in found.values()} == {SIDE**2}
    references = [scored.counts.sum(axis=1) for scored in found.values()]
    assert all(np.array_equal(reference, references[0]) for reference in references)


def test_a_raster_that_nobody_simulated_is_refused(tmp_path):
    write(tmp_path / "scene.tif", np.full((2, 16, 16), -12, np.float32), crs=UTM, names=("VV", "VH"))
    with pytest.raises(InputMissing, match="SARDINO_SEED"):
        list(robust.variants(tmp_path, tmp_path / "work", Listener()))
    with pytest.raises(InputMissing, match=r"scene\.tif does not exist"):
        list(robust.variants(tmp_path / "none", tmp_path / "work", Listener()))

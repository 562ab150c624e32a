"""`sardino attention` and `sardino embed`."""

import numpy as np
import pytest
import rasterio

from sardino_core.contract.messages import decode
from tests.cli.conftest import UTM_10M, speckled, write_raster


@pytest.mark.parametrize(("heads", "bands"), [("all", 3), ("mean", 1), ("max", 1)])
def test_attention_per_head_mean_and_max(run, model, scene, tmp_path, heads, bands):
    output = tmp_path / "attention.tif"
    status, _, err = run("attention", scene, "--model", model, "--output", output, "--heads", heads)
    assert status == 0, err
    with rasterio.open(output) as dataset:
        values = dataset.read()
        assert dataset.shape == (90, 100)
        assert "uniform" in dataset.tags()["SARDINO_MEANING"]
    assert values.shape[0] == bands
    assert (values > 0).all()
    if heads != "max":
        assert values.mean() == pytest.approx(1, abs=0.2)


def test_patch_resolution_has_the_right_geotransform(run, model, scene, tmp_path):
    output = tmp_path / "attention.tif"
    assert run("attention", scene, "--model", model, "--output", output, "--resolution", "patch", "--layer", 0)[0] == 0
    with rasterio.open(output) as dataset:
        assert dataset.shape == (12, 13)  # 90 and 100 pixels in cells of 8, the last ones partial
        assert dataset.transform == UTM_10M @ UTM_10M.scale(8)


def test_layers_differ_and_negative_ones_count_from_the_end(run, model, scene, tmp_path):
    found = {}
    for layer in (0, 1, -1, -2):
        output = tmp_path / f"layer{layer}.tif"
        assert run("attention", scene, "--model", model, "--output", output, "--layer", layer)[0] == 0
        with rasterio.open(output) as dataset:
            found[layer] = dataset.read()
    np.testing.assert_array_equal(found[1], found[-1])
    np.testing.assert_array_equal(found[0], found[-2])
    assert not np.array_equal(found[0], found[1])


def test_one_window_is_the_networks_own_attention(run, model, tmp_path):
    """A raster of exactly one window: no blending, so the file must hold what the predictor says, times nothing."""
    from sardino_core.models.predictor import load_predictor
    from sardino_core.raster.scaling import standardise

    values = speckled(32, 32)
    source = write_raster(tmp_path / "scene.tif", values)
    output = tmp_path / "attention.tif"
    assert run("attention", source, "--model", model, "--output", output, "--resolution", "patch")[0] == 0
    predictor = load_predictor(str(model))
    inputs = predictor.spec.inputs
    window = standardise(values, np.ones((32, 32), bool), inputs.bands, inputs.clip_db)
    expected = predictor.attention(window[None], -1)[0]
    with rasterio.open(output) as dataset:
        np.testing.assert_allclose(dataset.read(), expected, rtol=1e-5)
    np.testing.assert_allclose(expected.mean(axis=(1, 2)), 1, rtol=1e-4)


@pytest.mark.parametrize("dtype", ["float16", "float32", "int8"])
def test_embeddings_of_every_type_hold_the_same_tokens(run, model, scene, tmp_path, dtype):
    paths = {name: tmp_path / f"{name}.tif" for name in ("float32", dtype)}
    for name, path in paths.items():
        status, _, err = run("embed", scene, "--model", model, "--output", path, "--dtype", name)
        assert status == 0, err
    with rasterio.open(paths["float32"]) as exact, rasterio.open(paths[dtype]) as stored:
        assert exact.shape == (12, 13) and exact.count == 48
        scale, offset = (np.array(item)[:, None, None] for item in (stored.scales, stored.offsets))
        values = stored.read().astype(np.float32) * scale + offset
        tolerance = {"float32": 0, "float16": 2e-3 * np.abs(exact.read()).max(), "int8": np.array(stored.scales).max()}
        assert np.abs(values - exact.read()).max() <= tolerance[dtype]


def test_components_are_projections_ordered_by_the_variance_they_explain(run, model, scene, tmp_path):
    full, output = tmp_path / "tokens.tif", tmp_path / "components.tif"
    assert run("embed", scene, "--model", model, "--output", full, "--dtype", "float32")[0] == 0
    command = ["embed", scene, "--model", model, "--output", output, "--components", 3, "--dtype", "float32"]
    result = decode(run(*command, "--json")[1].splitlines()[-1])
    shares = result.values["explained_variance"]
    assert shares == sorted(shares, reverse=True) and 0 < sum(shares) <= 1
    with rasterio.open(full) as tokens, rasterio.open(output) as components:
        inputs, found = tokens.read().reshape(48, -1), components.read().reshape(3, -1)
    design = np.vstack([inputs, np.ones(inputs.shape[1])]).T
    fitted = design @ np.linalg.lstsq(design, found.T, rcond=None)[0]
    np.testing.assert_allclose(fitted, found.T, atol=1e-3)


def test_nodata_is_nan_on_the_patch_grid(run, model, tmp_path):
    values = speckled(64, 64)
    values[:, :, :24] = np.nan
    source = write_raster(tmp_path / "scene.tif", values)
    assert run("embed", source, "--model", model, "--output", tmp_path / "tokens.tif")[0] == 0
    with rasterio.open(tmp_path / "tokens.tif") as dataset:
        missing = np.isnan(dataset.read())
    assert missing[:, :, :3].all()
    assert not missing[:, :, 3:].any()

"""The model that ships: small, exported, licensed, and right about what single-date radar shows clearly."""

import numpy as np
import pytest
import rasterio

from sardino_core.contract.jobs import RunOptions, SceneOptions, SegmentJob
from sardino_core.inference import segment
from sardino_core.models.export_file import export_path, problem_with_export
from sardino_core.models.model_file import read_spec, resolve_model

STARTER = resolve_model("starter")


def test_it_fits_into_the_plugin_and_its_export_is_fresh():
    assert problem_with_export(STARTER) is None
    assert STARTER.stat().st_size + export_path(STARTER).stat().st_size < 15e6


def test_its_description_is_complete():
    spec = read_spec(STARTER)
    assert spec.name == "starter"
    assert {item.value for item in spec.classes} == {10, 30, 50, 60, 80}
    assert [band.key for band in spec.inputs.bands] == ["VV", "VH"]
    assert 0 < spec.calibration.unsure_below < 1
    assert spec.licence and spec.limits and "Copernicus" in spec.attribution
    assert spec.provenance.data and spec.provenance.steps > 0 and spec.provenance.metrics


def map_of(scene, tmp_path, **options):
    job = SegmentJob(SceneOptions((str(scene),)), RunOptions("starter"), str(tmp_path / "map.tif"), **options)
    segment(job)
    with rasterio.open(tmp_path / "map.tif") as dataset:
        return dataset.read(1)


@pytest.mark.parametrize("place", ["India_900498", "Spain_7370579"])
def test_open_water_on_real_tiles(data_folder, tmp_path, place):
    """Two clear flood chips. What is called water is water for the most part, and most water is found."""
    classes = map_of(data_folder / "sen1floods11" / "S1" / f"{place}_S1Hand.tif", tmp_path, abstain=False)
    with rasterio.open(data_folder / "sen1floods11" / "Labels" / f"{place}_LabelHand.tif") as dataset:
        labels = dataset.read(1)
    known = (labels >= 0) & (classes > 0)
    found, truth = (classes == 80) & known, (labels == 1) & known
    assert (found & truth).sum() / truth.sum() > 0.7
    assert (found & truth).sum() / found.sum() > 0.6


def test_white_noise_is_mostly_unsure(tmp_path):
    """Noise in the range of dB is no landscape."""
    noise = np.random.default_rng(0).uniform(-30, 5, (2, 256, 256)).astype(np.float32)
    profile = {"driver": "GTiff", "width": 256, "height": 256, "count": 2, "dtype": "float32", "crs": "EPSG:32633"}
    transform = rasterio.transform.from_origin(500_000, 5_000_000, 10, 10)
    with rasterio.open(tmp_path / "noise.tif", "w", transform=transform, **profile) as dataset:
        dataset.write(noise)
        dataset.descriptions = ("VV", "VH")
    assert (map_of(tmp_path / "noise.tif", tmp_path) == 254).mean() > 0.5

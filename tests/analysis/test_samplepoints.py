import json
import tracemalloc
from xml.etree import ElementTree as Xml

import numpy as np
import pytest
import rasterio
from affine import Affine

from sardino_core.analysis import class_map
from sardino_core.analysis.accuracy import accuracy
from sardino_core.analysis.samplepoints import samplepoints
from sardino_core.contract.errors import Cancelled, OutputUnwritable, SettingInvalid
from sardino_core.contract.jobs import AccuracyJob, SamplePointsJob
from sardino_core.contract.listener import Listener
from tests.analysis.maps import patchwork, write_map


@pytest.fixture
def classified(tmp_path):
    return write_map(tmp_path / "map.tif", patchwork())


def drawn(job):
    samplepoints(job)
    with open(job.output, encoding="utf-8") as file:
        return json.load(file)


def test_points_lie_on_their_class_and_carry_their_weight(classified, tmp_path):
    document = drawn(SamplePointsJob(classified, str(tmp_path / "points.geojson"), size=200))
    values, features = patchwork(), document["features"]
    assert document["crs"]["properties"]["name"] == "urn:ogc:def:crs:EPSG::32633"
    assert len(features) == 200 and [f["properties"]["id"] for f in features] == list(range(1, 201))
    with rasterio.open(classified) as raster:
        under = [int(v[0]) for v in raster.sample([f["geometry"]["coordinates"] for f in features])]
    for value, feature in zip(under, features, strict=True):
        properties = feature["properties"]
        assert properties["map_value"] == value and properties["reference"] is None
        assert properties["pixels"] == (values == value).sum()
        assert properties["drawn"] == under.count(value) >= 30
        assert properties["weight"] == pytest.approx((values == value).sum() / (values != 0).sum())
    assert 254 in under  # `unsure` is a stratum
    assert under != sorted(under)  # and classes do not come one after the other
    assert all(len(name) <= 10 for name in features[0]["properties"])  # as a shapefile allows


def test_one_seed_one_sample(classified, tmp_path):
    one, same, other = (drawn(SamplePointsJob(classified, str(tmp_path / "p.geojson"), seed=s)) for s in (1, 1, 2))
    assert one == same != other


def test_a_blind_sample_does_not_tell_the_class(classified, tmp_path):
    samplepoints(SamplePointsJob(classified, str(tmp_path / "p.geojson"), blind=True))
    text = (tmp_path / "p.geojson").read_text(encoding="utf-8")
    assert "map_value" not in text and "water" not in text and "weight" in text


@pytest.mark.parametrize("change", [{"size": 60, "minimum": 40}, {"output": "points.shp"}])
def test_what_cannot_be_drawn_is_told(classified, tmp_path, change):
    settings = {"output": "points.geojson", **change}
    settings["output"] = str(tmp_path / settings["output"])
    with pytest.raises(SettingInvalid):
        samplepoints(SamplePointsJob(classified, **settings))
    assert [path.name for path in tmp_path.iterdir() if path.suffix != ".xml"] == ["map.tif"]


def test_the_job_refuses_sizes_that_make_no_sense():
    for size, minimum in ((10, 30), (10**6, 30), (100, 1)):
        with pytest.raises(SettingInvalid, match="points"):
            SamplePointsJob("map.tif", "p.geojson", size=size, minimum=minimum)


def test_a_missing_folder_is_told_before_the_work(classified, tmp_path):
    class NeverAsked(Listener):
        def progress(self, fraction, message):
            raise AssertionError("work began")

    with pytest.raises(OutputUnwritable, match="does not exist"):
        samplepoints(SamplePointsJob(classified, str(tmp_path / "nowhere" / "p.geojson")), NeverAsked())


def test_cancelling_leaves_nothing(classified, tmp_path):
    class Stop(Listener):
        def cancelled(self):
            return True

    with pytest.raises(Cancelled):
        samplepoints(SamplePointsJob(classified, str(tmp_path / "p.geojson")), Stop())
    assert not [path for path in tmp_path.iterdir() if "map.tif" not in path.name]


def test_a_raster_without_crs_or_on_a_rotated_grid(tmp_path):
    turned = Affine.translation(500_000, 5_400_000) @ Affine.rotation(30) @ Affine.scale(10, -10)
    path = write_map(tmp_path / "map.tif", patchwork(), transform=turned, crs=None)
    document = drawn(SamplePointsJob(path, str(tmp_path / "p.geojson"), size=150))
    assert "crs" not in document
    for feature in document["features"]:
        col, row = ~turned @ tuple(feature["geometry"]["coordinates"])
        assert patchwork()[int(row), int(col)] == feature["properties"]["map_value"]


def test_memory_does_not_grow_with_the_raster(tmp_path, monkeypatch):
    monkeypatch.setattr(class_map, "_WINDOW_PX", 1 << 16)
    peaks = []
    for height in (2_000, 16_000):
        path = write_map(tmp_path / f"{height}.tif", np.tile(patchwork(100, 256), (height // 100, 1)))
        jobs = SamplePointsJob(path, str(tmp_path / "p.geojson")), AccuracyJob(path, path, str(tmp_path / "r.html"))
        samplepoints(jobs[0])  # what is loaded once is no growth
        accuracy(jobs[1])
        tracemalloc.start()
        samplepoints(jobs[0])
        accuracy(jobs[1])
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.1 * peaks[0]
    assert peaks[1] < 16_000 * 256  # less than the raster itself


def test_the_style_beside_offers_the_classes_and_no_other(classified, tmp_path):
    outputs = samplepoints(SamplePointsJob(classified, str(tmp_path / "points.geojson"))).outputs
    root = Xml.parse(outputs["style"]).getroot()
    choices = [item.get("value") for item in root.iterfind(".//field[@name='reference']//Option[@type='QString']")]
    assert choices == ["trees", "low", "water"]
    assert outputs["style"] == str(tmp_path / "points.qml")

"""A map against points, a raster and polygons: from file to file."""

import csv
import json

import numpy as np
import pytest
import rasterio
from affine import Affine
from rasterio.crs import CRS
from rasterio.warp import transform

from sardino_core.analysis.accuracy import accuracy
from sardino_core.analysis.samplepoints import samplepoints
from sardino_core.contract.errors import AreaOutside, InputMissing, NoValidData, SettingInvalid
from sardino_core.contract.jobs import AccuracyJob, SamplePointsJob
from tests.analysis.maps import LEGEND, ORIGIN, label, patchwork, write_map

mapped = patchwork()


@pytest.fixture
def classified(tmp_path):
    return write_map(tmp_path / "map.tif", mapped)


@pytest.fixture
def points(classified, tmp_path):
    samplepoints(SamplePointsJob(classified, str(tmp_path / "points.geojson"), size=400))
    return tmp_path / "points.geojson"


def truth():
    """What is on the ground: of the trees a third is water, of low vegetation a tenth is trees; `unsure` is low."""
    ground = mapped.copy()
    ground[ground == 254] = 30
    chance = np.random.default_rng(3).random(mapped.shape)
    ground[(mapped == 10) & (chance < 0.33)] = 80
    ground[(mapped == 30) & (chance < 0.1)] = 10
    return ground


def run(tmp_path, classified, reference, **options):
    return accuracy(AccuracyJob(classified, str(reference), str(tmp_path / "report.html"), **options))


def by_name(values):
    return {item["name"]: item for item in values["classes"]}


def test_areas_of_labelled_points_hold_the_truth(tmp_path, classified, points):
    found = run(tmp_path, classified, label(points, tmp_path / "labelled.geojson", truth())).values
    assert found["kind"] == "area-adjusted" and found["area_unit"] == "ha" and found["points"] == 400
    for value, name in ((10, "trees"), (30, "low"), (80, "water")):
        item, on_the_ground = by_name(found)[name], (truth()[mapped != 0] == value).sum() / 100
        assert item["mapped_area"] == pytest.approx((mapped == value).sum() / 100)
        assert abs(item["area"] - on_the_ground) < 2 * item["area_half_width"]
        assert 0 < item["area_half_width"] < 0.6 * on_the_ground
    low = by_name(found)["low"]
    assert abs(low["users_accuracy"] - (truth()[mapped == 30] == 30).mean()) < 2 * low["users_accuracy_half_width"]
    assert sum(item["area"] for item in found["classes"]) == pytest.approx((mapped != 0).sum() / 100)


def test_unsure_counts_as_wrong_and_is_left_out_as_well(tmp_path, classified, points):
    found = run(tmp_path, classified, label(points, tmp_path / "labelled.geojson", without_unsure)).values
    share = (mapped == 254).sum() / (mapped != 0).sum()
    assert found["overall_accuracy"] == pytest.approx(1 - share)
    assert found["overall_accuracy_decided"] == pytest.approx(1)
    assert found["unsure_area"] == pytest.approx((mapped == 254).sum() / 100)
    assert found["matrix"][-1][1] == sum(found["matrix"][-1]) > 0


without_unsure = np.where(mapped == 254, 30, mapped)


@pytest.mark.parametrize("write_label", [str, float, lambda value: {10: "Trees", 30: " low ", 80: "WATER"}[int(value)]])
def test_labels_are_values_or_names(tmp_path, classified, points, write_label):
    plain = run(tmp_path, classified, label(points, tmp_path / "a.geojson", without_unsure)).values
    texts = np.vectorize(lambda v: write_label(v) if v else "", otypes=[object])(without_unsure)
    document = json.loads(points.read_text(encoding="utf-8"))
    for feature in document["features"]:
        x, y = feature["geometry"]["coordinates"]
        feature["properties"]["reference"] = texts[int((5_400_000 - y) // 10), int((x - 500_000) // 10)]
    (tmp_path / "b.geojson").write_text(json.dumps(document), encoding="utf-8")
    assert run(tmp_path, classified, tmp_path / "b.geojson").values == plain


def test_points_in_degrees_are_the_same_points(tmp_path, classified, points):
    plain = run(tmp_path, classified, label(points, tmp_path / "a.geojson", truth())).values
    document = json.loads((tmp_path / "a.geojson").read_text(encoding="utf-8"))
    for feature in document["features"]:
        (lon,), (lat,) = transform(
            CRS.from_epsg(32633), CRS.from_epsg(4326), *([v] for v in feature["geometry"]["coordinates"])
        )
        feature["geometry"] = {"type": "MultiPoint", "coordinates": [[lon, lat]]}
    del document["crs"]
    (tmp_path / "b.geojson").write_text(json.dumps(document), encoding="utf-8")
    assert run(tmp_path, classified, tmp_path / "b.geojson").values == plain


def edit(path, change):
    document = json.loads(path.read_text(encoding="utf-8"))
    change(document["features"])
    path.write_text(json.dumps(document), encoding="utf-8")
    return path


def test_points_without_a_reference_are_counted_and_left_out(tmp_path, classified, points):
    label(points, points, truth())

    def forget(features):
        for feature in features[:25]:
            feature["properties"]["reference"] = None

    found = run(tmp_path, classified, edit(points, forget))
    assert found.values["points"] == 375 and found.values["points_without_reference"] == 25
    assert "25 points without a reference" in (tmp_path / "report.html").read_text(encoding="utf-8")


def remove(name):
    return lambda features: [feature["properties"].pop(name) for feature in features]


def set_all(name, value):
    return lambda features: [feature["properties"].update({name: value}) for feature in features]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (remove("pixels"), "no area-adjusted estimate is possible"),
        (remove("drawn"), "no area-adjusted estimate is possible"),
        (set_all("pixels", 5), "were not drawn from map.tif"),
        (set_all("map_value", 30), "were not drawn from map.tif"),
        (set_all("reference", None), "No point of points.geojson has a value in the field 'reference'"),
        (set_all("reference", "glacier"), "holds glacier: no class"),
        (lambda features: features.append(features[0]), "several points in one pixel"),
        (lambda features: features[0].update(geometry=None), "that is no point"),
        (lambda features: features[0]["geometry"].update(coordinates=[10**400, 1]), "that is no point"),
        (lambda features: features[0]["geometry"].update(coordinates=["5", 1]), "that is no point"),
        (lambda features: features[0].update(properties=[1]), "no area-adjusted estimate is possible"),
        (lambda features: features.clear(), "holds no feature|No feature"),
        (lambda features: features[0]["geometry"].update(coordinates=[0, 0]), "were not drawn from map.tif"),
        (lambda features: features.__delitem__(slice(1, None)), "an interval needs 2 or more in every class"),
    ],
)
def test_points_that_allow_no_estimate_are_refused(tmp_path, classified, points, change, told):
    label(points, points, truth())
    with pytest.raises(SettingInvalid, match=told):
        run(tmp_path, classified, edit(points, change))
    assert not (tmp_path / "report.html").exists()


def test_a_map_that_has_changed_is_refused(tmp_path, classified, points):
    label(points, points, truth())
    changed = mapped.copy()
    changed[50:] = 30
    with pytest.raises(SettingInvalid, match="were not drawn from other"):
        run(tmp_path, write_map(tmp_path / "other.tif", changed), points)


def test_a_raster_gives_agreement_and_no_interval(tmp_path, classified):
    reference = write_map(tmp_path / "reference.tif", truth())
    found = run(tmp_path, classified, reference)
    both = mapped != 0
    assert found.values["kind"] == "agreement" and found.values["pixels"] == both.sum()
    assert found.values["overall_accuracy"] == pytest.approx((mapped == truth())[both].mean())
    decided = both & (mapped != 254)
    assert found.values["overall_accuracy_decided"] == pytest.approx((mapped == truth())[decided].mean())
    trees = by_name(found.values)["trees"]
    assert trees["users_accuracy"] == pytest.approx((truth()[mapped == 10] == 10).mean())
    assert not [key for key in trees if "half_width" in key]
    assert "no confidence interval" in (tmp_path / "report.html").read_text(encoding="utf-8")


def test_a_coarser_reference_in_another_crs_is_read_by_its_nearest_pixel(tmp_path, classified):
    lons, lats = transform(CRS.from_epsg(32633), CRS.from_epsg(4326), [500_000, 501_000], [5_399_100, 5_400_000])
    step = Affine((lons[1] - lons[0]) / 50, 0, lons[0] - 0.001, 0, -(lats[1] - lats[0]) / 45, lats[1] + 0.001)
    reference = write_map(
        tmp_path / "r.tif", np.full((80, 80), 30, np.uint8), (), transform=step, crs=CRS.from_epsg(4326)
    )
    found = run(tmp_path, classified, reference).values
    assert found["pixels"] == (mapped != 0).sum()
    assert found["overall_accuracy"] == pytest.approx((mapped == 30).sum() / (mapped != 0).sum())


def test_what_another_map_leaves_undecided_is_no_label(tmp_path, classified):
    found = run(tmp_path, classified, classified).values
    decided = ((mapped != 0) & (mapped != 254)).sum()
    assert found["overall_accuracy"] == 1 and found["pixels"] == decided
    assert found["pixels_left_out"] == (mapped == 254).sum()


def test_classes_that_the_reference_never_names_are_remarked(tmp_path, classified):
    run(tmp_path, classified, write_map(tmp_path / "a.tif", np.where(mapped == 10, 10, 30).astype(np.uint8)))
    assert "The reference names no pixel water, so" in (tmp_path / "report.html").read_text(encoding="utf-8")
    run(tmp_path, classified, write_map(tmp_path / "b.tif", truth()))
    assert "names no pixel" not in (tmp_path / "report.html").read_text(encoding="utf-8")


def test_mapping_renames_and_leaves_out(tmp_path, classified):
    codes = np.select([truth() == 10, truth() == 30, truth() == 80], [2, 4, 1], 0).astype(np.int16)
    codes[:, :10] = -1
    reference = write_map(tmp_path / "r.tif", codes, (), nodata=None)
    with pytest.raises(SettingInvalid, match="-1, 1, 2, 4: no class of the map"):
        run(tmp_path, classified, reference)
    found = run(tmp_path, classified, reference, mapping={1: 80, 2: 10, 4: 30, -1: 0}).values
    seen = (mapped != 0) & (codes > 0)
    assert found["pixels"] == seen.sum()
    assert found["overall_accuracy"] == pytest.approx((mapped == truth())[seen].mean())
    with pytest.raises(SettingInvalid, match="names the class 8, which"):
        run(tmp_path, classified, reference, mapping={1: 8})


def polygon(x0, y0, x1, y1, **properties):
    ring = [[x0, y0], [x1, y0], [x1, y1], [x0, y1], [x0, y0]]
    return {"type": "Feature", "properties": properties, "geometry": {"type": "Polygon", "coordinates": [ring]}}


def write_polygons(path, *features):
    member = {"type": "name", "properties": {"name": "EPSG:32633"}}
    document = {"type": "FeatureCollection", "crs": member, "features": list(features)}
    path.write_text(json.dumps(document), encoding="utf-8")
    return path


def test_polygons_give_agreement_over_what_they_cover(tmp_path, classified):
    left = polygon(500_000, 5_399_500, 500_300, 5_400_000, kind="low")
    right = polygon(500_200, 5_399_500, 500_600, 5_400_000, kind=10)  # overlaps: the first counts
    empty = polygon(500_700, 5_399_500, 500_900, 5_400_000, kind=None)
    reference = write_polygons(tmp_path / "p.geojson", left, right, empty)
    found = run(tmp_path, classified, reference, field_name="kind").values
    labels = np.zeros_like(mapped)
    labels[:50, :30], labels[:50, 30:60] = 30, 10
    seen = (labels > 0) & (mapped != 0)
    assert found["kind"] == "agreement" and found["pixels"] == seen.sum()
    assert found["overall_accuracy"] == pytest.approx((mapped == labels)[seen].mean())


def test_polygon_labels_are_mapped_once(tmp_path, classified):
    reference = write_polygons(tmp_path / "p.geojson", polygon(500_000, 5_399_500, 500_300, 5_400_000, reference="1"))
    found = run(tmp_path, classified, reference, mapping={1: 30, 30: 10}).values
    assert (
        found["matrix"][0][1] + found["matrix"][1][1] + found["matrix"][2][1] + found["matrix"][3][1] == found["pixels"]
    )


def test_references_that_do_not_meet_the_map(tmp_path, classified):
    far = write_map(tmp_path / "far.tif", mapped, transform=Affine.translation(1e5, 0) @ ORIGIN)
    with pytest.raises(AreaOutside):
        run(tmp_path, classified, far)
    with pytest.raises(AreaOutside, match="lies outside the map"):
        run(tmp_path, classified, write_polygons(tmp_path / "p.geojson", polygon(0, 0, 10, 10, reference="low")))
    with pytest.raises(SettingInvalid, match=r"No feature .* has a value in the field 'reference'"):
        run(tmp_path, classified, write_polygons(tmp_path / "q.geojson", polygon(0, 0, 10, 10, kind="low")))
    with pytest.raises(NoValidData, match="no labelled pixel in common"):
        run(tmp_path, classified, write_map(tmp_path / "r.tif", np.where(mapped == 0, 30, 0).astype(np.uint8)))
    for name in ("nowhere.tif", "nowhere.geojson"):
        with pytest.raises(InputMissing):
            run(tmp_path, classified, tmp_path / name)
    with pytest.raises(SettingInvalid, match="no HTML"):
        accuracy(AccuracyJob(classified, far, str(tmp_path / "report.pdf")))


def test_tables_beside_the_report_hold_the_numbers(tmp_path, classified, points):
    found = run(tmp_path, classified, label(points, tmp_path / "labelled.geojson", truth()))
    with open(found.outputs["classes"], encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["class"] for row in rows] == [item["name"] for item in found.values["classes"]]
    assert [float(row["area_ha"]) for row in rows] == [item["area"] for item in found.values["classes"]]
    with open(found.outputs["matrix"], encoding="utf-8", newline="") as file:
        matrix = list(csv.reader(file))
    assert [[int(cell) for cell in row[1:-1]] for row in matrix[1:5]] == found.values["matrix"]
    assert matrix[4][0] == "unsure"


def test_values_are_plain_json(tmp_path, classified, points):
    for reference in (
        label(points, tmp_path / "labelled.geojson", 30),
        write_map(tmp_path / "r.tif", np.full(mapped.shape, 30, np.uint8)),
    ):
        json.dumps(run(tmp_path, classified, reference).values, allow_nan=False)


def test_a_simulated_map_says_so_in_its_report(tmp_path, classified):
    with rasterio.open(classified, "r+") as dataset:
        dataset.update_tags(SARDINO_SIMULATED="YES")
    run(tmp_path, classified, write_map(tmp_path / "r.tif", truth(), LEGEND))
    assert "no evidence" in (tmp_path / "report.html").read_text(encoding="utf-8")

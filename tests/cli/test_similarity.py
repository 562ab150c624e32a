"""`sardino similarity`: one at the marks, less elsewhere, the same across scenes, and bad marks in one line."""

import json

import numpy as np
import pytest
import rasterio
from affine import Affine

from sardino_core.contract.errors import Cancelled, SettingInvalid
from sardino_core.contract.jobs import RunOptions, SceneOptions, SimilarityJob
from sardino_core.raster.grid import RasterGrid
from sardino_core.similarity import marked_areas, similarity
from tests.cli.conftest import UTM_10M, speckled, write_raster
from tests.cli.test_bad_input import refuse
from tests.cli.test_cluster import StopAt


def square(row, col, side=1):
    """A polygon around pixels of the scenes here."""
    corners = [(col, row), (col + side, row), (col + side, row + side), (col, row + side), (col, row)]
    return {"type": "Polygon", "coordinates": [[list(UTM_10M @ corner) for corner in corners]]}


def point(row, col):
    """A point in the middle of a pixel."""
    return {"type": "Point", "coordinates": list(UTM_10M @ (col + 0.5, row + 0.5))}


@pytest.fixture
def marks(tmp_path):
    """Write marks: (kind, geometry) to a file."""

    def write(*named, crs="EPSG:32633"):
        features = [{"type": "Feature", "properties": {"kind": kind}, "geometry": shape} for kind, shape in named]
        member = {"type": "name", "properties": {"name": crs}}
        text = json.dumps({"type": "FeatureCollection", "crs": member, "features": features})
        (tmp_path / "marks.geojson").write_text(text, encoding="utf-8")
        return tmp_path / "marks.geojson"

    return write


def read(path):
    with rasterio.open(path) as dataset:
        return dataset.read()


@pytest.mark.parametrize("overlap", [0, 0.5])
def test_it_is_one_at_a_marked_patch_and_a_cosine_everywhere(run, model, scene, marks, tmp_path, overlap):
    references = marks(("a", point(20, 30)), ("b", point(70, 90)), ("c", point(89, 99)))
    output = tmp_path / "similarity.tif"
    command = ["similarity", scene, "--model", model, "--references", references, "--name-field", "kind"]
    status, _, err = run(*command, "--output", output, "--overlap", overlap)
    assert status == 0, err
    with rasterio.open(output) as dataset:
        assert (dataset.shape, dataset.dtypes[0], dataset.descriptions) == ((12, 13), "float32", ("a", "b", "c"))
        assert dataset.transform == UTM_10M @ UTM_10M.scale(8)
        assert str(tmp_path) not in json.dumps(dataset.tags())
    found = read(output)
    for band, (row, col) in zip(found, [(2, 3), (8, 11), (11, 12)], strict=True):
        assert band[row, col] == pytest.approx(1, abs=1e-5)
        assert band.max() <= 1 and band.min() >= -1 and (band > 0.9999).sum() < band.size / 2


def test_a_polygon_is_the_mean_of_its_pixels(run, model, scene, marks, tmp_path):
    """Two whole patches: their two tokens count alike, so neither alone is one, and both are high."""
    command = ["similarity", scene, "--model", model, "--output", tmp_path / "s.tif"]
    wide = {"type": "Polygon", "coordinates": [[list(UTM_10M @ (x, y)) for x, y in
                                                ((16, 16), (32, 16), (32, 24), (16, 24), (16, 16))]]}  # fmt: skip
    assert run(*command, "--references", marks(("x", wide)))[0] == 0
    both = read(tmp_path / "s.tif")[0]
    assert run(*command, "--references", marks(("x", point(20, 20)), ("y", point(20, 28))))[0] == 0
    np.testing.assert_allclose(read(tmp_path / "s.tif")[0], both, atol=1e-5)
    assert both[2, 2] < 0.9999 and both[2, 2] > both.mean()


def test_what_was_marked_in_one_scene_is_found_in_another(run, model, scene, marks, tmp_path):
    """The other scene is the same one elsewhere: what is found must be what is found at home."""
    away = write_raster(tmp_path / "away.tif", speckled(90, 100), UTM_10M @ UTM_10M.translation(5000, 5000))
    command = ["--model", model, "--references", marks(("a", point(20, 30)))]
    assert run("similarity", scene, *command, "--output", tmp_path / "home.tif")[0] == 0
    status, _, err = run("similarity", away, *command, "--reference-scene", scene, "--output", tmp_path / "found.tif")
    assert status == 0, err
    np.testing.assert_allclose(read(tmp_path / "found.tif"), read(tmp_path / "home.tif"), atol=1e-5)


def test_another_crs_is_told(run, model, scene, marks, tmp_path):
    from rasterio.warp import transform

    (lon,), (lat,) = transform("EPSG:32633", "EPSG:4326", *[[value] for value in point(20, 30)["coordinates"]])
    references = marks(("a", {"type": "Point", "coordinates": [lon, lat]}), crs="EPSG:4326")
    status, _, err = run(
        "similarity", scene, "--model", model, "--references", references, "--output", tmp_path / "s.tif"
    )
    assert status == 0 and "brought from EPSG:4326 into the raster's CRS, EPSG:32633" in err
    assert read(tmp_path / "s.tif")[0, 2, 3] == pytest.approx(1, abs=1e-5)


def test_nodata_is_nan(run, model, marks, tmp_path):
    values = speckled(64, 64)
    values[:, :, :24] = np.nan
    source = write_raster(tmp_path / "gap.tif", values)
    references = marks(("a", point(20, 40)))
    command = ["similarity", source, "--model", model, "--references", references, "--output", tmp_path / "s.tif"]
    assert run(*command)[0] == 0
    found = read(tmp_path / "s.tif")[0]
    assert np.isnan(found[:, :3]).all() and np.isfinite(found[:, 3:]).all()
    marks(("a", point(20, 5)))
    assert "'all references'" in refuse(run, tmp_path, *command[:-1], tmp_path / "t.tif")
    assert "lies on nodata" in refuse(run, tmp_path, *command[:-1], tmp_path / "t.tif")


@pytest.mark.parametrize(
    ("shape", "words"),
    [
        (point(20, 3000), "lies outside what is read of scene.tif"),
        (square(20.6, 20.6, 0.3), "covers no pixel's centre"),
        ({"type": "LineString", "coordinates": [[5e5, 5e6], [5.001e5, 5e6]]}, "no polygon and no point"),
    ],
)
def test_bad_references_are_one_line(run, model, scene, marks, tmp_path, shape, words):
    command = [
        "similarity",
        scene,
        "--model",
        model,
        "--references",
        marks(("a", shape)),
        "--output",
        tmp_path / "s.tif",
    ]
    assert words in refuse(run, tmp_path, *command)


def test_a_mark_outside_among_others_is_told(run, model, scene, marks, tmp_path):
    references = marks(("a", point(20, 20)), ("a", point(20, 3000)))
    command = ["similarity", scene, "--model", model, "--references", references, "--output", tmp_path / "s.tif"]
    status, _, err = run(*command)
    assert status == 0 and "warning: 1 of the 2 marked places lie outside the raster and are left out." in err


def test_a_spacing_that_the_model_does_not_take_is_one_line(run, model, marks, tmp_path):
    source = write_raster(tmp_path / "coarse.tif", speckled(40, 40), UTM_10M @ UTM_10M.scale(100))
    command = ["similarity", source, "--model", model, "--references", marks(("a", point(1, 1)))]
    assert "pixel spacing" in refuse(run, tmp_path, *command, "--output", tmp_path / "s.tif", "--units", "db")


def test_an_output_never_replaces_the_references(run, model, scene, marks, tmp_path):
    references = marks(("a", point(20, 30)))
    before = references.read_bytes()
    command = ["similarity", scene, "--model", model, "--references", references, "--output", references]
    assert "also read by this run" in refuse(run, tmp_path, *command)
    assert references.read_bytes() == before


@pytest.mark.parametrize("text", ["sampling", "reading the references", "window"])
def test_cancel_leaves_nothing_whenever_it_comes(model, scene, marks, tmp_path, text):
    options = SceneOptions((str(scene),)), RunOptions(str(model), batch_size=1)
    job = SimilarityJob(*options, str(tmp_path / "s.tif"), str(marks(("a", square(10, 10, 60)))))
    with pytest.raises(Cancelled):
        similarity(job, StopAt(text))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["marks.geojson", "scene.tif"]


def test_more_names_than_bands_is_told(tmp_path):
    features = [
        {"type": "Feature", "properties": {"kind": name}, "geometry": {"type": "Point", "coordinates": [5e5, 5e6]}}
        for name in range(101)
    ]
    path = tmp_path / "many.geojson"
    path.write_text(json.dumps({"type": "FeatureCollection", "features": features}))
    with pytest.raises(SettingInvalid, match="101 names"):
        marked_areas(str(path), RasterGrid(9, 9, Affine(10, 0, 5e5, 0, -10, 5e6), None), "kind")

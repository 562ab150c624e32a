"""What cannot work is refused before any work, in one line that names the remedy."""

from __future__ import annotations

import shutil

import pytest
from osgeo import gdal
from qgis.core import (
    NULL,
    QgsApplication,
    QgsFeature,
    QgsFeatureRequest,
    QgsGeometry,
    QgsProcessingContext,
    QgsProcessingException,
    QgsProcessingFeatureSourceDefinition,
    QgsProcessingUtils,
    QgsProject,
    QgsRasterLayer,
    QgsRectangle,
    QgsReferencedRectangle,
    QgsVectorLayer,
)

from sar_dino_qgis.processing.wording import in_qgis_terms
from tests.qgis.conftest import ROOT
from tests.qgis.test_maps import LONLAT, rectangle_of


@pytest.fixture
def refusal(plugin):
    """Why parameters are refused; a test fails when they are not."""

    def check(name, **parameters):
        algorithm = QgsApplication.processingRegistry().createAlgorithmById(f"sardino:{name}")
        suitable, message = algorithm.checkParameterValues(parameters, QgsProcessingContext())
        assert not suitable
        assert "\n" not in message
        return message

    return check


def changed(scene, path, **options):
    """A copy of the scene, changed by gdal_translate's options."""
    gdal.Translate(str(path), scene, **options)
    return str(path)


def test_good_parameters_are_accepted(plugin, scene, tmp_path):
    for name in ("segment", "attention", "embeddings"):
        algorithm = QgsApplication.processingRegistry().createAlgorithmById(f"sardino:{name}")
        parameters = {"INPUT": [scene], "OUTPUT": str(tmp_path / "a.tif")}
        assert algorithm.checkParameterValues(parameters, QgsProcessingContext())[0]


def test_a_missing_raster(refusal, tmp_path):
    missing = str(tmp_path / "none.tif")
    assert missing in refusal("segment", INPUT=[missing], OUTPUT="TEMPORARY_OUTPUT")


def test_a_layer_that_is_no_file(refusal):
    source = "type=xyz&url=https://example.org/%7Bz%7D/%7Bx%7D/%7By%7D.png&zmax=1&zmin=0"
    message = refusal("segment", INPUT=[QgsRasterLayer(source, "tiles of the web", "wms")], OUTPUT="TEMPORARY_OUTPUT")
    assert "tiles of the web is no raster file" in message and "GeoTIFF" in message


def test_a_layer_that_is_no_raster(refusal):
    points = QgsVectorLayer("Point?crs=EPSG:4326", "points", "memory")
    assert "points is no raster file" in refusal("segment", INPUT=[points], OUTPUT="TEMPORARY_OUTPUT")


@pytest.mark.parametrize("folder", ["memory", "pg", "wms"])
def test_a_relative_path_may_begin_like_the_address_of_a_service(plugin, scene, tmp_path, monkeypatch, folder):
    (tmp_path / folder).mkdir()
    shutil.copy(scene, tmp_path / folder / "scene.tif")
    monkeypatch.chdir(tmp_path)
    algorithm = QgsApplication.processingRegistry().createAlgorithmById("sardino:segment")
    parameters = {"INPUT": [f"{folder}/scene.tif"], "OUTPUT": "TEMPORARY_OUTPUT"}
    assert algorithm.checkParameterValues(parameters, QgsProcessingContext()) == (True, "")


@pytest.mark.parametrize(
    ("model", "reason"),
    [
        ("", "No model"),
        ("nowhere.safetensors", "does not exist"),
        (str(ROOT / "LICENSE"), "not a whole model file"),
        (str(ROOT), "is a folder"),
    ],
)
def test_what_is_no_model(refusal, scene, model, reason):
    assert reason in refusal("segment", INPUT=[scene], MODEL=model, OUTPUT="TEMPORARY_OUTPUT")


def test_a_single_polarisation(refusal, scene, tmp_path):
    one = changed(scene, tmp_path / "scene_VV.tif", bandList=[1])
    message = refusal("segment", INPUT=[one], OUTPUT="TEMPORARY_OUTPUT")
    assert "scene_VV.tif has 1 band; `starter` needs VV and VH" in message


def test_other_polarisations(refusal, scene, tmp_path):
    path = changed(scene, tmp_path / "scene.tif")
    dataset = gdal.Open(path, gdal.GA_Update)
    for band, name in ((1, "Sigma0_HH_db"), (2, "Sigma0_HV_db")):
        dataset.GetRasterBand(band).SetDescription(name)
    del dataset
    message = refusal("segment", INPUT=[path], OUTPUT="TEMPORARY_OUTPUT")
    assert "holds HV and HH" in message and "needs VV and VH" in message


@pytest.mark.parametrize("bands", ["VV", "VV=one", "=1", "VV:1,VH:2", "VV=²,VH=1"])
def test_bands_that_cannot_be_read(refusal, scene, bands):
    assert "VV=1,VH=2" in refusal("segment", INPUT=[scene], BANDS=bands, OUTPUT="TEMPORARY_OUTPUT")


def test_pixels_that_are_too_large(refusal, scene, tmp_path):
    box = QgsRasterLayer(scene).extent()
    bounds = [box.xMinimum(), box.yMaximum(), box.xMinimum() + 192e3, box.yMaximum() - 192e3]
    wide = changed(scene, tmp_path / "wide.tif", outputBounds=bounds)
    message = refusal("segment", INPUT=[wide], OUTPUT="TEMPORARY_OUTPUT")
    assert "1000 m apart" in message and "2 to 160 m" in message


@pytest.mark.parametrize(
    ("given", "allowed"),
    [
        ({"OVERLAP": 5}, "(OVERLAP) is 5; allowed are numbers from 0 to 0.75."),
        ({"BATCH_SIZE": -1}, "(BATCH_SIZE) is -1; allowed are whole numbers from 0 to 4096."),
        ({"UNITS": "furlong"}, "(UNITS) is 'furlong'; allowed are auto, db, power, amplitude, uint8db, dn83."),
    ],
)
def test_a_value_that_is_not_allowed(refusal, scene, given, allowed):
    assert allowed in refusal("segment", INPUT=[scene], **given, OUTPUT="TEMPORARY_OUTPUT")


def test_the_core_speaks_of_parameters(run, scene, tmp_path):
    with pytest.raises(QgsProcessingException, match=r"UNITS power was given.* Pass UNITS db\."):
        run("segment", INPUT=[scene], UNITS="power", OUTPUT=str(tmp_path / "a.tif"))


def test_files_that_a_user_never_saw_are_named_without_their_folder():
    path = QgsProcessingUtils.generateTempFilename("fields.geojson")
    assert in_qgis_terms(f"The training {path} is empty; /data/a.tif is not.", []) == (
        "The training fields.geojson is empty; /data/a.tif is not."
    )


def test_algorithms_are_named_instead_of_commands():
    text = "a.skops is no classifier that `sardino classify` saved. Make one with `sardino cluster --save-codebook`."
    assert in_qgis_terms(text, ["SAVE_CODEBOOK"]) == (
        "a.skops is no classifier that `Classify land cover from labelled areas` kept. Make one with `Clusters without "
        "labels`, under SAVE_CODEBOOK."
    )


def test_only_its_own_parameters_are_named():
    text = "--units and --batch-size, or --no-abstain? See `sardino check`; a--units.tif and /--units are files."
    found = in_qgis_terms(text, ["UNITS", "BATCH_SIZE"])
    assert found == (
        "UNITS and BATCH_SIZE, or --no-abstain? See `Check the environment`; a--units.tif and /--units are files."
    )


def test_an_extent_elsewhere(refusal, scene):
    box, crs = rectangle_of(scene, 3, 3, 4, 4)
    message = refusal("segment", INPUT=[scene], EXTENT=QgsReferencedRectangle(box, crs), OUTPUT="TEMPORARY_OUTPUT")
    assert "does not meet scene.tif" in message


@pytest.mark.parametrize("extent", ["0,0,0,0", QgsRectangle()])
def test_an_extent_that_is_nothing_is_not_the_whole_scene(refusal, scene, extent):
    assert "The extent is empty" in refusal("segment", INPUT=[scene], EXTENT=extent, OUTPUT="TEMPORARY_OUTPUT")


def test_no_extent_is_the_whole_scene(plugin, scene):
    algorithm = QgsApplication.processingRegistry().createAlgorithmById("sardino:segment")
    for nothing in (None, "", NULL):
        parameters = {"INPUT": [scene], "EXTENT": nothing, "OUTPUT": "TEMPORARY_OUTPUT"}
        assert algorithm.checkParameterValues(parameters, QgsProcessingContext()) == (True, "")


def test_a_map_of_fractions_is_refused_with_the_way_out(run, scene, tmp_path):
    with pytest.raises(QgsProcessingException, match=r"whole numbers\..*Translate"):
        run("samplepoints", CLASSIFIED=scene, OUTPUT=str(tmp_path / "a.geojson"))


def test_a_layer_of_attention_that_is_not_there(refusal, scene):
    assert "layers 0 to 11" in refusal("attention", INPUT=[scene], LAYER=12, OUTPUT="TEMPORARY_OUTPUT")


def test_more_components_than_dimensions(refusal, scene):
    assert "192 dimensions" in refusal("embeddings", INPUT=[scene], COMPONENTS=193, OUTPUT="TEMPORARY_OUTPUT")


def test_a_cutline_without_polygons(run, scene, tmp_path):
    empty = QgsVectorLayer(f"Polygon?crs={LONLAT.authid()}", "empty", "memory")
    with pytest.raises(QgsProcessingException, match="cutline layer holds no feature"):
        run("segment", INPUT=[scene], CUTLINE=empty, OUTPUT=str(tmp_path / "a.tif"))


@pytest.fixture
def bow_tie(scene):
    """A layer with a polygon that crosses itself over the scene."""
    box = QgsRasterLayer(scene).extent()
    layer = QgsVectorLayer(f"Polygon?crs={QgsRasterLayer(scene).crs().authid()}", "bow tie", "memory")
    left, right, low, high = box.xMinimum(), box.xMaximum(), box.yMinimum(), box.yMaximum()
    feature = QgsFeature()
    corners = [(left, low), (right, high), (right, low), (left, high), (left, low)]
    feature.setGeometry(QgsGeometry.fromWkt(f"Polygon(({', '.join(f'{x} {y}' for x, y in corners)}))"))
    layer.dataProvider().addFeature(feature)
    QgsProject.instance().addMapLayer(layer)
    yield layer
    QgsProject.instance().clear()


@pytest.mark.parametrize("role", ["CUTLINE", "MASK"])
def test_an_invalid_polygon_is_told_and_qgis_lives(run, scene, tmp_path, bow_tie, role):
    for _ in range(3):
        with pytest.raises(QgsProcessingException, match=r"has an invalid geometry\. Run `Fix geometries`"):
            run("segment", INPUT=[scene], **{role: bow_tie}, OUTPUT=str(tmp_path / "a.tif"))


def test_an_invalid_polygon_is_left_out_or_taken_where_the_user_wants_it(run, scene, tmp_path, bow_tie):
    def with_check(name):
        definition = QgsProcessingFeatureSourceDefinition(
            bow_tie.id(),
            flags=QgsProcessingFeatureSourceDefinition.Flag.FlagOverrideDefaultGeometryCheck,
            geometryCheck=getattr(QgsFeatureRequest.InvalidGeometryCheck, name),
        )
        run("segment", INPUT=[scene], CUTLINE=definition, OUTPUT=str(tmp_path / "a.tif"))

    with pytest.raises(QgsProcessingException, match="holds no feature"):
        with_check("GeometrySkipInvalid")
    with_check("GeometryNoCheck")
    assert (tmp_path / "a.tif").exists()


def test_what_only_the_worker_knows_is_told_in_one_line(run, scene, tmp_path):
    with pytest.raises(QgsProcessingException) as refused:
        run("segment", INPUT=[scene], BANDS="VV=1,VH=1", OUTPUT=str(tmp_path / "a.tif"))
    assert "takes one band twice" in str(refused.value) and "Traceback" not in str(refused.value)
    assert not (tmp_path / "a.tif").exists()


def test_a_folder_that_cannot_be_written(run, scene, tmp_path):
    with pytest.raises(QgsProcessingException, match="does not exist"):
        run("segment", INPUT=[scene], OUTPUT=str(tmp_path / "nowhere" / "a.tif"))


@pytest.mark.parametrize("name", ["a.png", "a.vrt", "a", "a.tif.gz"])
def test_a_format_that_is_not_written(run, scene, tmp_path, name):
    with pytest.raises(QgsProcessingException, match=r"Land cover: .* does not end in \.tif"):
        run("segment", INPUT=[scene], OUTPUT=str(tmp_path / name))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["a.shp", "a.gpkg"])
def test_points_are_written_as_geojson_alone(run, place, tmp_path, name):
    with pytest.raises(QgsProcessingException, match=r"does not end in \.geojson"):
        run("samplepoints", CLASSIFIED=str(place / "labels.tif"), OUTPUT=str(tmp_path / name))
    assert not list(tmp_path.iterdir())


def test_a_layer_whose_file_is_gone(refusal, scene, tmp_path):
    path = changed(scene, tmp_path / "scene.tif")
    layer = QgsRasterLayer(path, "gone")
    QgsProject.instance().addMapLayer(layer)
    try:
        (tmp_path / "scene.tif").unlink()
        assert "does not exist" in refusal("segment", INPUT=[layer], OUTPUT="TEMPORARY_OUTPUT")
    finally:
        QgsProject.instance().clear()

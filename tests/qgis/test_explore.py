"""Clusters without labels, similarity to marked places, and one place, as QGIS runs and shows them."""

from __future__ import annotations

import pytest
from osgeo import gdal
from qgis.core import (
    QgsCoordinateReferenceSystem,
    QgsCoordinateTransform,
    QgsFeature,
    QgsGeometry,
    QgsPointXY,
    QgsProcessingException,
    QgsProject,
    QgsRasterLayer,
    QgsReferencedPointXY,
    QgsVectorLayer,
)

from tests.qgis.test_maps import LONLAT, rectangle_of, values


def marks(scene, crs="EPSG:4326", names=("west", "east")):
    """A memory layer of points in the western and the eastern half of the scene, in another CRS."""

    layer = QgsVectorLayer(f"Point?crs={crs}&field=kind:string", "marks", "memory")
    for name, (left, right) in zip(names, ((0.2, 0.4), (0.6, 0.8)), strict=False):  # perhaps the western one alone
        box, own = rectangle_of(scene, left, 0.4, right, 0.6)
        geometry = QgsGeometry.fromPointXY(QgsPointXY(box.center()))
        geometry.transform(QgsCoordinateTransform(own, QgsCoordinateReferenceSystem(crs), QgsProject.instance()))
        feature = QgsFeature(layer.fields())
        feature.setGeometry(geometry)
        feature.setAttribute("kind", name)
        layer.dataProvider().addFeature(feature)
    return layer


def test_clusters_have_a_legend_and_a_codebook_repeats_them(run, scene, tmp_path):
    codebook, first, again = (str(tmp_path / name) for name in ("codebook.json", "a.tif", "b.tif"))
    result = run("cluster", INPUT=[scene], CLUSTERS=3, OUTPUT=first, SAVE_CODEBOOK=codebook)
    assert result == {"OUTPUT": first, "SAVE_CODEBOOK": codebook}
    assert run("cluster", INPUT=[scene], CODEBOOK=codebook, OUTPUT=again) == {"OUTPUT": again}
    assert values(first) == values(again) and set(values(first)) <= {1, 2, 3}
    layer = QgsRasterLayer(first)  # its renderer goes with it
    assert layer.renderer().type() == "paletted"
    labels = {int(entry.value): entry.label for entry in layer.renderer().classes()}
    assert set(labels) == set(values(first)) and all(label.startswith("cluster ") for label in labels.values())


def test_refined_clusters_lie_on_the_pixels(run, scene, tmp_path):
    path = run("cluster", INPUT=[scene], CLUSTERS=2, REFINE=True, OUTPUT=str(tmp_path / "a.tif"))["OUTPUT"]
    assert gdal.Open(path).RasterXSize == 192


def test_similarity_has_a_band_per_name_and_one_ramp(run, scene, tmp_path, feedback):
    path = str(tmp_path / "a.tif")
    run("similarity", INPUT=[scene], REFERENCES=marks(scene), NAME_FIELD="kind", OUTPUT=path)
    dataset = gdal.Open(path)
    assert [dataset.GetRasterBand(band).GetDescription() for band in (1, 2)] == ["west", "east"]
    assert all(max(values(path, band)) == pytest.approx(1, abs=1e-5) for band in (1, 2))
    assert any(LONLAT.authid() in line for line in feedback.said)
    layer = QgsRasterLayer(path)  # its renderer goes with it
    assert layer.renderer().type() == "singlebandpseudocolor"
    assert (layer.renderer().classificationMin(), layer.renderer().classificationMax()) == (-1.0, 1.0)


def test_marks_of_another_scene_are_sought_here(run, scene, tmp_path):
    gdal.Translate(str(tmp_path / "part.tif"), scene, srcWin=[0, 0, 96, 192])
    options = {"REFERENCES": marks(scene, names=("west",)), "REFERENCE_SCENE": [str(tmp_path / "part.tif")]}
    path = run("similarity", INPUT=[scene], OUTPUT=str(tmp_path / "a.tif"), **options)["OUTPUT"]
    assert gdal.Open(path).RasterCount == 1 and max(values(path)) > 0.9


@pytest.mark.parametrize(
    ("options", "words"),
    [({"CLUSTERS": 1}, "2 to 32"), ({"CODEBOOK": "/nowhere/c.json"}, "does not exist"),
     ({"CODEBOOK": "/nowhere/c.json", "CLUSTERS": 4}, "Set CLUSTERS to 0"),
     ({"CODEBOOK": __file__}, r"allowed are files that end in \.json")],
)  # fmt: skip
def test_bad_settings_are_told_before_any_work(run, scene, tmp_path, options, words):
    with pytest.raises(QgsProcessingException, match=words):
        run("cluster", INPUT=[scene], OUTPUT=str(tmp_path / "a.tif"), **options)
    assert not list(tmp_path.iterdir())


def place_of(scene):
    """A place west of the scene's middle, in the scene's CRS and in degrees."""
    box, crs = rectangle_of(scene, 0.2, 0.4, 0.4, 0.6)
    there = QgsCoordinateTransform(crs, LONLAT, QgsProject.instance()).transform(box.center())
    return box.center(), QgsReferencedPointXY(there, LONLAT)


@pytest.mark.parametrize(
    ("mode", "ends", "words"),
    [("attention", None, "head 2: up to"), ("class", None, "attention of the class token, layer 11"),
     ("similarity", (-1.0, 1.0), "similarity to the place")],
)  # fmt: skip
def test_one_place_by_its_coordinates_or_degrees(run, scene, tmp_path, feedback, mode, ends, words):
    first, again = str(tmp_path / "a.tif"), str(tmp_path / "b.tif")
    own, degrees = place_of(scene)
    run("explore", INPUT=[scene], AT=f"{own.x()},{own.y()}", MODE=mode, HEAD="2", OUTPUT=first)
    run("explore", INPUT=[scene], AT=degrees, MODE=mode, HEAD="2", OUTPUT=again)
    assert values(first) == values(again)
    assert any(words in line for line in feedback.said)
    layer = QgsRasterLayer(first)  # its renderer goes with it
    renderer = layer.renderer()
    assert renderer.type() == "singlebandpseudocolor" and layer.bandName(1) == f"Band 1: {mode}"
    if ends:
        assert (renderer.classificationMin(), renderer.classificationMax()) == ends


@pytest.mark.parametrize(
    ("options", "words"),
    [({"AT": None}, "No place was given"), ({"AT": "here"}, "The place 'here' is none"),
     ({"AT": "12,3"}, r"12,3 lies outside scene\.tif, which covers .*x,y \[EPSG:4326\]"),
     ({"HEAD": "4"}, "head '4' does not exist; allowed are mean, max, and 1 to 3"),
     ({"LAYER": 12}, "layer 12 does not exist"), ({"MODE": "everything"}, "allowed are attention, class, similarity")],
)  # fmt: skip
def test_a_place_that_cannot_be_explored(run, scene, tmp_path, options, words):
    good = {"INPUT": [scene], "AT": place_of(scene)[1], "OUTPUT": str(tmp_path / "a.tif")}
    with pytest.raises(QgsProcessingException, match=words):
        run("explore", **{**good, **options})
    assert not list(tmp_path.iterdir())


def test_a_place_of_a_raster_without_georeference(run, scene, tmp_path):
    """QGIS counts its rows down from 0, the core up."""
    source, bare = gdal.Open(scene), str(tmp_path / "bare.tif")
    size = source.RasterXSize, source.RasterYSize
    copy = gdal.GetDriverByName("GTiff").Create(bare, *size, 2, gdal.GDT_Float32)
    for band in (1, 2):
        copy.GetRasterBand(band).WriteRaster(0, 0, *size, source.GetRasterBand(band).ReadRaster(0, 0, *size))
        copy.GetRasterBand(band).SetDescription(source.GetRasterBand(band).GetDescription())
    del copy
    x0, dx, _, y0, _, dy = source.GetGeoTransform()
    there = run("explore", INPUT=[scene], AT=f"{x0 + 50 * dx},{y0 + 120 * dy}", OUTPUT=str(tmp_path / "a.tif"))
    here = run("explore", INPUT=[bare], AT="50,-120", OUTPUT=str(tmp_path / "b.tif"))
    assert values(here["OUTPUT"]) == values(there["OUTPUT"])

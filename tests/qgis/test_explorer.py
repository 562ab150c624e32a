"""The explorer in a canvas: what a click shows is what the core computes, and nothing stays behind."""

from __future__ import annotations

import math
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from osgeo import gdal
from qgis.core import (
    QgsCoordinateReferenceSystem,
    QgsCoordinateTransform,
    QgsPointXY,
    QgsProject,
    QgsRasterLayer,
    QgsVectorLayer,
)
from qgis.gui import QgsMapCanvas, QgsMapToolPan
from qgis.PyQt.QtCore import Qt
from qgis.PyQt.QtWidgets import QFileDialog, QMainWindow

from sar_dino_qgis.gui import background
from sar_dino_qgis.gui.explorer_dock import ExplorerDock
from sardino_core.contract.listener import Listener
from tests.qgis.conftest import ROOT

LONG_MS = 120_000
PATCH_M = 80


@pytest.fixture
def layer(scene):
    """The scene, in the project."""
    layer = QgsRasterLayer(scene, "scene")
    QgsProject.instance().addMapLayer(layer)
    yield layer
    QgsProject.instance().clear()


@pytest.fixture
def canvas(plugin, layer, qtbot):
    canvas = QgsMapCanvas()
    qtbot.addWidget(canvas)
    canvas.resize(480, 480)
    canvas.setLayers([layer])
    canvas.setDestinationCrs(layer.crs())
    canvas.setExtent(layer.extent())
    canvas.show()
    return canvas


@pytest.fixture
def dock(canvas, plugin, qtbot):
    asked = []
    dock = ExplorerDock(canvas, plugin.pool, lambda: asked.append("environment"))
    dock.environment_asked = asked
    qtbot.addWidget(dock)
    dock.show()
    dock.take_clicks()
    yield dock
    dock.leave()
    qtbot.waitUntil(lambda: dock._work is None, timeout=LONG_MS)


def place_of(layer, row, col):
    """The middle of a patch."""
    area = layer.extent()
    return QgsPointXY(area.xMinimum() + (col + 0.5) * PATCH_M, area.yMaximum() - (row + 0.5) * PATCH_M)


def click(dock, qtbot, place):
    """As a user does, and wait for what comes of it."""
    pixel = dock._canvas.getCoordinateTransform().transform(place)
    qtbot.mouseClick(dock._canvas.viewport(), Qt.MouseButton.LeftButton, pos=pixel.toQPointF().toPoint())
    wait(dock, qtbot)


def wait(dock, qtbot):
    qtbot.waitUntil(lambda: dock._work is None, timeout=LONG_MS)


def by_the_command(worker, scene, place, output, *options):
    """(values, geotransform) of `sardino explore`."""
    command = [worker, "-m", "sardino_core", "explore", scene, "--model", "starter", "--output", str(output)]
    subprocess.run([*command, f"--at={place.x()},{place.y()}", *options], check=True, cwd=ROOT, capture_output=True)
    return read(output)


def read(path):
    dataset = gdal.Open(str(path))
    return dataset.ReadAsArray(), dataset.GetGeoTransform()


def test_a_click_shows_what_the_core_computes_where_it_lies(dock, layer, scene, worker, tmp_path, qtbot):
    place = place_of(layer, 12, 5)
    click(dock, qtbot, place)
    shown, picture = dock.overlay.item.picture, dock.picture
    assert shown is picture and "attention of the place, layer 11, mean of 3 heads" in picture.told
    expected, transform = by_the_command(worker, scene, QgsPointXY(*picture.job.at), tmp_path / "expected.tif")
    found, placed = read(picture.job.output)
    assert (found == expected).all() and placed == transform
    assert (picture.extent.xMinimum(), picture.extent.yMaximum()) == (placed[0], placed[3])
    assert picture.extent.width() == PATCH_M * picture.image.width() == PATCH_M * found.shape[1]
    assert picture.extent.contains(place)
    low, high = picture.ramp[0][0], picture.ramp[-1][0]
    row, col = divmod(int(expected.argmax()), expected.shape[1])
    assert expected.min() <= low < high <= expected.max()
    assert picture.image.pixelColor(col, row) == picture.ramp[-1][1]
    assert dock.legend.high.text() == f"{high:.3g}" and dock.save_button.isEnabled()


def test_the_picture_is_drawn_over_its_place(dock, canvas, layer, qtbot):
    click(dock, qtbot, place_of(layer, 12, 12))
    dock.controls.opacity.setOpacity(1.0)
    transform = canvas.getCoordinateTransform()
    image, area = dock.picture.image, dock.picture.extent
    qtbot.waitUntil(lambda: not canvas.isDrawing(), timeout=LONG_MS)
    drawn = canvas.grab().toImage()
    for row, col in ((2, 3), (13, 9), (7, 14)):
        middle = QgsPointXY(area.xMinimum() + (col + 0.5) * PATCH_M, area.yMaximum() - (row + 0.5) * PATCH_M)
        pixel = transform.transform(middle).toQPointF().toPoint()
        assert drawn.pixelColor(pixel) == image.pixelColor(col, row)


def test_layer_head_and_mode_ask_again_about_the_same_place(dock, layer, qtbot):
    click(dock, qtbot, place_of(layer, 12, 5))
    assert (dock.controls.depth.maximum(), dock.controls.head.maximum()) == (11, 3)
    at = dock.picture.job.at
    for change, text in (
        (lambda: dock.controls.depth.setValue(2), "attention of the place, layer 2, mean of 3 heads"),
        (lambda: dock.controls.head.setValue(3), "attention of the place, layer 2, head 3"),
        (lambda: dock.controls.mode.setCurrentIndex(1), "attention of the class token, layer 2, head 3"),
        (lambda: dock.controls.mode.setCurrentIndex(2), "similarity to the place"),
    ):
        change()
        wait(dock, qtbot)
        assert text in dock.picture.told and dock.picture.job.at == at
        assert dock.status.text().lower().startswith(text.lower())
    assert not dock.controls.depth.isEnabled() and not dock.controls.head.isEnabled()
    values, _ = read(dock.picture.job.output)
    assert values.shape == (24, 24) and values[12, 5] == pytest.approx(1, abs=1e-3)


def test_similarity_reaches_over_what_is_visible(dock, canvas, layer, qtbot):
    area = layer.extent()
    area.scale(0.5)
    canvas.setExtent(area)
    dock.controls.mode.setCurrentIndex(2)
    click(dock, qtbot, place_of(layer, 12, 12))
    seen = canvas.extent()
    assert dock.picture.extent.width() == pytest.approx(seen.width(), abs=2 * PATCH_M)
    first = dock.picture.job.scene.extent
    area.scale(0.5)
    canvas.setExtent(area)  # nothing new comes into view: the tokens serve on
    click(dock, qtbot, place_of(layer, 11, 12))
    assert dock.picture.job.scene.extent == first


def test_in_a_map_of_another_crs_it_lies_on_the_same_place(dock, canvas, layer, qtbot):
    click(dock, qtbot, place_of(layer, 12, 5))
    expected, there = dock.picture.extent, QgsCoordinateReferenceSystem("EPSG:3857")
    canvas.setDestinationCrs(there)
    assert dock.picture is None and dock.overlay.item is None
    transform = QgsCoordinateTransform(layer.crs(), there, QgsProject.instance())
    canvas.setExtent(transform.transformBoundingBox(layer.extent()))
    click(dock, qtbot, transform.transform(place_of(layer, 12, 5)))
    found = dock.picture.extent
    wanted = transform.transformBoundingBox(expected)
    assert found.center().distance(wanted.center()) < PATCH_M
    assert math.isclose(found.width(), wanted.width(), rel_tol=0.1)
    assert dock.picture.image.pixelColor(0, 0).alpha() in (0, 255)


def test_the_last_click_is_the_one_that_is_answered(dock, layer, qtbot):
    for col in (3, 9, 15, 20):
        dock.look_at(place_of(layer, 12, col))
    wait(dock, qtbot)
    assert dock.picture.job.at == pytest.approx(tuple(place_of(layer, 12, 20)))
    dock.controls.mode.setCurrentIndex(2)  # long work, which is given up for another
    dock.controls.mode.setCurrentIndex(0)
    wait(dock, qtbot)
    assert dock.picture.job.mode == "attention" and dock.status.text().startswith("Attention of the place")


def test_save_writes_a_raster_with_its_style_and_loads_it(dock, layer, tmp_path, qtbot, monkeypatch):
    click(dock, qtbot, place_of(layer, 12, 5))
    shown, _ = read(dock.picture.job.output)
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *given: ("", ""))  # cancelled
    dock.save_button.click()
    wait(dock, qtbot)
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *given: (str(tmp_path / "mine"), ""))
    dock.save_button.click()
    wait(dock, qtbot)
    written = {path.name for path in tmp_path.iterdir()}
    assert written - {"mine.tif.aux.xml"} == {"mine.tif", "mine.qml"}  # QGIS may keep its statistics there
    saved, _ = read(tmp_path / "mine.tif")
    assert (saved == shown).all()
    added = [item for item in QgsProject.instance().mapLayers().values() if item.name().startswith("Explored, scene")]
    assert len(added) == 1 and added[0].renderer().type() == "singlebandpseudocolor"
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *given: ("/nowhere/mine.tif", ""))
    dock.save_button.click()
    wait(dock, qtbot)
    assert "/nowhere does not exist" in dock.status.text()
    assert dock.picture is not None and dock.overlay.item is not None  # what is shown stays


def test_what_cannot_be_answered_is_told_in_a_line(dock, canvas, layer, tmp_path, qtbot):
    area = layer.extent()
    canvas.zoomByFactor(2)
    click(dock, qtbot, QgsPointXY(area.xMinimum() - 300, area.center().y()))
    assert "lies outside the layer scene.tif" in dock.status.text() and "Click on the layer" in dock.status.text()
    holes = tmp_path / "holes.tif"
    gdal.Translate(str(holes), layer.source())
    dataset = gdal.Open(str(holes), gdal.GA_Update)
    for band in (1, 2):
        values = dataset.GetRasterBand(band).ReadAsArray()
        values[:, :64] = math.nan
        dataset.GetRasterBand(band).WriteArray(values)
    dataset = None
    gdal.Translate(str(tmp_path / "one_band.tif"), layer.source(), bandList=[1])
    for name, text in (
        ("holes", "has no valid pixel"),
        ("one_band", "VH"),
    ):
        added = QgsRasterLayer(str(tmp_path / f"{name}.tif"), name)
        QgsProject.instance().addMapLayer(added)
        dock.controls.layer.setLayer(added)
        click(dock, qtbot, place_of(layer, 12, 3))
        assert text in dock.status.text() and "--" not in dock.status.text(), dock.status.text()
        assert "\n" not in dock.status.text() and dock.picture is None
        assert dock.environment_button.isHidden()
    dock.controls.layer.setLayer(layer)
    dock.controls.units.setCurrentText("power")
    click(dock, qtbot, place_of(layer, 12, 3))
    assert "Units power was given" in dock.status.text() and "Pass Units db" in dock.status.text()
    dock.controls.bands.setText("VV")
    click(dock, qtbot, place_of(layer, 12, 3))
    assert "not of the form VV=1,VH=2" in dock.status.text()


def test_two_files_are_one_scene(dock, layer, tmp_path, qtbot):
    layers = []
    for number, name in enumerate(("a_VV", "a_VH"), start=1):
        gdal.Translate(str(tmp_path / f"{name}.tif"), layer.source(), bandList=[number])
        layers.append(QgsRasterLayer(str(tmp_path / f"{name}.tif"), name))
        QgsProject.instance().addMapLayer(layers[-1])
    dock.controls.layer.setLayer(layers[0])
    dock.controls.second.setLayer(layers[1])
    click(dock, qtbot, place_of(layer, 12, 5))
    assert len(dock.picture.job.scene.inputs) == 2


def test_a_vector_layer_is_not_offered_and_a_model_that_is_none_is_told(dock, layer, qtbot):
    QgsProject.instance().addMapLayer(QgsVectorLayer("Point?crs=EPSG:4326", "points", "memory"))
    offered = [dock.controls.layer.itemText(number) for number in range(dock.controls.layer.count())]
    assert offered == ["scene"]
    dock.controls.model.set_value("/nowhere/mine.safetensors")
    click(dock, qtbot, place_of(layer, 12, 5))
    assert "/nowhere/mine.safetensors does not exist" in dock.status.text()


def test_without_an_environment_a_button_makes_one(dock, layer, qtbot, monkeypatch):
    monkeypatch.setenv("SARDINO_PYTHON", "/nowhere/python")
    click(dock, qtbot, place_of(layer, 12, 5))
    assert "/nowhere/python" in dock.status.text() and dock.environment_button.isVisible()
    qtbot.mouseClick(dock.environment_button, Qt.MouseButton.LeftButton)
    assert dock.environment_asked == ["environment"]
    monkeypatch.undo()
    click(dock, qtbot, place_of(layer, 12, 5))
    assert dock.picture is not None and dock.environment_button.isHidden()


@pytest.mark.parametrize("way", ["close", "remove the layer", "clear the project"])
def test_nothing_stays_behind(dock, canvas, layer, qtbot, way):
    before = len(canvas.scene().items())
    pan = QgsMapToolPan(canvas)
    canvas.setMapTool(pan)
    dock.take_clicks()
    click(dock, qtbot, place_of(layer, 12, 5))
    folder = Path(dock.picture.job.output).parent
    assert len(canvas.scene().items()) == before + 2 and folder.is_dir()
    if way == "close":
        dock.close()
        assert canvas.mapTool() is pan
    elif way == "remove the layer":
        QgsProject.instance().removeMapLayer(layer)
    else:
        QgsProject.instance().clear()
    assert len(canvas.scene().items()) == before
    assert dock.picture is None and not dock.save_button.isEnabled() and not folder.exists()


def test_closed_in_the_midst_of_work_nothing_appears_later(dock, canvas, layer, qtbot):
    before = len(canvas.scene().items())
    dock.controls.mode.setCurrentIndex(2)
    dock.look_at(place_of(layer, 12, 5))
    folder = Path(dock._asked.output).parent
    dock.close()
    wait(dock, qtbot)
    assert len(canvas.scene().items()) == before and dock.picture is None
    assert not folder.exists() and dock.status.text() == ""


def test_the_overlay_is_not_in_the_project_file(dock, layer, tmp_path, qtbot):
    click(dock, qtbot, place_of(layer, 12, 5))
    QgsProject.instance().write(str(tmp_path / "project.qgs"))
    assert "explored" not in (tmp_path / "project.qgs").read_text(encoding="utf-8")
    assert list(QgsProject.instance().mapLayers().values()) == [layer]


class Window(QMainWindow):
    """As much of QGIS's own window as the plugin asks for."""

    def __init__(self, canvas):
        super().__init__()
        self.canvas, self.icons = canvas, []

    def mainWindow(self):
        return self

    def mapCanvas(self):
        return self.canvas

    def addPluginToMenu(self, menu, action):
        self.menuBar().addAction(action)

    def removePluginMenu(self, menu, action):
        self.menuBar().removeAction(action)

    def addToolBarIcon(self, action):
        self.icons.append(action)

    def removeToolBarIcon(self, action):
        if action in self.icons:
            self.icons.remove(action)


def test_the_plugin_opens_one_dock_and_takes_it_with_it(plugin, canvas, layer, qtbot):
    from sar_dino_qgis.plugin import SarDinoPlugin

    plugin.unload()
    window = Window(canvas)
    qtbot.addWidget(window)
    other = SarDinoPlugin(window)
    try:
        before = len(canvas.scene().items())
        other.initGui()
        window.icons[0].trigger()
        dock = other.explorer
        assert dock.isVisibleTo(window) and canvas.mapTool() is dock.tool
        click(dock, qtbot, place_of(layer, 12, 5))
        dock.close()
        window.icons[0].trigger()
        assert other.explorer is dock and dock.isVisibleTo(window)
        click(dock, qtbot, place_of(layer, 12, 5))
        assert len(canvas.scene().items()) == before + 2
        dock.controls.mode.setCurrentIndex(2)  # work that is under way when the plugin goes
        other.unload()
        qtbot.waitUntil(lambda: not background._running, timeout=LONG_MS)
        assert other.explorer is None and not window.icons and not window.menuBar().actions()
        assert len(canvas.scene().items()) == before and canvas.mapTool() is None
    finally:
        other.unload()
        plugin.initProcessing()


def test_the_worker_computes_nothing_twice(dock, plugin, layer, tmp_path, qtbot):
    click(dock, qtbot, place_of(layer, 2, 20))
    job = replace(dock.picture.job, output=str(tmp_path / "again.tif"))
    for question in (job, replace(job, layer=0, head="2"), replace(job, mode="class")):
        assert plugin.pool.run(question, Listener()).values["windows"] == 0
    elsewhere = place_of(layer, 12, 12)
    assert plugin.pool.run(replace(job, at=(elsewhere.x(), elsewhere.y())), Listener()).values["windows"] == 1

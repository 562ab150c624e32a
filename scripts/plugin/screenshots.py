"""Pictures of the plugin in a real QGIS window, docs/qgis_*.png.

`plugin`: Toolbox, dialog, map with legend, attention, explorer. `tools`: a result of each tool whose page has one.

Starts QGIS in a profile of its own under build/, on a virtual screen where there is no other (`xvfb-run`).
`--input` shows another scene than the simulated one, `--output` writes the pictures elsewhere. What shows paths of this
machine, the log and the window for the environment, stays in build/screenshots.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

SIZE = (1280, 800)
SMALL = (900, 600)  # for the tools
_PLAN = "SARDINO_SCREENSHOTS"  # the variable that tells the same file, inside QGIS, what to do


def main() -> None:
    """Outside QGIS: prepare, start it, and wait for its end."""
    root = Path(__file__).resolve().parents[2]  # QGIS runs this text without telling its file
    sys.path[:0] = [str(root / "scripts" / "plugin")]
    from install_plugin import demo_scene, install, switch_on
    from tutorial_places import tutorial_places

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--input", type=Path, help="a Sentinel-1 raster with VV and VH")
    parser.add_argument("--output", type=Path, default=root / "docs", metavar="DIR")
    parser.add_argument("--of", choices=["plugin", "tools", "all"], default="all", help="default: all")
    arguments = parser.parse_args()
    work = root / "build" / "screenshots"
    shutil.rmtree(work, ignore_errors=True)
    profile = work / "profiles" / "default"
    install(profile)
    switch_on(profile / "QGIS" / "QGIS3.ini")
    scene = arguments.input or demo_scene(work / "place")
    plan = {"scene": str(scene.absolute()), "output": str(arguments.output.absolute()), "work": str(work)}
    plan["of"], plan["places"] = arguments.of, tutorial_places(work / "tools") if arguments.of != "plugin" else {}
    environment = {**os.environ, _PLAN: json.dumps(plan), "SARDINO_PYTHON": sys.executable}
    qgis = shutil.which("qgis.bin") or "qgis"
    screen = [] if os.environ.get("DISPLAY") else ["xvfb-run", "-a", "-s", f"-screen 0 {SIZE[0]}x{SIZE[1]}x24"]
    command = [*screen, qgis, "--noversioncheck", "--nologo", "--profiles-path", str(work), "--code", __file__]
    subprocess.run(command, env=environment, check=False, timeout=600)
    failed = (work / "error.txt").exists()
    print((work / "error.txt").read_text(encoding="utf-8") if failed else f"pictures in {arguments.output}")
    sys.exit(failed)


class Photographer:
    """Inside QGIS: does what a user does, and takes pictures."""

    def __init__(self, scene: str, output: str, work: str, of: str, places: dict) -> None:
        from qgis.PyQt.QtWidgets import QApplication, QDockWidget
        from qgis.utils import iface

        self.iface, self.application, self.window = iface, QApplication, iface.mainWindow()
        self.scene, self.output, self.work = scene, Path(output), Path(work)
        self.of, self.places = of, places
        self.window.resize(*SIZE)
        for dock in self.window.findChildren(QDockWidget):
            dock.setVisible(dock.objectName() in ("Layers", "ProcessingToolbox"))

    def work_through(self) -> None:
        """The pictures in their order."""
        if self.of != "tools":
            self.plugin()
        if self.of != "plugin":
            self.tools()

    def tools(self) -> None:
        """A result of every tool, beside its legend: no toolbars, a small window."""
        self.window.resize(*SMALL)
        for bar in (*self.window.findChildren(object_type("QToolBar")), self.window.statusBar()):
            bar.hide()
        self.window.findChild(object_type("QDockWidget"), "Layers").setMinimumWidth(290)
        self.search("")
        first, *others, last = self.places["dates"]
        areas, marks, scene = self.places["areas"], self.places["marks"], {"INPUT": [first]}
        with self.result("classify", first, {**scene, "TRAINING": areas, "FIELD": "class"}):
            self.draw(areas)
        with self.result("cluster", first, {**scene, "CLUSTERS": 6, "REFINE": True}):
            pass
        with self.result("similarity", first, {**scene, "REFERENCES": marks, "NAME_FIELD": "class"}):
            self.draw(marks)
        with self.result("change", last, {"BEFORE": [first, *others], "AFTER": [last]}) as (found, _):
            found.setOpacity(0.6)
            self.look_at(found, 0.3, 0.66, 0.55)
        half = raster(first).extent()
        half.setXMinimum(half.center().x())
        with self.result("composite", first, {"INPUT": [first, *others], "EXTENT": half}) as (found, beneath):
            beneath.setRenderer(found.renderer().clone())
            self.look_at(beneath, 0.5, 0.4, 0.33)

    @contextmanager
    def result(self, name: str, scene: str, parameters: dict) -> Iterator:
        """Run an algorithm, change what is seen as the body does, and take a picture."""
        import processing
        from qgis.core import QgsApplication, QgsProject

        project, output = QgsProject.instance(), self.work / f"{name}.tif"
        layer = raster(scene)
        layer.setRenderer(grey(layer))
        project.addMapLayer(layer)
        project.setCrs(layer.crs())
        processing.runAndLoadResults(f"sardino:{name}", {**parameters, "OUTPUT": str(output)})
        found = next(item for item in project.mapLayers().values() if item.source() == str(output))
        algorithm = QgsApplication.processingRegistry().algorithmById(f"sardino:{name}")
        found.setName(algorithm.parameterDefinition("OUTPUT").description())
        self.look_at(layer)
        yield found, layer
        self.picture(name, self.window)
        project.clear()

    def draw(self, path: str) -> None:
        """Lay features over everything."""
        from qgis.core import QgsProject

        QgsProject.instance().addMapLayer(features(path))

    def look_at(self, layer: object, x: float = 0.5, y: float = 0.5, share: float = 1.02) -> None:
        """Show a share of the layer around a place, from its upper left corner, in shares of its sides."""
        area, middle = layer.extent(), layer.extent().center()
        middle.set(area.xMinimum() + x * area.width(), area.yMaximum() - y * area.height())
        area.scale(share, middle)
        self.iface.mapCanvas().setExtent(area)

    def plugin(self) -> None:
        """What the plugin's manual and the page of the explorer show."""
        import processing
        from qgis.core import QgsProject, QgsRasterLayer

        layer = QgsRasterLayer(self.scene, Path(self.scene).stem)
        layer.setRenderer(grey(layer))
        QgsProject.instance().addMapLayer(layer)
        QgsProject.instance().setCrs(layer.crs())
        self.iface.mapCanvas().setExtent(layer.extent())
        self.search("SAR land cover")
        self.picture("toolbox", self.window)
        dialog = processing.createAlgorithmDialog("sardino:segment", {"INPUT": [layer]})
        dialog.resize(900, 620)
        dialog.show()
        self.picture("dialog", dialog)
        dialog.runAlgorithm()
        self.wait(lambda: len(QgsProject.instance().mapLayers()) == 2)
        self.picture("log", dialog, self.work)
        dialog.close()
        self.search("")
        self.picture("map", self.window)
        processing.runAndLoadResults(
            "sardino:attention", {"INPUT": [layer], "OUTPUT": str(self.work / "attention.tif")}
        )
        self.picture("attention", self.window)
        self.explorer(layer)
        self.environment()
        QgsProject.instance().clear()

    def explorer(self, layer: object) -> None:
        """A click on the scene, and where that place attends to."""
        from qgis.core import QgsProject
        from qgis.utils import plugins

        project = QgsProject.instance()
        project.removeMapLayers([name for name in project.mapLayers() if name != layer.id()])
        plugin, area = plugins["sar_dino_qgis"], layer.extent()
        plugin.show_explorer()
        place = area.center()
        place.set(area.xMinimum() + 0.42 * area.width(), area.yMinimum() + 0.62 * area.height())
        area.scale(0.3, place)
        self.iface.mapCanvas().setExtent(area)
        self.iface.mapCanvas().refresh()
        plugin.explorer.look_at(place)
        self.wait(lambda: plugin.explorer.picture is not None)
        self.picture("explorer", self.window)
        plugin.explorer.close()

    def environment(self) -> None:
        """The window in which the worker's Python is chosen."""
        from qgis.utils import plugins

        plugin = plugins["sar_dino_qgis"]
        plugin.show_environment()
        self.wait(lambda: plugin.dialog.create_button.isEnabled())
        plugin.dialog.existing.setFilePath("")
        self.picture("environment", plugin.dialog, self.work)
        plugin.dialog.close()

    def search(self, text: str) -> None:
        """Type into the Toolbox."""
        from qgis.PyQt.QtWidgets import QLineEdit

        toolbox = self.window.findChild(object_type("QDockWidget"), "ProcessingToolbox")
        toolbox.setMinimumWidth(330)
        for box in toolbox.findChildren(QLineEdit):
            box.setText(text)
        toolbox.algorithmTree.expandAll() if text else toolbox.hide()

    def picture(self, name: str, widget: object, folder: Path | None = None) -> None:
        """Wait until everything is drawn, and save it."""
        self.iface.messageBar().clearWidgets()
        self.wait(lambda: not self.iface.mapCanvas().isDrawing(), at_least=1.5)
        path = (folder or self.output) / f"qgis_{name}.png"
        if not widget.grab().save(str(path)):
            raise OSError(f"{path} cannot be written")

    def wait(self, condition: object, at_least: float = 0.2, at_most: float = 120) -> None:
        """Let QGIS go on until the condition holds."""
        import time

        started = time.monotonic()
        while time.monotonic() - started < at_least or not condition():
            self.application.processEvents()
            time.sleep(0.02)
            if time.monotonic() - started > at_most:
                raise TimeoutError("QGIS did not come to an end")


def grey(layer: object) -> object:
    """VV in grey, as radar people look at it."""
    from qgis.core import QgsContrastEnhancement, QgsSingleBandGrayRenderer

    provider = layer.dataProvider()
    stretch = QgsContrastEnhancement(provider.dataType(1))
    stretch.setMinimumValue(-18)
    stretch.setMaximumValue(0)
    stretch.setContrastEnhancementAlgorithm(QgsContrastEnhancement.ContrastEnhancementAlgorithm.StretchToMinimumMaximum)
    renderer = QgsSingleBandGrayRenderer(provider, 1)
    renderer.setContrastEnhancement(stretch)
    return renderer


def raster(path: str) -> object:
    """A raster as a layer with its file's name."""
    from qgis.core import QgsRasterLayer

    return QgsRasterLayer(path, Path(path).stem)


def features(path: str) -> object:
    """Areas as white outlines, points as white crosses, with the class beside them."""
    from qgis.core import (
        QgsFillSymbol,
        QgsMarkerSymbol,
        QgsPalLayerSettings,
        QgsSingleSymbolRenderer,
        QgsTextBufferSettings,
        QgsTextFormat,
        QgsVectorLayer,
        QgsVectorLayerSimpleLabeling,
        QgsWkbTypes,
    )
    from qgis.PyQt.QtGui import QColor

    layer = QgsVectorLayer(path, Path(path).stem)
    halo, text, labels = QgsTextBufferSettings(), QgsTextFormat(), QgsPalLayerSettings()
    if layer.geometryType() == QgsWkbTypes.GeometryType.PointGeometry:
        symbol = QgsMarkerSymbol.createSimple(
            {"name": "cross", "size": "4", "outline_color": "white", "outline_width": "1"}
        )
    else:
        symbol = QgsFillSymbol.createSimple({"style": "no", "outline_color": "white", "outline_width": "0.7"})
        labels.placement = QgsPalLayerSettings.Placement.OutsidePolygons
    layer.setRenderer(QgsSingleSymbolRenderer(symbol))
    halo.setEnabled(True)
    halo.setColor(QColor("white"))
    text.setBuffer(halo)
    text.setSize(9)
    labels.setFormat(text)
    labels.fieldName = "class"
    layer.setLabeling(QgsVectorLayerSimpleLabeling(labels))
    layer.setLabelsEnabled(True)
    return layer


def object_type(name: str) -> type:
    """A widget class of Qt."""
    from qgis.PyQt import QtWidgets

    return getattr(QtWidgets, name)


def inside(plan: dict[str, str]) -> None:
    """Take the pictures once QGIS has started, and end it."""
    import traceback

    from qgis.PyQt.QtCore import QTimer

    def act() -> None:
        try:
            Photographer(**plan).work_through()
        except Exception:
            Path(plan["work"], "error.txt").write_text(traceback.format_exc(), encoding="utf-8")
        os._exit(0)  # QGIS would ask whether to save the project

    QTimer.singleShot(3000, act)


if os.environ.get(_PLAN) and "qgis.utils" in sys.modules:
    inside(json.loads(os.environ[_PLAN]))
elif __name__ == "__main__":
    main()

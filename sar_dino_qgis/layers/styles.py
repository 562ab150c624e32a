"""How each kind of result looks: a style file NAME.qml beside the raster, which QGIS applies whenever it opens it.

Written in the thread that ran the job. The class map's own style is written by the core, which knows the classes.
"""

from __future__ import annotations

import math
from array import array
from pathlib import Path

from osgeo import gdal
from qgis.core import (
    QgsColorRampShader,
    QgsContrastEnhancement,
    QgsGradientColorRamp,
    QgsMapLayer,
    QgsMultiBandColorRenderer,
    QgsPalettedRasterRenderer,
    QgsRasterLayer,
    QgsRasterRenderer,
    QgsRasterShader,
    QgsSingleBandPseudoColorRenderer,
    QgsStyle,
)
from qgis.PyQt.QtGui import QColor

_SAMPLED_SIDE = 400  # pixels per side that the range of values is taken from
_TAILS = 0.02  # share of the pixels beyond each end of the range
_STOPS = 9  # of a ramp
_RAMPS = {
    "Viridis": {
        "color1": "68,1,84,255", "color2": "253,231,37,255",
        "stops": "0.25;59,82,139,255:0.5;33,145,140,255:0.75;94,201,98,255",
    },
    "Magma": {
        "color1": "0,0,4,255", "color2": "252,253,191,255",
        "stops": "0.25;81,18,124,255:0.5;183,55,121,255:0.75;252,137,97,255",
    },
}  # fmt: skip


def write_style(path: str, kind: str) -> None:
    """Write the style of a raster; `kind` is classes, confidence, attention, similarity, embeddings, composite,
    change or quality.
    """
    if kind == "classes":
        return
    layer = open_plainly(path, Path(path).stem)
    if not layer.isValid():
        return
    layer.setRenderer(_renderer(layer, kind))
    layer.saveNamedStyle(str(Path(path).with_suffix(".qml")), QgsMapLayer.StyleCategory.Symbology)


def open_plainly(path: str, name: str) -> QgsRasterLayer:
    """The raster without any style, and without the statistics that QGIS takes in opening it and GDAL would leave in
    NAME.tif.aux.xml when it is closed.
    """
    keep = getattr(gdal, "SetThreadLocalConfigOption", gdal.SetConfigOption)  # old GDALs know the latter alone
    keep("GDAL_PAM_ENABLED", "NO")
    try:
        return QgsRasterLayer(path, name, "gdal", QgsRasterLayer.LayerOptions(False))
    finally:
        keep("GDAL_PAM_ENABLED", None)


def style_of_place(mode: str) -> str:
    """The kind of result that a question about one place has, by its mode."""
    return "similarity" if mode == "similarity" else "attention"


def _renderer(layer: QgsRasterLayer, kind: str) -> QgsRasterRenderer:
    if kind == "confidence":
        return _ramp(layer, "Viridis", 0.0, 1.0)
    if kind == "similarity":
        return _ramp(layer, "Viridis", -1.0, 1.0)
    if kind == "embeddings" and layer.bandCount() >= 3:
        return _colours(layer, (1, 2, 3))
    if kind == "composite":
        return _colours(layer, (1, 2, 1))  # VV, VH, VV
    if kind == "change":
        return _marks(layer)
    return _ramp(layer, "Magma" if kind == "attention" else "Viridis", *_range(layer, 1))


def _ramp(layer: QgsRasterLayer, name: str, low: float, high: float) -> QgsSingleBandPseudoColorRenderer:
    """Band 1 on a perceptually uniform ramp: the user's own of that name, where the style library still has one."""
    ramp = QgsStyle.defaultStyle().colorRamp(name) or QgsGradientColorRamp.create(_RAMPS[name])
    function = QgsColorRampShader(low, high, ramp, QgsColorRampShader.Type.Interpolated)
    steps = [step / (_STOPS - 1) for step in range(_STOPS)]
    function.setColorRampItemList(
        [
            QgsColorRampShader.ColorRampItem(
                low + step * (high - low), ramp.color(step), f"{low + step * (high - low):.3g}"
            )
            for step in steps
        ]
    )
    shader = QgsRasterShader()
    shader.setRasterShaderFunction(function)
    renderer = QgsSingleBandPseudoColorRenderer(layer.dataProvider(), 1, shader)
    renderer.setClassificationMin(low)
    renderer.setClassificationMax(high)
    return renderer


def _marks(layer: QgsRasterLayer) -> QgsPalettedRasterRenderer:
    """Band 3: where the change is."""
    entries = ((0, "#d9d9d9", "no change"), (1, "#d7301f", "change"))
    classes = [QgsPalettedRasterRenderer.Class(value, QColor(colour), label) for value, colour, label in entries]
    return QgsPalettedRasterRenderer(layer.dataProvider(), 3, classes)


def _colours(layer: QgsRasterLayer, bands: tuple[int, int, int]) -> QgsMultiBandColorRenderer:
    """Three bands as red, green and blue, each stretched to its own range."""
    provider = layer.dataProvider()
    renderer = QgsMultiBandColorRenderer(provider, *bands)
    setters = (
        renderer.setRedContrastEnhancement,
        renderer.setGreenContrastEnhancement,
        renderer.setBlueContrastEnhancement,
    )
    for index, setter in enumerate(setters):
        band = bands[index]
        low, high = _range(layer, band)
        stretch = QgsContrastEnhancement(provider.dataType(band))
        stretch.setMinimumValue(low)
        stretch.setMaximumValue(high)
        stretch.setContrastEnhancementAlgorithm(
            QgsContrastEnhancement.ContrastEnhancementAlgorithm.StretchToMinimumMaximum
        )
        setter(stretch)
    return renderer


def _range(layer: QgsRasterLayer, band: int) -> tuple[float, float]:
    """The values between which most pixels lie, from a thinned reading.

    Not QGIS's own statistics: they leave a file of histograms beside the raster.
    """
    dataset = gdal.Open(layer.source())  # which must outlive its band
    source = dataset.GetRasterBand(band)
    size = min(source.XSize, _SAMPLED_SIDE), min(source.YSize, _SAMPLED_SIDE)
    pixels = source.ReadRaster(0, 0, source.XSize, source.YSize, *size, gdal.GDT_Float32)
    values = sorted(value for value in array("f", pixels) if math.isfinite(value))
    if not values:
        return 0.0, 1.0
    last = len(values) - 1
    low, high = values[round(_TAILS * last)], values[round((1 - _TAILS) * last)]
    return (low, high) if high > low else (low, low + 1.0)

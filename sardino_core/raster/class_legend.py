"""Names and colours that travel with a class map: the colour table, GDAL's `.aux.xml` and QGIS's `.qml`.

rasterio writes the colour table; category names and the attribute table it cannot, so that file is made here.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from xml.etree import ElementTree as Xml

from sardino_core.contract.model_spec import UNSURE_COLOUR, UNSURE_NAME, UNSURE_VALUE, ClassSpec, ModelSpec

NODATA = 0


def legend(spec: ModelSpec) -> tuple[ClassSpec, ...]:
    """The model's classes and, last, `unsure`."""
    return (*spec.classes, ClassSpec(UNSURE_VALUE, UNSURE_NAME, UNSURE_COLOUR))


def rgb(colour: str) -> tuple[int, int, int]:
    """#rrggbb to three numbers in 0..255."""
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)


def colour_table(classes: Sequence[ClassSpec]) -> dict[int, tuple[int, int, int, int]]:
    """Value to RGBA; nodata is transparent."""
    return {NODATA: (0, 0, 0, 0), **{item.value: (*rgb(item.colour), 255) for item in classes}}


def write_aux_xml(path: Path, classes: Sequence[ClassSpec]) -> None:
    """Category names and a raster attribute table for band 1, as GDAL reads them from NAME.tif.aux.xml."""
    root = Xml.Element("PAMDataset")
    band = Xml.SubElement(root, "PAMRasterBand", band="1")
    by_value = {item.value: item.name for item in classes}
    names = Xml.SubElement(band, "CategoryNames")
    for value in range(max(by_value) + 1):
        Xml.SubElement(names, "Category").text = by_value.get(value, "nodata" if value == NODATA else "")
    table = Xml.SubElement(band, "GDALRasterAttributeTable", tableType="thematic")
    # GDAL's enumerations: type 0 integer, 2 string; usage 5 MinMax (the value), 2 Name, 6 to 8 red, green, blue.
    for index, (name, kind, usage) in enumerate(
        [("Value", 0, 5), ("Class", 2, 2), ("Red", 0, 6), ("Green", 0, 7), ("Blue", 0, 8)]
    ):
        column = Xml.SubElement(table, "FieldDefn", index=str(index))
        Xml.SubElement(column, "Name").text = name
        Xml.SubElement(column, "Type").text = str(kind)
        Xml.SubElement(column, "Usage").text = str(usage)
    for index, item in enumerate(classes):
        row = Xml.SubElement(table, "Row", index=str(index))
        for cell in (str(item.value), item.name, *map(str, rgb(item.colour))):
            Xml.SubElement(row, "F").text = cell
    _write(root, path)


def write_qml(path: Path, classes: Sequence[ClassSpec]) -> None:
    """A QGIS style with the paletted renderer."""
    root = Xml.Element("qgis", version="3.22", styleCategories="Symbology")
    pipe = Xml.SubElement(root, "pipe")
    renderer = Xml.SubElement(
        pipe, "rasterrenderer", type="paletted", band="1", opacity="1", alphaBand="-1", nodataColor=""
    )
    palette = Xml.SubElement(renderer, "colorPalette")
    for item in classes:
        Xml.SubElement(palette, "paletteEntry", value=str(item.value), color=item.colour, label=item.name, alpha="255")
    _write(root, path)


def _write(root: Xml.Element, path: Path) -> None:
    # Without an XML declaration: GDAL takes the first node of NAME.aux.xml for the root, and passes over all else.
    Xml.indent(root)
    Xml.ElementTree(root).write(path, encoding="utf-8", xml_declaration=False)

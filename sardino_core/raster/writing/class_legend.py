"""Names and colours that travel with a class map: the colour table, GDAL's `.aux.xml` and QGIS's `.qml`.

rasterio writes the colour table; category names and the attribute table it cannot, so that file is made here.
"""

from __future__ import annotations

from collections.abc import Container, Iterator, Sequence
from pathlib import Path
from xml.etree import ElementTree as Xml  # nosec B405

from sardino_core.contract.model_spec import UNSURE_COLOUR, UNSURE_NAME, UNSURE_VALUE, ClassSpec, ModelSpec

NODATA = 0
_LARGEST_BYTES = 1 << 20  # a description of 256 classes is a hundredth of that
_VALUE, _NAME, _RED, _GREEN, _BLUE = "5", "2", "6", "7", "8"  # GDAL's usages of an attribute table's columns


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


def write_qml(path: Path, classes: Sequence[ClassSpec], occurring: Container[int]) -> None:
    """A QGIS style with the paletted renderer; its legend shows the values `occurring` in the map, and no others."""
    root = Xml.Element("qgis", version="3.22", styleCategories="Symbology")
    pipe = Xml.SubElement(root, "pipe")
    renderer = Xml.SubElement(
        pipe, "rasterrenderer", type="paletted", band="1", opacity="1", alphaBand="-1", nodataColor=""
    )
    palette = Xml.SubElement(renderer, "colorPalette")
    entries = [(item.value, item.name, item.colour, "255") for item in classes]
    for value, name, colour, alpha in [*entries, (NODATA, "nodata", "#ffffff", "0")]:
        if value in occurring:
            Xml.SubElement(palette, "paletteEntry", value=str(value), color=colour, label=name, alpha=alpha)
    _write(root, path)


def read_aux_xml(path: Path) -> tuple[ClassSpec, ...]:
    """Classes of band 1 from a NAME.tif.aux.xml, whoever wrote it; none where there is no file, or nothing to read.

    The attribute table goes before the category names, which have no colours: those are empty texts.
    """
    try:
        text = path.read_bytes() if path.stat().st_size <= _LARGEST_BYTES else b""
        if b"<!" in text:  # GDAL writes no document type; a stranger's could hold entities that explode
            return ()
        root = Xml.fromstring(text)  # nosec B314
    except (OSError, Xml.ParseError):
        return ()
    band = root.find("PAMRasterBand[@band='1']")
    if band is None:
        return ()
    found = {item.value: item for item in (*_category_names(band), *_attribute_table(band))}
    return tuple(item for _, item in sorted(found.items()) if 0 <= item.value <= 255 and item.name.strip())


def _category_names(band: Xml.Element) -> Iterator[ClassSpec]:
    for value, category in enumerate(band.iterfind("CategoryNames/Category")):
        yield ClassSpec(value, category.text or "", "")


def _attribute_table(band: Xml.Element) -> Iterator[ClassSpec]:
    columns = [field.findtext("Usage", "") for field in band.iterfind("GDALRasterAttributeTable/FieldDefn")]
    for row in band.iterfind("GDALRasterAttributeTable/Row"):
        cells = dict(zip(columns, (cell.text or "" for cell in row.iterfind("F")), strict=False))
        try:
            value = int(float(cells[_VALUE]))
            parts = [int(float(cells[usage])) for usage in (_RED, _GREEN, _BLUE) if usage in cells]
        except (KeyError, ValueError):
            continue
        colour = "#" + "".join(f"{part:02x}" for part in parts) if len(parts) == 3 else ""
        yield ClassSpec(value, cells.get(_NAME, ""), colour)


def _write(root: Xml.Element, path: Path) -> None:
    # Without an XML declaration: GDAL takes the first node of NAME.aux.xml for the root, and passes over all else.
    Xml.indent(root)
    Xml.ElementTree(root).write(path, encoding="utf-8", xml_declaration=False)

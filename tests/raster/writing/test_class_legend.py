"""The legend beside a class map: what GDAL and QGIS read as category names, attribute table and style."""

from xml.etree import ElementTree as Xml

import pytest

from sardino_core.contract.model_spec import ClassSpec
from sardino_core.raster.writing.class_legend import colour_table, read_aux_xml, write_aux_xml, write_qml

CLASSES = (ClassSpec(80, "water", "#0064c8"), ClassSpec(10, "trees", "#006400"), ClassSpec(254, "unsure", "#d9d9d9"))


def test_colour_table_has_a_transparent_nodata():
    table = colour_table(CLASSES)
    assert table[0] == (0, 0, 0, 0)
    assert table[80] == (0, 100, 200, 255)


def test_category_names_stand_at_their_values(tmp_path):
    write_aux_xml(tmp_path / "a.aux.xml", CLASSES)
    assert (tmp_path / "a.aux.xml").read_bytes().startswith(b"<PAMDataset>")  # GDAL passes over a declaration's file
    root = Xml.parse(tmp_path / "a.aux.xml").getroot()
    names = [item.text or "" for item in root.iter("Category")]
    assert (names[0], names[10], names[80], names[254], len(names)) == ("nodata", "trees", "water", "unsure", 255)
    rows = [[cell.text for cell in row] for row in root.iter("Row")]
    assert rows[0] == ["80", "water", "0", "100", "200"]


def test_qml_names_what_occurs(tmp_path):
    write_qml(tmp_path / "a.qml", CLASSES, {0, 80, 254})
    entries = {item.get("value"): item.attrib for item in Xml.parse(tmp_path / "a.qml").iter("paletteEntry")}
    assert {value: item["label"] for value, item in entries.items()} == {"80": "water", "254": "unsure", "0": "nodata"}
    assert (entries["80"]["alpha"], entries["0"]["alpha"]) == ("255", "0")


def test_what_is_written_is_read_again(tmp_path):
    write_aux_xml(tmp_path / "a.aux.xml", CLASSES)
    found = read_aux_xml(tmp_path / "a.aux.xml")
    assert [item for item in found if item.value] == sorted(CLASSES, key=lambda item: item.value)
    assert found[0] == ClassSpec(0, "nodata", "")


def test_names_alone_are_read_without_colours(tmp_path):
    names = "<Category/><Category>water</Category><Category></Category><Category>trees</Category>"
    text = f'<PAMDataset><PAMRasterBand band="1"><CategoryNames>{names}</CategoryNames></PAMRasterBand></PAMDataset>'
    (tmp_path / "a.aux.xml").write_text(text, encoding="utf-8")
    assert read_aux_xml(tmp_path / "a.aux.xml") == (ClassSpec(1, "water", ""), ClassSpec(3, "trees", ""))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "no XML at all",
        "<PAMDataset/>",
        '<!DOCTYPE x [<!ENTITY a "boom">]><PAMDataset><PAMRasterBand band="1"><CategoryNames><Category>&a;</Category>'
        "</CategoryNames></PAMRasterBand></PAMDataset>",
        '<PAMDataset><PAMRasterBand band="1"><GDALRasterAttributeTable><FieldDefn><Usage>5</Usage></FieldDefn>'
        "<Row><F>many</F></Row></GDALRasterAttributeTable></PAMRasterBand></PAMDataset>",
    ],
)
def test_a_legend_that_says_nothing_is_none(tmp_path, text):
    (tmp_path / "a.aux.xml").write_text(text, encoding="utf-8")
    assert read_aux_xml(tmp_path / "a.aux.xml") == ()
    assert read_aux_xml(tmp_path / "missing.aux.xml") == ()

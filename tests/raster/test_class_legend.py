"""The legend beside a class map: what GDAL and QGIS read as category names, attribute table and style."""

from xml.etree import ElementTree as Xml

from sardino_core.contract.model_spec import ClassSpec
from sardino_core.raster.class_legend import colour_table, write_aux_xml, write_qml

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


def test_qml_names_every_class(tmp_path):
    write_qml(tmp_path / "a.qml", CLASSES)
    entries = {item.get("value"): item.get("label") for item in Xml.parse(tmp_path / "a.qml").iter("paletteEntry")}
    assert entries == {"80": "water", "10": "trees", "254": "unsure"}

"""A QGIS style beside the sample points: open circles that let the image show through, and a form to label them with.

The form offers the map's classes in a drop-down list, so that no label is misspelt.
"""

from __future__ import annotations

from collections.abc import Sequence
from xml.etree import ElementTree as Xml  # nosec B405

from sardino_core.analysis.sample_file import REFERENCE
from sardino_core.contract.model_spec import ClassSpec

_DONE, _OPEN = "#27a05a", "#ff00c8"  # labelled or not; colours that no land cover has


def points_qml(classes: Sequence[ClassSpec]) -> str:
    """The style as XML text; `classes` are what a label may be."""
    root = Xml.Element("qgis", version="3.22", styleCategories="Symbology|Forms|Fields")
    fields = Xml.SubElement(root, "fieldConfiguration")
    widget = Xml.SubElement(Xml.SubElement(fields, "field", name=REFERENCE), "editWidget", type="ValueMap")
    config = Xml.SubElement(Xml.SubElement(widget, "config"), "Option", type="Map")
    choices = Xml.SubElement(config, "Option", name="map", type="List")
    for item in classes:
        choice = Xml.SubElement(choices, "Option", type="Map")
        Xml.SubElement(choice, "Option", name=item.name, type="QString", value=item.name)
    renderer = Xml.SubElement(root, "renderer-v2", type="RuleRenderer", symbollevels="0", enableorderby="0")
    rules = Xml.SubElement(renderer, "rules", key="sample")
    symbols = Xml.SubElement(renderer, "symbols")
    labelled = f'"{REFERENCE}" IS NOT NULL AND "{REFERENCE}" <> \'\''
    for number, (label, filter_, colour) in enumerate((("labelled", labelled, _DONE), ("to label", "ELSE", _OPEN))):
        Xml.SubElement(rules, "rule", key=label, label=label, filter=filter_, symbol=str(number))
        _circle(Xml.SubElement(symbols, "symbol", name=str(number), type="marker"), colour)
    Xml.indent(root)
    return Xml.tostring(root, encoding="unicode")


def _circle(symbol: Xml.Element, colour: str) -> None:
    red, green, blue = (int(colour[at : at + 2], 16) for at in (1, 3, 5))
    layer = Xml.SubElement(symbol, "layer", {"class": "SimpleMarker", "enabled": "1"})
    options = Xml.SubElement(layer, "Option", type="Map")
    for name, value in {
        "name": "circle",
        "color": "0,0,0,0",
        "outline_color": f"{red},{green},{blue},255",
        "outline_width": "0.6",
        "size": "4",
    }.items():
        Xml.SubElement(options, "Option", name=name, type="QString", value=value)

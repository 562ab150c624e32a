"""Write the models for QGIS's model designer that the plugin ships, sar_dino_qgis/models/*.model3.

They use QGIS's own, GDAL's and the plugin's algorithms. Needs QGIS's Python; afterwards open them in the designer and
look.
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path
from typing import Any

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
os.environ.setdefault("QT_HASH_SEED", "1")  # the same file every time
os.environ["QGIS_CUSTOM_CONFIG_PATH"] = tempfile.mkdtemp(prefix="sardino-models-")
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
sys.path.append("/usr/share/qgis/python/plugins")

from qgis.core import (
    QgsApplication,
    QgsProcessing,
    QgsProcessingModelAlgorithm,
    QgsProcessingModelChildAlgorithm,
    QgsProcessingModelChildDependency,
    QgsProcessingModelChildParameterSource,
    QgsProcessingModelOutput,
    QgsProcessingModelParameter,
    QgsProcessingParameterDefinition,
    QgsProcessingParameterFeatureSource,
    QgsProcessingParameterField,
    QgsProcessingParameterMapLayer,
    QgsProcessingParameterMultipleLayers,
    QgsProcessingParameterNumber,
    QgsProcessingParameterRasterLayer,
    QgsProcessingParameterString,
    QgsProcessingParameterVectorLayer,
)
from qgis.PyQt.QtCore import QPointF

from sar_dino_qgis import classFactory
from sar_dino_qgis.processing import parameters as declare

FOLDER = Path(__file__).resolve().parents[2] / "sar_dino_qgis" / "models"
EQUAL_AREA = "EPSG:6933"  # cylindrical, of the whole Earth: areas in a map's degrees or UTM metres would be wrong
SMALLEST = 10  # pixels, a tenth of a hectare at 10 m
STARTER_NAMES = "10=trees,30=low vegetation,50=built-up,60=bare,80=water,254=unsure"
Source = QgsProcessingModelChildParameterSource


class Chain:
    """A model whose steps stand below one another in the designer."""

    def __init__(self, name: str, group: str, description: str) -> None:
        self.model = QgsProcessingModelAlgorithm(name, group)
        self._help = {"ALG_DESC": f"<p>{description}</p>", "ALG_CREATOR": "SAR land cover (DINO)"}
        self._inputs: list[str] = []
        self._steps = 0

    def input(self, parameter: QgsProcessingParameterDefinition, help_text: str) -> None:
        """Declare an input of the model."""
        self._help[parameter.name()] = help_text
        shown = QgsProcessingModelParameter(parameter.name())
        shown.setPosition(QPointF(150 + 260 * len(self._inputs), 60))
        self._inputs.append(parameter.name())
        self.model.addModelParameter(parameter, shown)

    def step(
        self,
        name: str,
        algorithm: str,
        result: str = "",
        after: tuple[str, ...] = (),
        output: str = "OUTPUT",
        **given: Any,
    ) -> Any:
        """Add an algorithm; returns its `output` as a source for later ones. `result`: its title among the model's."""
        child = QgsProcessingModelChildAlgorithm(algorithm)
        child.setChildId(name)
        child.setDescription(name)
        child.setPosition(QPointF(330 + 240 * (self._steps % 2), 180 + 90 * self._steps))
        self._steps += 1
        for key, value in given.items():
            child.addParameterSources(key, [value if isinstance(value, Source) else Source.fromStaticValue(value)])
        child.setDependencies([QgsProcessingModelChildDependency(other) for other in after])
        if result:
            final = QgsProcessingModelOutput(result, result)
            final.setChildId(name)
            final.setChildOutputName(output)
            final.setPosition(child.position() + QPointF(260, 60))
            child.setModelOutputs({result: final})
        self.model.addChildAlgorithm(child)
        return Source.fromChildOutput(name, output)

    def save(self, path: Path) -> None:
        """Write the file."""
        self.model.setHelpContent(self._help)
        self.model.setParameterOrder(self._inputs)
        self.model.updateDestinationParameters()
        if not self.model.toFile(str(path)):
            raise SystemExit(f"error: {path} cannot be written")


def hectares() -> Chain:
    """Class map -> sieved -> polygons in an equal-area projection -> cut by zones -> hectares per class and zone."""
    chain = Chain(
        "Land cover in hectares",
        "From a map to figures",
        "Takes a land-cover map through sieve and polygons to hectares per class and zone. Areas are measured in an "
        f"equal-area projection ({EQUAL_AREA}), so that a map in degrees or in UTM is measured rightly. These are "
        "areas of the map; areas of the land, with their uncertainty, come from Accuracy of a map with sample points.",
    )
    chain.input(QgsProcessingParameterRasterLayer("MAP", "Land-cover map"), "A map made by `Segment land cover`.")
    chain.input(
        QgsProcessingParameterVectorLayer("ZONES", "Zones", [QgsProcessing.SourceType.TypeVectorPolygon], None, True),
        "Communes, catchments, parcels: polygons in any CRS. Empty: the whole map.",
    )
    chain.input(
        QgsProcessingParameterField("ZONE_FIELD", "Field with the zone's name", None, "ZONES", optional=True),
        "Empty: zones are numbered.",
    )
    chain.input(
        QgsProcessingParameterNumber(
            "SMALLEST", "Smallest patch in pixels", QgsProcessingParameterNumber.Type.Integer, SMALLEST, False, 1
        ),
        "Smaller ones take the class of their largest neighbour; 1: every pixel stays.",
    )
    chain.input(
        QgsProcessingParameterString("NAMES", "Names of the classes", STARTER_NAMES, False, True),
        "value=name,value=name; a class without a name is called by its value.",
    )
    named = Source.fromModelParameter
    smallest = Source.fromExpression(f"coalesce(@SMALLEST, {SMALLEST})")  # defaults do not reach the steps
    sieved = chain.step("sieve", "gdal:sieve", INPUT=named("MAP"), THRESHOLD=smallest)
    raw = chain.step("polygons", "gdal:polygonize", INPUT=sieved, BAND=1, FIELD="class")
    valid = chain.step("repair", "native:fixgeometries", INPUT=raw)
    land = chain.step("land", "native:extractbyexpression", INPUT=valid, EXPRESSION='"class" <> 0')
    level = chain.step("equal area", "native:reprojectlayer", INPUT=land, TARGET_CRS=EQUAL_AREA)
    chain.step("whole", "native:polygonfromlayerextent", INPUT=named("MAP"))
    either = Source.fromExpression("if(@ZONES_minx is null, @whole_OUTPUT, @ZONES)")
    sound = chain.step("repair zones", "native:fixgeometries", after=("whole",), INPUT=either)
    called = "if(@ZONES_minx is null, 'whole map', coalesce(to_string(attribute(@ZONE_FIELD)), 'zone ' || $id))"
    zoned = chain.step("name zones", "native:fieldcalculator", INPUT=sound, FIELD_NAME="zone", FIELD_TYPE=2,
                       FIELD_LENGTH=100, FORMULA=called)  # fmt: skip
    placed = chain.step("zones in equal area", "native:reprojectlayer", INPUT=zoned, TARGET_CRS=EQUAL_AREA)
    cut = chain.step("cut", "native:intersection", INPUT=level, OVERLAY=placed, INPUT_FIELDS=["class"],
                     OVERLAY_FIELDS=["zone"])  # fmt: skip
    name = f"coalesce(nullif(trim(regexp_substr(',' || coalesce(@NAMES, '{STARTER_NAMES}'), "
    name += "',\\\\s*' || \"class\" || '\\\\s*=([^,]*)')), ''), to_string(\"class\"))"
    labelled = chain.step("name classes", "native:fieldcalculator", INPUT=cut, FIELD_NAME="name", FIELD_TYPE=2,
                          FIELD_LENGTH=100, FORMULA=name)  # fmt: skip
    measured = chain.step("measure", "native:fieldcalculator", "Land-cover polygons", INPUT=labelled,
                          FIELD_NAME="hectares", FIELD_TYPE=0, FIELD_LENGTH=0, FIELD_PRECISION=0,
                          FORMULA="area($geometry) / 10000")  # fmt: skip
    summed = chain.step("sum", "native:aggregate", INPUT=measured, GROUP_BY='array("zone", "class")', AGGREGATES=[
        _column("zone", "first_value", 10), _column("class", "first_value", 2), _column("name", "first_value", 10),
        _column("hectares", "sum", 6), _column("hectares", "count", 2, "patches"),
    ])  # fmt: skip
    table = chain.step("table", "native:dropgeometries", INPUT=summed)
    chain.step("sort", "native:orderbyexpression", "Hectares per class and zone", INPUT=table,
               EXPRESSION='"zone" || lpad("class", 3, \'0\')')  # fmt: skip
    return chain


def _column(field: str, aggregate: str, kind: int, name: str = "") -> dict[str, Any]:
    """A column of the table; `kind` is a QVariant type."""
    return {"aggregate": aggregate, "delimiter": ",", "input": f'"{field}"', "length": 0, "name": name or field,
            "precision": 0, "type": kind}  # fmt: skip


def checked_map() -> Chain:
    """Dates -> composite -> the model's map, its attention, and a map from labelled areas -> accuracy of that map."""
    chain = Chain(
        "Dates to a checked land-cover map",
        "From dates to figures",
        "Takes the rasters of many dates to their mean, and makes three things of it: the model's own land-cover map, "
        "its attention, and a map of your own classes, learnt from labelled areas. The last is compared with a "
        "reference. The accuracy of areas on the ground needs sample points of the finished map: see Sample points for "
        "accuracy. Each step is in the Toolbox, too, with more parameters.",
    )
    areas = [QgsProcessing.SourceType.TypeVectorPolygon, QgsProcessing.SourceType.TypeVectorPoint]
    chain.input(
        QgsProcessingParameterMultipleLayers(
            "INPUT", "Sentinel-1 rasters of many dates", QgsProcessing.SourceType.TypeRaster
        ),
        "Calibrated and terrain-corrected, with VV and VH, of one orbit, or else with Only this orbit.",
    )
    chain.input(
        QgsProcessingParameterString("DATES", "Dates", "", False, True),
        "One for each raster, such as 2024-06-18 2024-06-30. Empty: recognised from tags and names.",
    )
    chain.input(
        QgsProcessingParameterString("ORBIT", "Only this orbit", "", False, True),
        "A relative orbit such as 137, or ascending, or descending. Empty: all dates; they must then be of one orbit.",
    )
    chain.input(
        declare.model(),
        "starter, which ships with the plugin, or a model file (.safetensors) with classes.",
    )
    chain.input(
        QgsProcessingParameterFeatureSource("TRAINING", "Labelled areas", areas),
        "Polygons or points of your own classes, in any CRS: two or more of every class, in different places.",
    )
    chain.input(
        QgsProcessingParameterField("FIELD", "Field with their class", "class", "TRAINING"),
        "Class values from 1 to 253, or names.",
    )
    chain.input(
        QgsProcessingParameterMapLayer("REFERENCE", "Reference", types=[*areas, QgsProcessing.SourceType.TypeRaster]),
        "Other areas or points of the same classes, or a raster of them: what the map from the labelled areas is "
        "compared with. Not the labelled areas again: the map knows them.",
    )
    chain.input(
        QgsProcessingParameterString("REFERENCE_FIELD", "Field with the reference's class", "reference"),
        "Of points and areas: class values, or names as those of the labelled areas.",
    )
    named = Source.fromModelParameter
    mean = chain.step("composite", "sardino:composite", "Composite", INPUT=named("INPUT"), DATES=named("DATES"),
                      ORBIT=named("ORBIT"))  # fmt: skip
    chain.step("segment", "sardino:segment", "Land cover by the model", INPUT=mean, MODEL=named("MODEL"))
    chain.step("attention", "sardino:attention", "Attention", INPUT=mean, MODEL=named("MODEL"))
    own = chain.step("classify", "sardino:classify", "Land cover from labelled areas", INPUT=mean, MODEL=named("MODEL"),
                     TRAINING=named("TRAINING"), FIELD=named("FIELD"))  # fmt: skip
    chain.step("accuracy", "sardino:accuracy", "Accuracy report", output="OUTPUT_HTML", CLASSIFIED=own,
               REFERENCE=named("REFERENCE"), FIELD=named("REFERENCE_FIELD"))  # fmt: skip
    return chain


def main() -> None:
    """Write every model."""
    application = QgsApplication([], True)
    application.initQgis()
    from processing.core.Processing import Processing

    Processing.initialize()
    plugin = classFactory(None)
    plugin.initProcessing()
    FOLDER.mkdir(exist_ok=True)
    hectares().save(FOLDER / "hectares.model3")
    checked_map().save(FOLDER / "checkedmap.model3")
    print("\n".join(map(str, sorted(FOLDER.glob("*.model3")))))
    plugin.unload()
    application.exitQgis()


if __name__ == "__main__":
    main()

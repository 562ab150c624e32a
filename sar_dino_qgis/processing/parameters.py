"""The parameters that several algorithms share: each with its help, its default, and the range that the core allows."""

from __future__ import annotations

from collections.abc import Sequence

from qgis.core import (
    QgsProcessing,
    QgsProcessingParameterBoolean,
    QgsProcessingParameterDefinition,
    QgsProcessingParameterEnum,
    QgsProcessingParameterExtent,
    QgsProcessingParameterFeatureSource,
    QgsProcessingParameterFileDestination,
    QgsProcessingParameterMapLayer,
    QgsProcessingParameterMultipleLayers,
    QgsProcessingParameterNumber,
    QgsProcessingParameterRasterDestination,
    QgsProcessingParameterRasterLayer,
    QgsProcessingParameterString,
)

from sar_dino_qgis.i18n import tr
from sardino_core.contract.model_reader import STARTER

MODEL_WIDGET = "sar_dino_qgis.gui.model_widget.ModelWidget"


def advanced(parameter: QgsProcessingParameterDefinition) -> QgsProcessingParameterDefinition:
    """The parameter, folded away with the other advanced ones."""
    parameter.setFlags(parameter.flags() | QgsProcessingParameterDefinition.Flag.FlagAdvanced)
    return parameter


def helped(parameter: QgsProcessingParameterDefinition, text: str) -> QgsProcessingParameterDefinition:
    """The parameter with its help."""
    parameter.setHelp(text)
    return parameter


def scene() -> QgsProcessingParameterDefinition:
    """INPUT: the rasters of one scene."""
    return helped(
        QgsProcessingParameterMultipleLayers("INPUT", tr("Sentinel-1 scene"), QgsProcessing.SourceType.TypeRaster),
        tr(
            "One or more rasters of one scene: a file with VV and VH, or one file of each; tiles are mosaicked. "
            "Calibrated and terrain-corrected, in dB, power or amplitude, as local files."
        ),
    )


def model(title: str = "", name: str = "MODEL") -> QgsProcessingParameterDefinition:
    """MODEL: `starter`, or a model file."""
    parameter = QgsProcessingParameterString(name, title or tr("Model"), STARTER)
    parameter.setMetadata({"widget_wrapper": {"class": MODEL_WIDGET}})
    return helped(
        parameter,
        tr("`starter` ships with the plugin. Any other model is a .safetensors file; its bands, units, spacing and "
           "classes are read from it."),
    )  # fmt: skip


def extent() -> QgsProcessingParameterDefinition:
    """EXTENT: only this rectangle."""
    return helped(
        QgsProcessingParameterExtent("EXTENT", tr("Extent"), optional=True),
        tr("Only this rectangle is processed; in any CRS. Empty: the whole scene."),
    )


def cutline() -> QgsProcessingParameterDefinition:
    """CUTLINE: only inside polygons."""
    return helped(
        QgsProcessingParameterFeatureSource(
            "CUTLINE", tr("Only inside these polygons"), [QgsProcessing.SourceType.TypeVectorPolygon], optional=True
        ),
        tr("Pixels outside the polygons become nodata; in any CRS. Empty: the whole scene."),
    )


def mask() -> QgsProcessingParameterDefinition:
    """MASK: not where this covers."""
    kinds = [QgsProcessing.SourceType.TypeRaster, QgsProcessing.SourceType.TypeVectorPolygon]
    return helped(
        QgsProcessingParameterMapLayer("MASK", tr("Not where this mask covers"), optional=True, types=kinds),
        tr("Layover and shadow, for example: polygons, or a raster that is not zero there. They become nodata."),
    )


def overlap(default: float) -> QgsProcessingParameterDefinition:
    """OVERLAP: of neighbouring windows."""
    return helped(
        QgsProcessingParameterNumber(
            "OVERLAP", tr("Overlap of windows"), QgsProcessingParameterNumber.Type.Double, default, False, 0.0, 0.75
        ),
        tr("Share of a window that it has in common with its neighbour, where both are blended. More is smoother, and "
           "slower."),
    )  # fmt: skip


def class_map() -> QgsProcessingParameterDefinition:
    """CLASSIFIED: a land-cover map."""
    return helped(
        QgsProcessingParameterRasterLayer("CLASSIFIED", tr("Land-cover map")),
        tr("A map made by `Segment land cover`, or any raster of class values; a local file."),
    )


def report_output() -> QgsProcessingParameterDefinition:
    """OUTPUT_HTML: a report."""
    return helped(
        QgsProcessingParameterFileDestination("OUTPUT_HTML", tr("Report"), tr("HTML files (*.html)")),
        tr("A page for a browser, complete in itself."),
    )


def choice(
    name: str, title: str, options: Sequence[str], default: str, help_text: str
) -> QgsProcessingParameterDefinition:
    """One of several words; scripts give the word, too."""
    parameter = QgsProcessingParameterEnum(name, title, list(options), False, default, False, True)
    return helped(parameter, help_text)


def whole_number(
    name: str, title: str, default: int, low: int | None, high: int | None, help_text: str
) -> QgsProcessingParameterDefinition:
    """A whole number within a range; None: without end."""
    parameter = QgsProcessingParameterNumber(name, title, QgsProcessingParameterNumber.Type.Integer, default)
    if low is not None:
        parameter.setMinimum(low)
    if high is not None:
        parameter.setMaximum(high)
    return helped(parameter, help_text)


def flag(name: str, title: str, default: bool, help_text: str) -> QgsProcessingParameterDefinition:
    """Yes or no."""
    return helped(QgsProcessingParameterBoolean(name, title, default), help_text)


def layer(more: str = "") -> QgsProcessingParameterDefinition:
    """LAYER: of the network."""
    counted = tr("Counted from 0, or from the last with negative numbers: -1.")
    return whole_number("LAYER", tr("Layer"), -1, -64, 63, f"{counted} {more}".strip())


def reading() -> list[QgsProcessingParameterDefinition]:
    """BANDS and UNITS, for rasters that do not tell them themselves."""
    bands = QgsProcessingParameterString("BANDS", tr("Bands"), "", optional=True)
    return [
        helped(bands, tr("Where band names do not tell: VV=1,VH=2; with seasons: VV@summer=1. Empty: recognised.")),
        choice(
            "UNITS",
            tr("Units of the raster"),
            ["auto", "db", "power", "amplitude", "uint8db", "dn83"],
            "auto",
            tr("`auto` recognises them, and asks where they are ambiguous. uint8db: dB = DN*30/255 - 30; dn83: "
               "dB = 20 log10(DN) - 83."),
        ),
    ]  # fmt: skip


def running() -> list[QgsProcessingParameterDefinition]:
    """BATCH_SIZE and DEVICE."""
    return [
        whole_number(
            "BATCH_SIZE", tr("Windows at once (0: automatic)"), 0, 0, 4096, tr("Fewer need less memory; 0: chosen.")
        ),
        choice(
            "DEVICE",
            tr("Device"),
            ["auto", "cpu", "cuda", "mps"],
            "auto",
            tr(
                "cuda: an NVIDIA GPU; mps: Apple's. `auto` takes the first GPU that works, or else the processor; on "
                "Windows any maker's, with onnxruntime-directml in the environment."
            ),
        ),
    ]


def raster_output(
    name: str, title: str, help_text: str, *, by_default: bool = True
) -> QgsProcessingParameterDefinition:
    """A GeoTIFF to write; not `by_default`: only on request."""
    return helped(QgsProcessingParameterRasterDestination(name, title, None, not by_default, by_default), help_text)

"""Merge and rename classes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from qgis.core import (
    QgsProcessingContext,
    QgsProcessingFeedback,
    QgsProcessingParameterDefinition,
    QgsProcessingParameterMatrix,
)

from sar_dino_qgis.i18n import tr
from sar_dino_qgis.layers.post_processor import announce
from sar_dino_qgis.processing import parameters as declare
from sar_dino_qgis.processing.base import Parameters, SardinoAlgorithm
from sar_dino_qgis.processing.tables import rows_of, words
from sardino_core.contract.class_table import parse_table
from sardino_core.contract.errors import SettingInvalid
from sardino_core.contract.jobs import MergeClassesJob
from sardino_core.contract.messages import Result

_COLUMNS = ("class value", "becomes", "name", "colour")
_ROWS = f"Correct the table; the cells of a row are: {', '.join(_COLUMNS)}."


class MergeClasses(SardinoAlgorithm):
    """A map with classes merged, renamed, recoloured or made nodata."""

    NAME = "mergeclasses"
    TITLE = "Merge and rename classes"
    GROUP = ("quality", "Before and after a map")
    TAGS = ("reclassify", "recode", "legend", "colour", "aggregate", "generalise")
    HELP = (
        "Makes a land-cover map with other classes: several become one, or get another name or colour. Classes that "
        "the table does not name stay as they are, and so does nodata (0)."
    )

    def parameters(self) -> list[QgsProcessingParameterDefinition]:
        headers = [tr("Class value"), tr("Becomes"), tr("Name"), tr("Colour")]
        table = QgsProcessingParameterMatrix("CLASSES", tr("Classes"), 1, False, headers)
        return [
            declare.class_map(),
            declare.helped(
                table,
                tr("A row for each class that changes: its value; the value that it becomes (empty: the same; 0: "
                   "nodata); the new name and the new colour, such as #1b7837 (empty: those that the new value has in "
                   "the map, else those of the class that becomes it). The same new value in several rows merges their "
                   "classes; name and colour are needed once. Unsure is 254. From a script: all cells in one list, "
                   "row by row; from qgis_process: 10,1,woodland,#1b7837,20,1,, for two rows."),
            ),
            declare.raster_output("OUTPUT", tr("Merged land cover"), tr("The map, with names and colours.")),
        ]  # fmt: skip

    def check(self, parameters: Parameters, context: QgsProcessingContext) -> None:
        self.class_map_file(parameters, context)
        try:
            parse_table(self._entries(parameters, context))
        except SettingInvalid as error:
            in_words = "=" in error.hint  # as the command line takes them
            raise SettingInvalid(error.message, _ROWS if in_words else error.hint) from error

    def read_layers(self, parameters: Parameters, context: QgsProcessingContext) -> None:
        self._classified = self.class_map_file(parameters, context)

    def job(
        self, parameters: Parameters, context: QgsProcessingContext, feedback: QgsProcessingFeedback
    ) -> MergeClassesJob:
        self._destination = self.layer_destination(parameters, "OUTPUT", context)
        output = str(Path(self._destination).absolute())
        return MergeClassesJob(self._classified, output, self._entries(parameters, context))

    def finish(
        self, job: MergeClassesJob, result: Result, context: QgsProcessingContext, feedback: QgsProcessingFeedback
    ) -> dict[str, Any]:
        feedback.pushInfo(", ".join(f"{name} {count}" for name, count in result.values["pixels"].items()))
        title = self.parameterDefinition("OUTPUT").description()
        announce(context, self._destination, title, f"{title}, {Path(job.classified).stem}")
        return {"OUTPUT": self._destination}

    def _entries(self, parameters: Parameters, context: QgsProcessingContext) -> tuple[str, ...]:
        return table_entries(self.parameterAsMatrix(parameters, "CLASSES", context))


def table_entries(cells: Sequence[Any]) -> tuple[str, ...]:
    """The table's cells, row by row, as the core takes them. Raises SettingInvalid for what makes no rows of four."""
    return tuple(_entry(*row) for row in rows_of(cells, _COLUMNS))


def _entry(old: str, new: str, *rest: str) -> str:
    name, colour = words(*rest)
    entry = f"{old}={new or old}"
    if colour or ":" in name:  # the last colon is the one before the colour
        return f"{entry}:{name}:{colour}"
    return f"{entry}:{name}" if name else entry

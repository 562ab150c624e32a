"""Small tables (QgsProcessingParameterMatrix) as rows of texts, filled in by a dialog, a script or qgis_process."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from qgis.core import NULL

from sardino_core.contract.errors import SettingInvalid


def rows_of(cells: Sequence[Any], columns: Sequence[str]) -> list[list[str]]:
    """The cells, row by row; rows in which nothing is filled in are left out. Raises SettingInvalid."""
    texts, width = [_text(cell) for cell in cells], len(columns)
    if any(texts) and len(texts) % width:
        raise SettingInvalid(
            f"The table has {len(texts)} cells; a row has {width}: {', '.join(columns)}.",
            "Leave cells empty, but do not leave them out.",
        )
    rows = [texts[start : start + width] for start in range(0, len(texts), width)]
    return [row for row in rows if any(row) and row != ["0"] * width]  # QGIS fills a new row with zeros


def words(*cells: str) -> list[str]:
    """Cells that hold words: what QGIS puts into a new row is none."""
    return ["" if cell == "0" else cell for cell in cells]


def _text(cell: Any) -> str:
    """A cell as it was meant: qgis_process makes a 10.0 of a 10."""
    if cell is None or cell == NULL:
        return ""
    if isinstance(cell, float) and cell.is_integer():
        return str(int(cell))
    return str(cell).strip()

"""An error matrix as lines of a CSV file and as a shaded table: the map in the rows, the reference in the columns."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sardino_core.analysis.report_page import Cell, Page, number
from sardino_core.contract.model_spec import UNSURE_COLOUR, UNSURE_NAME, ClassSpec

Rows = list[list[Any]]


def csv_text(rows: Rows) -> str:
    """Comma-separated; None is empty."""
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="\n").writerows(rows)
    return buffer.getvalue()


def matrix_rows(title: str, matrix: NDArray[Any], classes: Sequence[ClassSpec]) -> Rows:
    """A header and one line per row of the map, with the sums at the end of both."""
    names = [item.name for item in classes]
    labels = [*names, UNSURE_NAME][: len(matrix)]
    lines: Rows = [[f"map \\ reference ({title})", *names, "sum"]]
    lines += [[label, *row.tolist(), row.sum().item()] for label, row in zip(labels, matrix, strict=True)]
    return [*lines, ["sum", *matrix.sum(axis=0).tolist(), matrix.sum().item()]]


def matrix_page(
    page: Page, matrix: NDArray[Any], classes: Sequence[ClassSpec], caption: str, *, share: bool = False
) -> None:
    """Add a matrix: right cells in blue, wrong ones in red, the darker the larger their part of the row."""
    names = [item.name for item in classes]
    swatches = [*(item.colour for item in classes), UNSURE_COLOUR]
    labels = [*names, UNSURE_NAME][: len(matrix)]
    rows: list[list[Cell | str]] = []
    for index, (label, values) in enumerate(zip(labels, matrix, strict=True)):
        total = float(values.sum()) or 1.0
        cells = [
            Cell(_text(value, share), float(value) / total, wrong=index != col) for col, value in enumerate(values)
        ]
        rows.append([Cell(label, swatch=swatches[index]), *cells, _text(values.sum(), share)])
    rows.append(["sum", *(_text(value, share) for value in matrix.sum(axis=0)), _text(np.sum(matrix), share)])
    page.table(["map \\ reference", *names, "sum"], rows, caption)


def _text(value: Any, share: bool) -> str:
    return f"{100 * float(value):.2f} %" if share else number(float(value))

"""The study's report, written from the records of its cells alone: study.md, CSV tables, two pictures."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from dataclasses import fields, is_dataclass
from math import isfinite
from pathlib import Path
from typing import Any

from sardino_core.models.model_file import write_aside
from sardino_core.study.basis import Basis
from sardino_core.study.figures import draw_differences, draw_scores
from sardino_core.study.page import page
from sardino_core.study.records import Record
from sardino_core.study.tables import tabulate


def write_report(basis: Basis) -> dict[str, Path]:
    """Write everything that is reported; returns the files by role."""
    records = basis.records()
    found = tabulate(basis.config, basis.ground.places, records)
    arms = [arm.name for arm in basis.config.arms]
    contents = {
        "scores.csv": _csv(found.scores),
        "classes.csv": _csv(found.classes),
        "differences.csv": _csv(found.differences),
        "real.csv": _csv(found.real),
        "cells.csv": _csv(map(_row, records.values())),
        "places.csv": _csv(
            {
                "place": place.name,
                "role": place.role,
                "in pre-training": int(basis.config.pretrains and place.pretrains),
            }
            for place in basis.ground.places
        ),
        "scores.png": draw_scores(found.scores, arms),
        "differences.png": draw_differences(found.differences),
        "study.md": page(basis, found, records).encode(),
    }
    for name, content in contents.items():
        write_aside(basis.out / name, content)
    return {name: basis.out / name for name in contents}


def _row(record: Record) -> dict[str, Any]:
    """A cell as a line of cells.csv."""
    cell, outcome = record.cell, record.outcome
    return {
        "cell": cell.name,
        "arm": cell.arm,
        "fraction": cell.fraction,
        "seed": cell.seed,
        "trial": int(cell.tried is not None),
        "value": record.value,
        "status": record.status,
        "seconds": record.seconds,
        "share of labels": round(outcome.label_share, 5),
        "places with labels": outcome.label_places,
        "error": record.error,
    }


def _csv(rows: Iterable[Any]) -> bytes:
    """Dataclasses or dictionaries as a table; nothing but a line break without any."""
    flat = [_flat(row) if is_dataclass(row) else row for row in rows]
    text = io.StringIO()
    writer = csv.DictWriter(text, list(flat[0]) if flat else [], lineterminator="\n")
    writer.writeheader()
    writer.writerows(flat)
    return text.getvalue().encode()


def _flat(row: Any) -> dict[str, Any]:
    """A dataclass with those within it laid open, numbers to six digits, what is not a number empty."""
    found: dict[str, Any] = {}
    for field in fields(row):
        value = getattr(row, field.name)
        found |= _flat(value) if is_dataclass(value) else {field.name: value}
    return {name: _rounded(value) if isinstance(value, float) else value for name, value in found.items()}


def _rounded(value: float) -> float | str:
    return round(value, 6) if isfinite(value) else ""

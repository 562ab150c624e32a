"""What is kept of a cell: a small JSON file, written whole or not at all. All that is reported comes from these."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from sardino_core.contract.errors import SettingInvalid
from sardino_core.contract.serial import from_dict, to_dict
from sardino_core.models.model_file import write_aside
from sardino_core.study.cells import Cell

FOLDER = "cells"


@dataclass(frozen=True)
class Outcome:
    """What a cell found."""

    labels: dict[str, int]  # class -> labelled pixels that trained
    label_share: float  # of all training labels
    label_places: int  # that they lie in
    members: tuple[tuple[int, ...], ...]  # of each row of the counts: the class values that the label allows
    counts: dict[str, tuple[tuple[int, ...], ...]]  # place -> pixels by label and predicted class


@dataclass(frozen=True)
class Record:
    """A cell that was tried."""

    cell: Cell
    settings: str  # hash of what it was told
    value: float  # the learning rate, or the forest's smallest leaf
    status: Literal["done", "failed"]
    error: str = ""  # one line
    seconds: float = 0.0
    outcome: Outcome = field(default_factory=lambda: Outcome({}, 0.0, 0, (), {}))

    @property
    def done(self) -> bool:
        """Whether it has an outcome."""
        return self.status == "done"


def write_record(out: Path, record: Record) -> None:
    """Put it in its place, instead of an older one."""
    write_aside(_path(out, record.cell), json.dumps(to_dict(record), allow_nan=False).encode())


def read_record(out: Path, cell: Cell) -> Record | None:
    """The record of a cell, or None when there is none that can be read."""
    try:
        return from_dict(Record, json.loads(_path(out, cell).read_text(encoding="utf-8")))
    except (OSError, ValueError, SettingInvalid):
        return None


def read_records(out: Path, cells: Iterable[Cell]) -> dict[str, Record]:
    """Those that there are, by the cell's name."""
    found = ((cell.name, read_record(out, cell)) for cell in cells)
    return {name: record for name, record in found if record is not None}


def _path(out: Path, cell: Cell) -> Path:
    return out / FOLDER / f"{cell.name}.json"

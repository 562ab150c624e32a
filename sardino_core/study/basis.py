"""What a study's cells rest on, kept beside them: the configuration as resolved, the places, the pre-trained weights.

With it and the cells' records everything that is reported can be written again, without a raster or a model.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sardino_core.contract.errors import InputMissing
from sardino_core.contract.serial import from_dict, to_dict
from sardino_core.models.model_file import write_aside
from sardino_core.study.cells import Cell, CellJob, Settled, finals, job_of, trials
from sardino_core.study.config import StudyConfig, load_study_config
from sardino_core.study.places import Place
from sardino_core.study.records import Record, read_records
from sardino_core.study.tables import choose
from sardino_core.training.settings.yaml_config import dump_config

CONFIG, PLACES = "config.yaml", "places.json"


@dataclass(frozen=True)
class Ground:
    """The places and the weights."""

    places: tuple[Place, ...]
    weights: str = ""  # hash of the pre-trained model file


@dataclass(frozen=True)
class Basis:
    """A study in its folder."""

    config: StudyConfig
    out: Path
    ground: Ground
    model: str = ""  # the pre-trained model file

    def trials(self) -> list[CellJob]:
        """The jobs of all trials."""
        return [self._job(cell, cell.tried or 0.0) for cell in trials(self.config)]

    def finals(self, settled: Settled) -> list[CellJob]:
        """The jobs of the cells whose arm and share of the labels have a value."""
        cells = [cell for cell in finals(self.config) if (cell.arm, cell.fraction) in settled]
        return [self._job(cell, settled[cell.arm, cell.fraction]) for cell in cells]

    def records(self) -> dict[str, Record]:
        """Of all cells that were tried with these very settings, and failures whatever they were told."""
        tried = self._current(self.trials(), trials(self.config))
        return tried | self._current(self.finals(choose(self.config, tried)), finals(self.config))

    def _current(self, jobs: Sequence[CellJob], cells: Sequence[Cell]) -> dict[str, Record]:
        settings = {job.cell.name: job.settings for job in jobs}
        found = read_records(self.out, cells)
        return {
            name: record
            for name, record in found.items()
            if (record.settings == settings.get(name) if record.done else True)
        }

    def _job(self, cell: Cell, value: float) -> CellJob:
        return job_of(cell, value, self.config, self.ground.places, self.out, (self.model, self.ground.weights))


def write_basis(basis: Basis) -> None:
    """Beside the cells."""
    write_aside(basis.out / CONFIG, dump_config(basis.config).encode())
    write_aside(basis.out / PLACES, json.dumps(to_dict(basis.ground), indent=1).encode())


def read_basis(out: Path) -> Basis:
    """Raises InputMissing when the folder holds no study."""
    if not (out / CONFIG).exists() or not (out / PLACES).exists():
        raise InputMissing(f"{out} holds no study yet.", "Run it first, without --report.")
    ground = from_dict(Ground, json.loads((out / PLACES).read_text(encoding="utf-8")))
    return Basis(load_study_config(out / CONFIG), out, ground)

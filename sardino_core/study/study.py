"""A study from beginning to end, readable as one paragraph: places, pre-training, trials, cells, report."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from sardino_core.contract.errors import OutputUnwritable
from sardino_core.contract.leftovers import try_lock
from sardino_core.contract.listener import Listener
from sardino_core.contract.messages import Result
from sardino_core.study.basis import Basis, Ground, read_basis, write_basis
from sardino_core.study.cells import Cell, Settled, finals, trials
from sardino_core.study.config import StudyConfig
from sardino_core.study.cost import pretraining_seconds, seconds
from sardino_core.study.given_places import given_places, real_places
from sardino_core.study.labels import look_at_labels
from sardino_core.study.places import Place, count, simulate, simulated_places
from sardino_core.study.pretraining import folder_of, pretrained
from sardino_core.study.records import FOLDER, Record, write_record
from sardino_core.study.report import write_report
from sardino_core.study.runner import Runner, missing
from sardino_core.study.tables import choose
from sardino_core.training.running.run import duration, make_folder


def run_study(config: StudyConfig, out: str | Path, listener: Listener) -> Result:
    """Do what is missing, then write the report. Raises SardinoError; Cancelled when the listener wants it."""
    folder = Path(out).absolute()
    places = find_places(config, folder)
    say(config, places, folder, listener)
    make_folder(folder / FOLDER)
    with _alone(folder):
        if config.simulated:
            simulate(config, folder, listener)
        look_at_labels(config, places, folder, listener)
        model, weights = pretrained(config, places, folder, listener) if config.pretrains else ("", "")
        basis = Basis(config, folder, Ground(places, weights), model)
        write_basis(basis)
        with Runner(folder, config.workers, config.threads, listener) as runner:
            runner.run(missing(basis.trials(), folder), "trials")
            settled = choose(config, basis.records())
            runner.run(missing(basis.finals(settled), folder), "cells")
        _mark_unsettled(config, settled, folder)
        files = write_report(basis)
    failed = sum(not record.done for record in basis.records().values())
    if failed:
        listener.log("warning", f"{count(failed, 'cell')} failed; study.md tells why, and the same command tries again")
    return Result({name: str(path) for name, path in files.items()}, {"failed": failed})


def report_study(out: str | Path) -> Result:
    """Write the report again from the cells in the folder. Raises InputMissing."""
    files = write_report(read_basis(Path(out).absolute()))
    return Result({name: str(path) for name, path in files.items()})


def plan_study(config: StudyConfig, out: str | Path, listener: Listener) -> list[str]:
    """What a run would do, written nowhere: a line per cell, after what `say` says."""
    folder = Path(out).absolute()
    places = find_places(config, folder)
    records = say(config, places, folder, listener)
    done = {name for name, record in records.items() if record.done}
    return [f"{cell.name}{' (done)' if cell.name in done else ''}" for cell in (*trials(config), *finals(config))]


def find_places(config: StudyConfig, folder: Path) -> tuple[Place, ...]:
    """All places; simulated ones need not be made yet. Raises SettingInvalid for a single place."""
    places = simulated_places(config, folder) if config.simulated else given_places(config)
    return places + (real_places(config.real, config.finetune) if config.real else ())


def say(config: StudyConfig, places: tuple[Place, ...], folder: Path, listener: Listener) -> dict[str, Record]:
    """How much there is to do, and how long it takes; returns the records of cells that were tried already."""
    roles = Counter(place.role for place in places)
    told = ", ".join(f"{number} {role}" for role, number in roles.items())
    seen = f"; pre-training sees {count(sum(place.seen for place in places), 'test place')}" if config.pretrains else ""
    listener.log("info", f"places: {told}{seen}")
    if not config.real:
        where = "on simulation alone" if config.simulated else "on its own places alone"
        listener.log("info", f"no real tiles are given (real=FOLDER): the study runs {where}")
    before = _pretrained_before(config, places, folder)
    records = Basis(config, folder, Ground(places, before)).records() if before is not None else {}
    cells = [*trials(config), *finals(config)]
    left: list[Cell] = [cell for cell in cells if cell.name not in records or not records[cell.name].done]
    total = seconds(left, config, places, records)
    total += pretraining_seconds(config) if before is None else 0.0
    listener.log("info", f"{count(len(cells), 'cell')}, {len(left)} of them to be done: about {duration(total)}")
    return records


def _pretrained_before(config: StudyConfig, places: Sequence[Place], folder: Path) -> str | None:
    """The hash of the pre-trained weights, `` when none are needed, None when they are not there yet."""
    from sardino_core.models.model_file import weights_hash

    if not config.pretrains:
        return ""
    model = folder_of(config, places, folder) / "model.safetensors"
    return weights_hash(model) if model.exists() else None


def _mark_unsettled(config: StudyConfig, settled: Settled, folder: Path) -> None:
    """Where every trial has failed, the cells fail with them."""
    for cell in finals(config):
        if (cell.arm, cell.fraction) not in settled:
            write_record(folder, Record(cell, "", 0.0, "failed", "every trial of this arm and share failed"))


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Raises OutputUnwritable when another study is at work in the folder."""
    with open(folder / ".lock", "w+b") as lock:
        if not try_lock(lock):
            raise OutputUnwritable(f"Another study is at work in {folder}.", "Wait for it, or choose another --out.")
        yield

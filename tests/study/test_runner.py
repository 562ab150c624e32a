from __future__ import annotations

import threading
from dataclasses import replace

import pytest

from sardino_core.contract.errors import Cancelled, WorkerDied
from sardino_core.study.config import ArmConfig
from sardino_core.study.processes import WorkerProcess
from sardino_core.study.records import FOLDER, read_record, write_record
from sardino_core.study.runner import Runner, missing
from tests.study.studies import basis, lakes, study
from tests.training.runs import Ear

FOREST = ArmConfig("forest", (1.0, 5.0), kind="forest")
DIVERGING = ArmConfig("diverging", (1e-3, 1e30))


class Impatient(Ear):
    """Wants to stop after some cells."""

    def __init__(self, after: int) -> None:
        super().__init__()
        self._after = after

    def cancelled(self) -> bool:
        return len(self.said) >= self._after


@pytest.fixture
def jobs(tmp_path):
    config = study(*lakes(tmp_path / "in", 5), arms=(FOREST, DIVERGING), compare=(), fractions=(1.0,))
    (tmp_path / FOLDER).mkdir()
    return basis(config, tmp_path).trials()


def test_a_cell_that_fails_is_recorded_and_the_others_go_on(tmp_path, jobs):
    ear = Ear()
    with Runner(tmp_path, 2, 1, ear) as runner:
        runner.run(missing(jobs, tmp_path), "trials")
        records = {job.cell.name: read_record(tmp_path, job.cell) for job in jobs}
        failed = records.pop("diverging_1_try-1e+30")
        assert failed.status == "failed"
        assert "has diverged" in failed.error
        assert "\n" not in failed.error
        assert all(record.done and record.seconds > 0 for record in records.values())
        assert len(records) == 3
        assert [line for line in ear.said if line.startswith("warning")] == [
            f"warning: diverging_1_try-1e+30 failed: {failed.error}"
        ]
        assert missing(jobs, tmp_path) == [job for job in jobs if job.value == 1e30]  # it is tried again

        other = replace(jobs[0], config=replace(jobs[0].config, seed=7))
        assert missing([other], tmp_path) == [other]
        process = runner._workers[0].process
    assert process.poll() is not None  # none is left behind


def test_a_worker_that_dies_fails_its_cell_and_another_takes_its_place(tmp_path, jobs):
    worker = WorkerProcess(1, tmp_path / "log")
    worker._running().kill()
    worker.process.wait()
    assert worker.ask(jobs[0]).counts  # found dead before it was asked: started again

    optimiser = replace(jobs[2].config.optimiser, steps=1_000_000)
    endless = replace(jobs[2], config=replace(jobs[2].config, optimiser=optimiser))
    assert endless.cell.arm == "diverging"
    killer = threading.Timer(1.0, worker.process.kill)
    killer.start()
    with pytest.raises(WorkerDied, match="ended with status"):
        worker.ask(endless)
    assert worker.ask(jobs[0]).counts
    worker.end()
    with pytest.raises(WorkerDied):
        worker.ask(jobs[0])


def test_being_stopped_keeps_what_is_done(tmp_path, jobs):
    with Runner(tmp_path, 1, 1, Impatient(1)) as runner, pytest.raises(Cancelled, match="The same command goes on"):
        runner.run(jobs, "trials")
    done = [job for job in jobs if (record := read_record(tmp_path, job.cell)) and record.done]
    assert 1 <= len(done) < len(jobs)
    assert missing(jobs, tmp_path) == [job for job in jobs if job not in done]


def test_a_damaged_record_is_done_again(tmp_path, jobs):
    path = tmp_path / FOLDER / f"{jobs[0].cell.name}.json"
    for text in ("", "{", "[1]", '{"cell": 3}'):
        path.write_text(text)
        assert read_record(tmp_path, jobs[0].cell) is None
    assert missing(jobs[:1], tmp_path) == jobs[:1]


def test_a_record_comes_back_as_it_was(tmp_path, jobs):
    with Runner(tmp_path, 1, 1, Ear()) as runner:
        runner.run(jobs[:1], "trials")
    record = read_record(tmp_path, jobs[0].cell)
    write_record(tmp_path, record)
    assert read_record(tmp_path, jobs[0].cell) == record
    assert record.settings == jobs[0].settings

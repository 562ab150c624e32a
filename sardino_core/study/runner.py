"""Cells done by worker processes, each kept as soon as it is done: a rerun does what is missing. No torch.

A cell that fails is recorded with its reason, the others go on, and the next run tries it again.
"""

from __future__ import annotations

import queue
import time
from collections.abc import Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from pathlib import Path

from sardino_core.contract.errors import Cancelled, WorkerDied
from sardino_core.contract.listener import Listener
from sardino_core.study.cells import CellJob
from sardino_core.study.places import GO_ON
from sardino_core.study.processes import CellFailed, WorkerProcess
from sardino_core.study.records import Record, read_record, write_record
from sardino_core.training.running.run import duration

_LISTEN_S = 0.2  # how often the wish to stop is looked for


def missing(jobs: Sequence[CellJob], out: Path) -> list[CellJob]:
    """Those that are not done with these very settings."""
    found = [(job, read_record(out, job.cell)) for job in jobs]
    return [job for job, record in found if record is None or not record.done or record.settings != job.settings]


class Runner:
    """The workers of one study; they stay warm from one list of cells to the next."""

    def __init__(self, out: Path, workers: int, threads: int, listener: Listener) -> None:
        """`out`: the study's folder."""
        self._out, self._listener = out, listener
        self._idle: queue.Queue[WorkerProcess] = queue.Queue()
        self._workers = [WorkerProcess(threads, out / f"worker-{number}.log") for number in range(workers)]
        for worker in self._workers:
            self._idle.put(worker)

    def run(self, jobs: Sequence[CellJob], what: str) -> None:
        """Do the jobs in their order, as many at a time as there are workers. Raises Cancelled."""
        with ThreadPoolExecutor(len(self._workers), thread_name_prefix="study") as threads:
            try:
                self._collect({threads.submit(self._ask, job) for job in jobs}, what)
            except BaseException:
                threads.shutdown(wait=False, cancel_futures=True)
                self.end()
                raise

    def end(self) -> None:
        """End all workers."""
        for worker in self._workers:
            worker.end()

    def __enter__(self) -> Runner:
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    def _ask(self, job: CellJob) -> Record:
        """In a thread: the record of a job, whichever way it ended."""
        worker, began = self._idle.get(), time.monotonic()
        try:
            outcome = worker.ask(job)
        except (CellFailed, WorkerDied) as error:
            seconds = round(time.monotonic() - began, 2)
            return Record(job.cell, job.settings, job.value, "failed", str(error), seconds)
        finally:
            self._idle.put(worker)
        seconds = round(time.monotonic() - began, 2)
        return Record(job.cell, job.settings, job.value, "done", "", seconds, outcome)

    def _collect(self, waiting: set[Future[Record]], what: str) -> None:
        began, total = time.monotonic(), len(waiting)
        while waiting:
            done, waiting = wait(waiting, _LISTEN_S, FIRST_COMPLETED)
            stopped = self._listener.cancelled()
            for record in (future.result() for future in done):
                if record.done or not stopped:  # whoever stops the study may have stopped the worker as well
                    self._keep(record)
            if stopped:
                raise Cancelled(f"The study was stopped among the {what}.", GO_ON)
            if done:
                count = total - len(waiting)
                left = duration((time.monotonic() - began) / count * len(waiting))
                self._listener.progress(count / total, f"{count} of {total} {what} done, {left} left")

    def _keep(self, record: Record) -> None:
        write_record(self._out, record)
        if record.done:
            self._listener.log("info", f"{record.cell.name}: {duration(record.seconds)}")
        else:
            self._listener.log("warning", f"{record.cell.name} failed: {record.error}")

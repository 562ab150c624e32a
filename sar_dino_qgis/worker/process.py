"""The plugin's workers: one process kept warm, a second one while the first is busy; a third job waits.

`WorkerPool.run` blocks: it is for the threads in which QGIS runs Processing algorithms, never for the main one.
"""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from sar_dino_qgis.worker.child import Child, Retired
from sar_dino_qgis.worker.endings import last_lines
from sardino_core.contract.errors import WorkerDied
from sardino_core.contract.jobs import Job
from sardino_core.contract.leftovers import remove_leftovers
from sardino_core.contract.listener import Listener
from sardino_core.contract.messages import Result

IDLE_S = 600.0
_AT_ONCE = 2
_POLL_S = 0.1


class WorkerPool:
    """Runs jobs in worker processes. Every method may be called from any thread."""

    def __init__(self, python: Callable[[], str], idle_s: float = IDLE_S) -> None:
        """`python` is asked before every job for the interpreter; it may raise EnvironmentMissing.

        A process leaves after `idle_s` seconds without a job, and with the process that this runs in.
        """
        self._python, self._idle_s = python, idle_s
        self._turns = threading.Semaphore(_AT_ONCE)
        self._closing = threading.Event()
        self._lock = threading.Lock()
        self._warm: Child | None = None
        self._under_way = 0  # jobs

    def run(self, job: Job, listener: Listener) -> Result:
        """Do the job, whose paths are absolute, in a worker; pass on progress and log lines; return its result.

        Raises SardinoError: the job's own; Cancelled, within two seconds of the wish; EnvironmentMissing and
        EnvironmentFailed where no worker can be had; WorkerDied with the cause. In none of these cases half-written
        output stays behind, and the next call starts anew.
        """
        voice = _Voice(listener, self._closing)
        with self._turn(voice):
            try:
                return self._run_in(self._take(), job, voice)
            except Retired:  # it had left for lack of jobs in this very moment
                return self._run_in(None, job, voice)

    def dismiss(self) -> bool:
        """Let the warm worker go, such as before its environment is replaced; whether none is left that does a job.

        Running jobs go on. Never waits.
        """
        self._keep(None)
        with self._lock:
            return not self._under_way

    def close(self) -> None:
        """Stop the running jobs, which then raise Cancelled in their threads, and let the processes go. Never waits."""
        self._closing.set()
        self._keep(None)

    @property
    def closed(self) -> bool:
        """Whether `close` was called: no job begins any more."""
        return self._closing.is_set()

    def _run_in(self, child: Child | None, job: Job, listener: Listener) -> Result:
        if child is None:
            listener.progress(0.0, "starting the worker")
            child = Child(self._python(), self._idle_s)
            child.greet(listener)
        try:
            return child.do(job, listener)
        except WorkerDied:
            for line in last_lines(child.last_words()):
                listener.log("info", line)
            raise
        finally:
            if child.busy:
                child.stop()
                _tidy(job)
            else:
                self._keep(child)

    @contextmanager
    def _turn(self, listener: Listener) -> Iterator[None]:
        """While one of the places is taken. A job that waits for one can be cancelled like any other."""
        if not self._turns.acquire(blocking=False):
            listener.log("info", f"{_AT_ONCE} runs are under way; this one waits for its turn.")
            while not self._turns.acquire(timeout=_POLL_S):
                listener.raise_if_cancelled()
        self._count(1)
        try:
            listener.raise_if_cancelled()
            yield
        finally:
            self._count(-1)
            self._turns.release()

    def _count(self, change: int) -> None:
        with self._lock:
            self._under_way += change

    def _take(self) -> Child | None:
        """The warm worker, if there is one, and of the interpreter that is wanted now."""
        python = self._python()
        with self._lock:
            child, self._warm = self._warm, None
        if child is None or (child.alive() and child.python == python):
            return child
        child.release()
        return None

    def _keep(self, child: Child | None) -> None:
        """Keep the worker that is free now, and let go the one that was; none at all when closing."""
        with self._lock:
            spare, self._warm = self._warm, child
            if self._closing.is_set():
                child, self._warm = self._warm, None
                if child is not None:
                    child.release()
        if spare is not None:
            spare.release()


class _Voice(Listener):
    """The caller's listener, who also wants to stop when the plugin goes."""

    def __init__(self, listener: Listener, closing: threading.Event) -> None:
        self._listener, self._closing = listener, closing

    def progress(self, fraction: float, message: str) -> None:
        self._listener.progress(fraction, message)

    def log(self, level: str, message: str) -> None:
        self._listener.log(level, message)

    def cancelled(self) -> bool:
        return self._closing.is_set() or self._listener.cancelled()


def _tidy(job: Job) -> None:
    """Remove what a job that was ended by force left beside its outputs, wherever one of its paths may have put it."""
    for value in (getattr(job, field.name) for field in dataclasses.fields(job)):
        if isinstance(value, str) and Path(value).is_absolute():
            for folder in (Path(value), Path(value).parent):
                with suppress(OSError):
                    remove_leftovers(folder)

"""Worker processes of the study, seen from outside: started when needed, asked one job at a time, ended at once."""

from __future__ import annotations

import json
import os
import subprocess  # nosec B404
import sys
import threading
from contextlib import suppress
from pathlib import Path
from typing import IO, Any, cast

from sardino_core.contract.errors import WorkerDied
from sardino_core.contract.serial import dumps, from_dict
from sardino_core.study.cells import CellJob
from sardino_core.study.records import Outcome

_ROOT = Path(__file__).resolve().parents[2]  # where `sardino_core` is imported from


class CellFailed(Exception):
    """A cell that gave no outcome; the text is one line."""


class WorkerProcess:
    """One process, started again when it has died. For one thread at a time, but for `end`."""

    def __init__(self, threads: int, log: Path) -> None:
        """`threads`: that its arithmetic uses; what it has to say beside its answers is added to `log`."""
        self._threads, self._log = threads, log
        self._lock = threading.Lock()
        self._ended = False
        self.process: subprocess.Popen[str] | None = None

    def ask(self, job: CellJob) -> Outcome:
        """Have a cell done. Raises CellFailed, and WorkerDied when the process ended instead of answering."""
        process = self._running()
        ask, hear = cast(IO[str], process.stdin), cast(IO[str], process.stdout)
        try:
            ask.write(dumps(job) + "\n")
            ask.flush()
            line = hear.readline()
        except OSError:
            line = ""
        if not line.endswith("\n"):
            raise WorkerDied(f"The worker process ended with status {process.wait()}.", f"See {self._log.name}.")
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise CellFailed(answer["error"])
        return from_dict(Outcome, answer["outcome"])

    def end(self) -> None:
        """End the process, in the middle of a cell as well; it is not started again."""
        with self._lock:
            self._ended = True
            if self.process is not None:
                self.process.kill()
                self.process.wait()
            self._close()

    def _close(self) -> None:
        """The pipes of a process that has ended."""
        for stream in (self.process.stdin, self.process.stdout) if self.process is not None else ():
            if stream is not None:
                with suppress(OSError):  # what was written may not be flushed any more
                    stream.close()

    def _running(self) -> subprocess.Popen[str]:
        with self._lock:
            if self._ended:
                raise WorkerDied("The worker process was ended.")
            if self.process is None or self.process.poll() is not None:
                self._close()
                self.process = self._started()
            return self.process

    def _started(self) -> subprocess.Popen[str]:
        threads = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), str(self._threads))
        path = os.pathsep.join(filter(None, [str(_ROOT), os.environ.get("PYTHONPATH", "")]))
        with open(self._log, "a", encoding="utf-8") as log:
            return subprocess.Popen(  # nosec B603
                [sys.executable, "-m", "sardino_core.study.worker"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                encoding="utf-8",
                env={**os.environ, **threads, "PYTHONPATH": path},
            )

"""`python -m sardino_core worker`: jobs on stdin, messages on stdout, one line of JSON each; warm between jobs.

stdout belongs to the protocol: whatever else is printed, from Python or C, goes to stderr. A line that is no job, and a
job that fails, become a failure message; the worker goes on. It ends when idle for too long, and when stdin closes,
which also happens when whoever started it vanishes. The last model on the CPU stays loaded (see `models.predictor`); on
a GPU none does, which would hold the GPU's memory. For questions about one scene in a row see explorations.py.
"""

from __future__ import annotations

import logging
import os
import queue
import signal
import sys
import threading
import traceback
from dataclasses import dataclass
from types import FrameType

from sardino_core import __version__, dispatch
from sardino_core.contract.errors import SardinoError, SettingInvalid
from sardino_core.contract.jobs import Job
from sardino_core.contract.listener import Listener
from sardino_core.contract.messages import Failure, Hello, Log, Message, Progress, encode
from sardino_core.contract.orders import Cancel, Order, decode
from sardino_core.contract.pipes import read_lines, write_line
from sardino_core.reporting import is_defect, notices, told

IDLE_S = 600.0
_ORPHANED_S = 10.0  # for a job to stop by itself when nobody waits for it any more


def serve(idle_s: float = IDLE_S) -> int:
    """Do jobs until stdin closes or `idle_s` seconds pass without one; returns the exit status."""
    jobs_fd, messages_fd = _claim_pipes()
    signal.signal(signal.SIGTERM, _interrupt)
    wire = _Wire(messages_fd)
    tasks: queue.SimpleQueue[_Task | None] = queue.SimpleQueue()
    try:
        wire.say(Hello(__version__))
        threading.Thread(target=_listen, args=(jobs_fd, tasks), name="sardino-orders", daemon=True).start()
        while (task := tasks.get(timeout=idle_s)) is not None:
            _do(task, wire)
    except queue.Empty:
        return 0
    except KeyboardInterrupt:
        return 1
    return 0


@dataclass(frozen=True)
class _Task:
    """A job, or what is wrong with the line that should have been one; `stop` is set to end it."""

    job: Job | SardinoError
    stop: threading.Event


class _Wire:
    """Messages out, whole lines whoever speaks; when nobody reads any more, `broken` says so."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor, self._lock = descriptor, threading.Lock()
        self.broken = False

    def say(self, message: Message) -> None:
        line = encode(message)
        try:
            with self._lock:
                write_line(self._descriptor, line)
        except OSError:
            self.broken = True


class _Voice(Listener):
    """A job's listener at the other end of the wire."""

    def __init__(self, wire: _Wire, stop: threading.Event) -> None:
        self._wire, self._stop = wire, stop

    def progress(self, fraction: float, message: str) -> None:
        self._wire.say(Progress(round(fraction, 4), message))

    def log(self, level: str, message: str) -> None:
        self._wire.say(Log(level, message))

    def cancelled(self) -> bool:
        return self._stop.is_set() or self._wire.broken


def _do(task: _Task, wire: _Wire) -> None:
    """One job to its result or failure. KeyboardInterrupt, the operating system's wish to end, passes."""
    voice = _Voice(wire, task.stop)
    try:
        if isinstance(task.job, SardinoError):
            raise task.job
        with notices(voice, logging.StreamHandler(sys.stderr)):
            voice.raise_if_cancelled()
            wire.say(dispatch.run_job(task.job, voice))
    except (Exception, KeyboardInterrupt) as error:
        if is_defect(error):
            for line in traceback.format_exc().splitlines():
                voice.log("info", line)
        wire.say(Failure.of(told(error, "report it with the log above")))
        if isinstance(error, KeyboardInterrupt):
            raise
    finally:
        _give_back_gpu_memory()


def _listen(descriptor: int, tasks: queue.SimpleQueue[_Task | None]) -> None:
    """In a thread of its own: orders to tasks. `cancel` stops every task before it, and the end of stdin stops all."""
    stop = threading.Event()
    for line in read_lines(descriptor):
        order = _decoded(line)
        if isinstance(order, Cancel):
            stop.set()
            stop = threading.Event()
        elif line.strip():
            tasks.put(_Task(order, stop))
    stop.set()
    tasks.put(None)
    last_resort = threading.Timer(_ORPHANED_S, os._exit, (1,))
    last_resort.daemon = True
    last_resort.start()


def _decoded(line: str) -> Order | SardinoError:
    try:
        return decode(line)
    except SardinoError as error:
        return error
    except Exception as error:  # a stranger's line, such as ten thousand brackets, must not end the worker
        return SettingInvalid(f"The line {line[:60]!r} is no job ({type(error).__name__}).")


def _claim_pipes() -> tuple[int, int]:
    """Descriptors of the orders and the messages; for everybody else stdin is empty, and stdout is stderr."""
    orders, messages = os.dup(0), os.dup(1)
    nowhere = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nowhere, 0)
    os.close(nowhere)
    os.dup2(2, 1)
    sys.stdout = sys.stderr
    return orders, messages


def _give_back_gpu_memory() -> None:
    """What torch keeps for later is somebody else's until the next job."""
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_initialized():
        torch.cuda.empty_cache()


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt

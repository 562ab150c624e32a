"""One worker process: started in a clean environment, greeted, given one job at a time, stopped. No QGIS here.

Two threads read what it says (stdout: messages, stderr: last words) until it ends, and reap it; the caller's thread
looks there ten times a second, and asks the listener as often whether to go on.
"""

from __future__ import annotations

import math
import os
import queue
import signal
import subprocess  # nosec B404
import sys
import tempfile
import threading
import time
from contextlib import suppress
from typing import IO, cast

from sar_dino_qgis.worker.clean_environ import clean_environ
from sar_dino_qgis.worker.core_path import core_folder
from sar_dino_qgis.worker.endings import last_line, worker_died
from sardino_core import __version__
from sardino_core.contract.errors import Cancelled, EnvironmentFailed, EnvironmentMissing, SardinoError, WorkerDied
from sardino_core.contract.jobs import FinetuneJob, Job, PretrainJob
from sardino_core.contract.listener import Listener
from sardino_core.contract.messages import PROTOCOL, Failure, Hello, Log, Message, Progress, Result, decode
from sardino_core.contract.orders import Cancel, Order, encode
from sardino_core.contract.pipes import read_lines, write_line

# The core is imported from the plugin's own folder, and from nowhere else, whatever is installed beside that Python.
_BOOTSTRAP = """
import sys
if sys.version_info < (3, 11): sys.exit("Python 3.11 or newer is needed; this is %d.%d" % sys.version_info[:2])
sys.path[0] = sys.argv.pop(1)
from sardino_core.cli import main
sys.exit(main())
"""
_HELLO_S = 30.0  # a cold disk and a virus scanner may take their time
_POLL_S = 0.1
_POLITE_S = 1.2  # a cancelled job may end by itself, and tidy up; cancelling takes effect within two seconds
_TERMINATE_S = 0.4  # and after being asked by the operating system
_STOPPED = "The run was stopped."
_ENDED = "The worker process was asked to end by the operating system or by another program, in the middle of the run."
_TAIL = 8192  # bytes of stderr


class Retired(WorkerDied):
    """The process ended by itself, in good order, before the job could begin; another one may take the job."""

    def __init__(self) -> None:
        super().__init__("The worker process left when it was given the job.", "Check the environment.")


def core_command(python: str, *arguments: str) -> list[str]:
    """The command line that runs `sardino` from the plugin's folder with the interpreter `python`."""
    return [python, "-u", "-X", "utf8", "-X", "faulthandler", "-c", _BOOTSTRAP, str(core_folder()), *arguments]


def start_process(command: list[str], **settings: object) -> subprocess.Popen[bytes]:
    """Start a process of its own group in a clean environment, without a window. Raises EnvironmentMissing."""
    if sys.platform == "win32":
        settings["creationflags"] = subprocess.CREATE_NO_WINDOW | subprocess.CREATE_NEW_PROCESS_GROUP
    else:
        settings["start_new_session"] = True
    settings.setdefault("env", clean_environ(command[0], os.environ))
    try:
        return subprocess.Popen(  # type: ignore[call-overload, no-any-return]  # nosec B603
            command, bufsize=0, cwd=tempfile.gettempdir(), **settings
        )
    except (OSError, ValueError) as error:
        raise EnvironmentMissing(
            f"The Python {command[0]} cannot be started ({getattr(error, 'strerror', None) or error}).",
            "Choose another Python, or create the plugin's environment.",
        ) from error


def kill_process(process: subprocess.Popen[bytes], gently_s: float = 0.0) -> None:
    """End the process and whatever it started; after `gently_s` seconds' notice, where there is such a thing."""
    if process.poll() is not None:
        return
    if sys.platform != "win32" and gently_s:
        with suppress(OSError):
            process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(gently_s)
    _kill_group(process)
    with suppress(subprocess.TimeoutExpired):
        process.wait(5)


def _kill_group(process: subprocess.Popen[bytes]) -> None:
    with suppress(OSError):
        if sys.platform == "win32":
            process.kill()
        else:
            os.killpg(process.pid, signal.SIGKILL)


class Child:
    """A worker process. For one thread at a time; `stop` may be called from any."""

    def __init__(self, python: str, idle_s: float) -> None:
        """Start it; `greet` waits until it answers. Raises EnvironmentMissing."""
        self.python = python
        self.busy = False  # with a job whose end has not been heard
        self._lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._last_words = b""
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        self._process = start_process(core_command(python, "worker", "--idle", f"{idle_s:g}"), **pipes)
        self._listening = threading.Thread(target=self._listen, name="sardino-messages", daemon=True)
        self._draining = threading.Thread(target=self._drain, name="sardino-stderr", daemon=True)
        self._listening.start()
        self._draining.start()

    def alive(self) -> bool:
        """Whether the process is there and can take a job."""
        return self._process.poll() is None and not self._stdin.closed

    def greet(self, listener: Listener) -> None:
        """Wait for its hello. Raises EnvironmentFailed when it does not come, or comes from another version."""
        until = time.monotonic() + _HELLO_S
        message = None
        try:
            while message is None:
                listener.raise_if_cancelled()
                if time.monotonic() > until:
                    raise self._unusable(f"did not answer within {_HELLO_S:.0f} s")
                message = self._next()
            self._judge(message)
        except WorkerDied as error:
            self.release()
            raise self._unusable("does not run the worker") from error
        except BaseException:
            self.stop()
            raise

    def do(self, job: Job, listener: Listener) -> Result:
        """Send the job and pass on what is said until its end; `busy` tells whether that was reached.

        Raises the job's own SardinoError; Cancelled when the listener wants it, at the latest two seconds later, by
        force if need be; WorkerDied with the cause; Retired.
        """
        self.busy = True
        try:
            write_line(self._stdin.fileno(), encode(job))
        except OSError:
            raise Retired from None
        heard, stop_at = False, math.inf
        while True:
            if stop_at == math.inf and listener.cancelled():
                stop_at = time.monotonic() + _POLITE_S
                self._send(Cancel())
            if time.monotonic() > stop_at:
                self._give_up(job)
                raise Cancelled(_STOPPED)
            try:
                message = self._next()
            except WorkerDied:
                if stop_at < math.inf:
                    raise Cancelled(_STOPPED) from None
                if self._process.returncode == 0 and not heard:
                    raise Retired from None
                raise
            heard = heard or message is not None
            self.busy = not isinstance(message, (Result, Failure))
            if isinstance(message, Result):
                return message
            if isinstance(message, Failure):
                error = message.error()
                if isinstance(error, Cancelled) and stop_at == math.inf:  # nobody here wished it
                    self.busy = True  # it is about to leave
                    raise WorkerDied(_ENDED, "The next run starts a new worker.")
                raise error
            _pass_on(message, listener)

    def stop(self) -> None:
        """End it now, whatever it is doing."""
        kill_process(self._process)
        self.release()

    def release(self) -> None:
        """Let it end by itself, which it does when nobody can send it jobs any more; does not wait for that."""
        with suppress(OSError):
            self._stdin.close()

    def last_words(self) -> str:
        """The end of what it wrote to stderr."""
        self._draining.join(0.0 if self._process.poll() is None else 0.5)
        return self._last_words.decode("utf-8", "replace")

    @property
    def _stdin(self) -> IO[bytes]:
        return cast("IO[bytes]", self._process.stdin)

    def _give_up(self, job: Job) -> None:
        """End a job that does not end by itself, by force; but a training step and its checkpoint may take their time.

        The worker then leaves as soon as it has saved that, and at the latest ten seconds later.
        """
        if isinstance(job, (PretrainJob, FinetuneJob)):
            self.release()
            self.busy = False
        else:
            kill_process(self._process, _TERMINATE_S)

    def _send(self, order: Order) -> None:
        with suppress(OSError):  # its end is seen where its messages are read
            write_line(self._stdin.fileno(), encode(order))

    def _next(self) -> Message | None:
        """The next message, or None when there is none yet. Raises WorkerDied when there will be none."""
        try:
            line = self._lines.get(timeout=_POLL_S)
        except queue.Empty:
            if self._process.poll() is None or (self._listening.is_alive() and not self._ended_long_ago()):
                return None
            line = None
        if line is None:
            raise self._ended()
        try:
            return decode(line)
        except SardinoError:
            kill_process(self._process)
            raise WorkerDied(f"The worker process said what is no message: {line[:80]!a}.") from None

    def _ended_long_ago(self) -> bool:
        """A process that it started may hold its pipes open: then their end never comes."""
        self._listening.join(1.0)
        return self._listening.is_alive() and self._lines.empty()

    def _ended(self) -> WorkerDied:
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(2)
        status = self._process.returncode
        _kill_group(self._process)  # what it may have left running
        return worker_died(status, self.last_words())

    def _judge(self, message: Message) -> None:
        if not isinstance(message, Hello):
            raise self._unusable(f"began with {type(message).__name__.lower()} instead of hello")
        if (message.version, message.protocol) != (__version__, PROTOCOL):
            raise EnvironmentFailed(
                f"The worker is of version {message.version}, the plugin of version {__version__}.",
                "The plugin was updated while it ran: start QGIS again.",
            )

    def _unusable(self, what: str) -> EnvironmentFailed:
        line = last_line(self.last_words())
        saying = f", saying: {line.rstrip('.')}" if line else ""
        return EnvironmentFailed(
            f"The Python {self.python} {what}{saying}.", "Check the environment; repair it, or choose another Python."
        )

    def _listen(self) -> None:
        with cast("IO[bytes]", self._process.stdout) as pipe:
            for line in read_lines(pipe.fileno()):
                self._lines.put(line)
        self._lines.put(None)
        self._process.wait()  # no zombie stays behind, even when nobody asks any more

    def _drain(self) -> None:
        with cast("IO[bytes]", self._process.stderr) as pipe:
            while chunk := pipe.read(4096):
                self._last_words = (self._last_words + chunk)[-_TAIL:]


def _pass_on(message: Message | None, listener: Listener) -> None:
    if isinstance(message, Progress):
        listener.progress(message.fraction, message.message)
    elif isinstance(message, Log):
        listener.log(message.level, message.message)

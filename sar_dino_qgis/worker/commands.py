"""Other programs, run to their end: a question with a time limit, or a long one with live lines and a way to stop."""

from __future__ import annotations

import itertools
import queue
import subprocess  # nosec B404
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import IO, cast

from sar_dino_qgis.worker.child import kill_process, start_process
from sardino_core.contract.errors import Cancelled, EnvironmentMissing
from sardino_core.contract.listener import Listener
from sardino_core.contract.pipes import read_lines

_POLL_S = 0.1
_AHEAD = 1000  # lines that the program may be ahead; then it waits


def ask(command: list[str], timeout_s: float) -> str:
    """What the program says on stdout; empty where it cannot be started, fails, or takes longer."""
    pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
    try:
        process = start_process(command, **pipes)
    except EnvironmentMissing:
        return ""
    try:
        said = process.communicate(timeout=timeout_s)[0]
    except subprocess.TimeoutExpired:
        kill_process(process)
        with suppress(subprocess.TimeoutExpired):
            process.communicate(timeout=1)  # closes the pipe
        return ""
    return said.decode("utf-8", "replace") if process.returncode == 0 else ""


def follow(
    command: list[str],
    listener: Listener,
    told: Callable[[str], None],
    environ: Mapping[str, str] | None = None,
    timeout_s: float = float("inf"),
) -> int | None:
    """Run the program, handing every line of its output to `told`; its exit status, None when it took too long.

    Raises Cancelled when the listener wants it, after ending the program and whatever it started; EnvironmentMissing.
    """
    settings = {} if environ is None else {"env": environ}
    process = start_process(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, **settings
    )
    lines: queue.Queue[str | None] = queue.Queue(_AHEAD)
    over = threading.Event()
    threading.Thread(target=_listen, args=(process, lines, over), name="sardino-command", daemon=True).start()
    until = time.monotonic() + timeout_s
    try:
        while time.monotonic() < until:
            if listener.cancelled():
                raise Cancelled("Stopped.")
            with suppress(queue.Empty):
                line = lines.get(timeout=_POLL_S)
                if line is None:
                    return process.wait()
                told(line)
        return None
    finally:
        over.set()
        kill_process(process)


def _listen(process: subprocess.Popen[bytes], lines: queue.Queue[str | None], over: threading.Event) -> None:
    """Until the program's output ends, or nobody wants it any more."""
    with cast("IO[bytes]", process.stdout) as pipe:
        for line in itertools.chain(read_lines(pipe.fileno()), [None]):
            while not over.is_set():
                with suppress(queue.Full):
                    lines.put(line, timeout=_POLL_S)
                    break

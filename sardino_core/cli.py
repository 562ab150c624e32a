"""The command `sardino`: one subcommand run, its errors told in one line, and an exit status.

What the subcommands are stands in commands/; everything heavy is imported inside the one that needs it.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

from sardino_core.commands.grammar import COMMANDS, parse
from sardino_core.commands.machine import WORKER, serve
from sardino_core.contract.errors import OutputUnwritable
from sardino_core.reporting import defects_logged, notices, told
from sardino_core.terminal import JsonVoice, PlainVoice, Voice


def main(argv: Sequence[str] | None = None, prog: str = "sardino", only: Sequence[str] = ()) -> int:
    """Run one command; returns the exit status: 0 done, 1 an error that was told in one line, 2 wrong usage.

    `only` narrows the commands down, for programs of another name.
    """
    arguments = parse(argv, prog, only)
    if arguments.command == WORKER:
        return serve(arguments)
    signal.signal(signal.SIGTERM, _interrupt)
    voice: Voice = JsonVoice() if arguments.json else PlainVoice()
    try:
        voice.hello()
        with _logging(arguments.log, voice), defects_logged():
            COMMANDS[arguments.command].run(arguments, voice)
    except BaseException as error:
        with suppress(OSError):  # whoever should hear it may have gone
            voice.failure(told(error, "run again with --log FILE and report it with that file"))
        _give_up_stdout()
        return 1
    return 0


def _give_up_stdout() -> None:
    """Where stdout takes nothing, point it nowhere: Python would try again at its end, and fail with a traceback."""
    try:
        if sys.__stdout__ is not None:
            sys.__stdout__.flush()
    except (OSError, ValueError):
        with suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)


@contextmanager
def _logging(path: str | None, voice: Voice) -> Iterator[None]:
    """While a command runs: everything to the log file if there is one, the library's warnings to the user."""
    to_file: logging.Handler = logging.NullHandler()
    if path is not None:
        try:
            to_file = logging.FileHandler(path, encoding="utf-8")
        except OSError as error:
            raise OutputUnwritable(f"The log {path} cannot be written ({error.strerror}).") from error
    try:
        with notices(voice, to_file):
            yield
    finally:
        to_file.close()


def _interrupt(number: int, frame: Any) -> None:
    raise KeyboardInterrupt

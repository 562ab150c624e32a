"""How the command line speaks: a progress bar and plain lines for people, protocol messages for programs."""

from __future__ import annotations

import io
import shutil
import sys
import time
from typing import TextIO

from sardino_core import __version__
from sardino_core.contract.errors import SardinoError
from sardino_core.contract.listener import Listener
from sardino_core.contract.messages import Failure, Hello, Log, Message, Progress, Result, encode


class Voice(Listener):
    """A listener that also reports how the job ended."""

    def hello(self) -> None:
        """The job begins."""

    def result(self, result: Result, lines: list[str]) -> None:
        """The job is done; `lines` say so to a person."""

    def failure(self, error: SardinoError) -> None:
        """The job ended with an error."""


class PlainVoice(Voice):
    """Results on stdout; notes, progress and errors on stderr."""

    def __init__(self, stream: TextIO | None = None) -> None:
        """`stream` is where notes and the progress bar go; the bar only appears on a terminal."""
        self.stream = stream or sys.stderr
        for used in (self.stream, sys.stdout):
            if isinstance(used, io.TextIOWrapper):
                used.reconfigure(errors="backslashreplace")  # a Windows pipe may not know every letter of a path
        self._is_terminal = self.stream.isatty()
        self._started = time.monotonic()
        self._shown = ""

    def progress(self, fraction: float, message: str) -> None:
        """Redraw the bar."""
        if not self._is_terminal:
            return
        elapsed = time.monotonic() - self._started
        told = fraction <= 0.02 or message.endswith(" left")  # too early, or told by who knows better
        left = "" if told else f", {_duration(elapsed / fraction * (1 - fraction))} left"
        filled = round(24 * fraction)
        bar = f"[{'#' * filled}{'.' * (24 - filled)}] {fraction:4.0%} {message}{left}"
        self._draw(bar[: shutil.get_terminal_size().columns - 1])

    def log(self, level: str, message: str) -> None:
        """One line above the bar."""
        self._draw("")
        print(f"warning: {message}" if level == "warning" else message, file=self.stream, flush=True)

    def result(self, result: Result, lines: list[str]) -> None:
        """The lines, on stdout."""
        self._draw("")
        for line in lines:
            print(line, flush=True)

    def failure(self, error: SardinoError) -> None:
        """One line on stderr."""
        self._draw("")
        print(f"error: {error}", file=self.stream, flush=True)

    def _draw(self, text: str) -> None:
        if self._is_terminal and (text or self._shown):
            print("\r" + text.ljust(len(self._shown)) + ("" if text else "\r"), end="", file=self.stream, flush=True)
        self._shown = text


class JsonVoice(Voice):
    """Every line on stdout is a protocol message; whatever else is printed goes to stderr."""

    def __init__(self) -> None:
        """Take stdout for the protocol alone."""
        self._stream, sys.stdout = sys.stdout, sys.stderr

    def hello(self) -> None:
        """Who speaks, and which protocol."""
        self._say(Hello(__version__))

    def progress(self, fraction: float, message: str) -> None:
        """A progress message."""
        self._say(Progress(round(fraction, 4), message))

    def log(self, level: str, message: str) -> None:
        """A log message."""
        self._say(Log(level, message))

    def result(self, result: Result, lines: list[str]) -> None:
        """The result message."""
        self._say(result)

    def failure(self, error: SardinoError) -> None:
        """The failure message, and the one line on stderr that every run that fails has."""
        self._say(Failure.of(error))
        print(f"error: {error}", file=sys.stderr, flush=True)

    def _say(self, message: Message) -> None:
        print(encode(message), file=self._stream, flush=True)


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"

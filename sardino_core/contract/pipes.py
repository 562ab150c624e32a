"""Lines through pipes, the same on both sides: unbuffered, since a thread that is blocked in one of Python's buffered
readers holds a lock that the end of the interpreter waits for.
"""

from __future__ import annotations

import os
from typing import Iterator

_CHUNK = 65536
_LONGEST = 2**24  # bytes of a line; what never ends is no line


def read_lines(descriptor: int) -> Iterator[str]:
    """Lines of UTF-8 as they come, without their ends, until the other side closes; a last one cut short is dropped."""
    kept = b""
    while True:
        try:
            chunk = os.read(descriptor, _CHUNK)
        except OSError:  # the other side is gone
            return
        if not chunk:
            return
        *lines, kept = (kept + chunk).split(b"\n")
        if len(kept) > _LONGEST:
            lines, kept = [*lines, kept], b""
        for line in lines:
            yield line.decode("utf-8", "surrogateescape").rstrip("\r")  # as file names are, where they are not UTF-8


def write_line(descriptor: int, line: str) -> None:
    """The whole line and its end. Raises OSError when nobody reads any more."""
    left = memoryview(line.encode("utf-8", "surrogateescape") + b"\n")
    while left:
        left = left[os.write(descriptor, left) :]

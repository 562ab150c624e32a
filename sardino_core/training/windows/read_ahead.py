"""Work done ahead by threads, each with files of its own, and handed out in order. Not for what the work is."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Generic, Protocol, Self, TypeVar


class Closeable(Protocol):
    """What a thread keeps open."""

    def close(self) -> None:
        """Let go of it."""


Key = TypeVar("Key")
Made = TypeVar("Made")
Files = TypeVar("Files", bound=Closeable)


class ReadAhead(Generic[Files, Key, Made]):
    """`load(files, key)` for keys in order; while one is used, the next ones are made."""

    def __init__(self, files: Callable[[], Files], load: Callable[[Files, Key], Made], threads: int) -> None:
        """`files` opens what one thread reads from; it is closed at the end."""
        self._files, self._load, self.threads = files, load, threads
        self._local = threading.local()
        self._opened: list[Files] = []
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="windows")
        self._ahead: deque[tuple[Key, Future[Made]]] = deque()

    def get(self, order: Sequence[Key], position: int) -> Made:
        """What belongs to the key at `position` of the order; those that follow are started."""
        wanted = order[position : position + 1 + self.threads]
        if not self._ahead or self._ahead[0][0] != wanted[0]:
            self._drop()
        for key in wanted[len(self._ahead) :]:
            self._ahead.append((key, self._pool.submit(self._make, key)))
        return self._ahead.popleft()[1].result()

    def close(self) -> None:
        """Stop, and close all files."""
        self._drop()
        self._pool.shutdown(wait=True)
        for files in self._opened:
            files.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _make(self, key: Key) -> Made:
        if not hasattr(self._local, "files"):
            self._local.files = self._files()
            self._opened.append(self._local.files)
        return self._load(self._local.files, key)

    def _drop(self) -> None:
        for _, future in self._ahead:
            future.cancel()
        self._ahead.clear()

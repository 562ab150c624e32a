"""Outputs that appear under their final name only when complete.

Files are written into a hidden folder beside their destination and renamed at the end, so that a failed or interrupted
run leaves nothing. A killed run cannot tidy up: its folder is recognised by a lock that died with the process, and is
removed by the next run that writes there.
"""

from __future__ import annotations

import errno
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from sardino_core.contract.errors import OutputUnwritable

PREFIX = ".sardino-part-"
_LOCK = "lock"
_NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EIO}


class Staging:
    """Hands out paths to write to, beside the final ones, and moves everything into place at the end."""

    def __init__(self) -> None:
        """Use `staged()`, which also tidies up."""
        self._folders: dict[Path, tuple[Path, IO[bytes]]] = {}
        self._files: list[tuple[Path, Path]] = []

    def path(self, final: str | Path) -> Path:
        """Where to write what shall become `final`. Raises OutputUnwritable before any work is done."""
        destination = Path(final)
        if destination.is_dir():
            raise OutputUnwritable(f"The output {destination} is a folder.", "Give a file name.")
        aside = self._folder(destination.parent) / destination.name
        self._files.append((aside, destination))
        return aside

    def aside(self, final: str | Path) -> Path:
        """Where `final`, already handed out, is being written."""
        return next(aside for aside, destination in self._files if destination == Path(final))

    def publish(self) -> None:
        """Rename everything that was written to its final name; what was asked for first (the raster) comes last."""
        for aside, destination in reversed(self._files):
            if aside.exists():
                try:
                    os.replace(aside, destination)
                except OSError as error:
                    raise OutputUnwritable(
                        f"{destination} cannot be replaced ({error.strerror}).",
                        "Close the program that has it open, or choose another name.",
                    ) from error

    def discard(self) -> None:
        """Remove the folders aside, with whatever is still in them."""
        for folder, lock in self._folders.values():
            lock.close()
            shutil.rmtree(folder, ignore_errors=True)
        self._folders.clear()

    def _folder(self, parent: Path) -> Path:
        parent = parent.resolve()
        if parent not in self._folders:
            if not parent.is_dir():
                raise OutputUnwritable(f"The output folder {parent} does not exist.", "Create it, or choose another.")
            try:
                _remove_stale(parent)
                folder = Path(tempfile.mkdtemp(prefix=PREFIX, dir=parent))
            except OSError as error:
                raise OutputUnwritable(
                    f"The output folder {parent} cannot be written to ({error.strerror}).", "Choose another."
                ) from error
            self._folders[parent] = (folder, _locked(folder))
        return self._folders[parent][0]


@contextmanager
def staged() -> Iterator[Staging]:
    """Write aside, publish when the block ends well, leave nothing when it does not."""
    staging = Staging()
    try:
        yield staging
        staging.publish()
    except OSError as error:
        if error.errno not in _NO_ROOM:
            raise
        raise OutputUnwritable(
            f"An output could not be written completely ({error.strerror}).",
            "Free disk space, or write to another disk.",
        ) from error
    finally:
        staging.discard()


def _remove_stale(parent: Path) -> None:
    for folder in parent.glob(PREFIX + "*"):
        with suppress(OSError):
            lock = open(folder / _LOCK, "r+b")
            free = _try_lock(lock)
            lock.close()
            if free:
                shutil.rmtree(folder, ignore_errors=True)


def _locked(folder: Path) -> IO[bytes]:
    lock = open(folder / _LOCK, "w+b")
    _try_lock(lock)
    return lock


def _try_lock(file: IO[bytes]) -> bool:
    """Take the lock that the operating system drops when the process ends, however it ends."""
    try:
        if sys.platform == "win32":
            import msvcrt

            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True

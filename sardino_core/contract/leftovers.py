"""What a killed run left aside: how it is recognised and removed, by the next run and by whoever did the killing.

Files are written into a hidden folder beside their destination (`raster.staging`); in it is a lock that the operating
system drops when the process ends, however it ends.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import IO, Tuple

PREFIX = ".sardino-part-"
LOCK = "lock"
_YOUNG_S = 600  # a folder without a lock is left alone for so long


def locked_folder(parent: Path) -> Tuple[Path, IO[bytes]]:
    """A new folder in `parent` whose lock is held; another run may tidy it away before that, and then it is made again.

    Raises OSError.
    """
    while True:
        folder = Path(tempfile.mkdtemp(prefix=PREFIX, dir=parent))
        lock = open(folder / LOCK, "w+b")
        if try_lock(lock) and folder.exists():
            return folder, lock
        lock.close()


def remove_leftovers(parent: Path) -> None:
    """Remove what dead runs left in the folder `parent`; what a living one is writing stays."""
    for folder in parent.glob(PREFIX + "*"):
        with suppress(OSError):
            if not (folder / LOCK).exists():  # killed before it had a lock, or about to get one
                if time.time() - folder.stat().st_mtime > _YOUNG_S:
                    shutil.rmtree(folder, ignore_errors=True)
                continue
            with open(folder / LOCK, "r+b") as lock:
                free = try_lock(lock)
            if free:
                shutil.rmtree(folder, ignore_errors=True)


def try_lock(file: IO[bytes]) -> bool:
    """Take the lock that the operating system drops when the process ends; False when another process has it."""
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

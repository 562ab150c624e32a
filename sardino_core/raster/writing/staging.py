"""Outputs that appear under their final name only when complete.

Files are written into a hidden folder beside their destination and renamed at the end, so that a failed or interrupted
run leaves nothing. A killed run cannot tidy up: its folder is recognised by a lock that died with the process, and is
removed by the next run that writes there.
"""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from sardino_core.contract.errors import OutputUnwritable
from sardino_core.contract.leftovers import locked_folder, remove_leftovers

_RASTERS = {".tif", ".tiff"}
_NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EIO}


class Staging:
    """Hands out paths to write to, beside the final ones, and moves everything into place at the end."""

    def __init__(self) -> None:
        """Use `staged()`, which also tidies up."""
        self._folders: dict[Path, tuple[Path, IO[bytes]]] = {}
        self._files: dict[Path, tuple[Path, Path]] = {}  # as asked for -> written aside, final

    def path(self, final: str | Path) -> Path:
        """Where to write what shall become `final`; the same for the same name. Raises OutputUnwritable at once."""
        asked = Path(final)
        if asked not in self._files:
            destination = asked.resolve() if asked.is_symlink() else asked
            if destination.is_dir():
                raise OutputUnwritable(f"The output {destination} is a folder.", "Give a file name.")
            if destination.exists() and not destination.is_file():
                raise OutputUnwritable(f"The output {destination} is a device or a pipe.", "Give a file name.")
            self._files[asked] = (self._folder(destination.parent) / destination.name, destination)
        return self._files[asked][0]

    def publish(self) -> None:
        """Rename everything that was written to its final name, in the order in which it was asked for.

        A raster that replaces another one takes away what described the old one: statistics, style, overviews.
        """
        written = [(aside, destination) for aside, destination in self._files.values() if aside.exists()]
        ours = {destination for _, destination in written}
        for aside, destination in written:
            try:
                os.replace(aside, destination)
                for companion in _companions(destination):
                    if companion not in ours:
                        companion.unlink(missing_ok=True)
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
                remove_leftovers(parent)
                self._folders[parent] = locked_folder(parent)
            except OSError as error:
                raise OutputUnwritable(
                    f"The output folder {parent} cannot be written to ({error.strerror}).", "Choose another."
                ) from error
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


def _companions(raster: Path) -> list[Path]:
    """The files that GDAL and QGIS read beside a raster."""
    if raster.suffix.lower() not in _RASTERS:
        return []
    return [raster.with_name(raster.name + end) for end in (".aux.xml", ".ovr", ".msk")] + [raster.with_suffix(".qml")]

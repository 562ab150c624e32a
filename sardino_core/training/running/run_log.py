"""What a run tells while it runs: metrics.csv, and TensorBoard's scalars and pictures, behind one small writer."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sardino_core.contract.errors import DependencyMissing, OutputUnwritable
from sardino_core.models.model_file import write_aside

Picture = NDArray[np.uint8]  # (h, w, 3)


class RunLog:
    """Rows and pictures of one run; resuming cuts off what was logged after the checkpoint."""

    def __init__(self, folder: Path, tensorboard: bool, resume_at: int | None = None) -> None:
        """`resume_at`: the checkpoint's step; None starts anew. Raises DependencyMissing without tensorboard."""
        self._path = folder / "metrics.csv"
        self._rows = [] if resume_at is None else _rows_until(self._path, resume_at)
        self._columns = list(dict.fromkeys(name for row in self._rows for name in row))
        self._written = False
        self._events = _events(folder, resume_at) if tensorboard else None

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        """Add a row to metrics.csv, and a point to every curve; a second row of the same step completes the first.

        Raises OutputUnwritable when the disk is full.
        """
        row = {"step": str(step)} | {name: f"{value:.8g}" for name, value in values.items()}
        unknown = [name for name in row if name not in self._columns]
        completes = bool(self._rows) and self._rows[-1]["step"] == row["step"]
        if completes:
            self._rows[-1] |= row
        else:
            self._rows.append(row)
        with _told(self._path):
            if unknown or completes or not self._written:
                self._columns += unknown
                self._rewrite()
            else:
                with open(self._path, "a", newline="", encoding="utf-8") as file:
                    csv.DictWriter(file, self._columns, lineterminator="\n").writerow(row)
            if self._events is not None:
                for name, value in values.items():
                    self._events.add_scalar(name, value, step)

    def _rewrite(self) -> None:
        text = io.StringIO()
        writer = csv.DictWriter(text, self._columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(self._rows)
        write_aside(self._path, text.getvalue().encode())
        self._written = True

    def picture(self, step: int, name: str, picture: Picture) -> None:
        """Show a picture under `name`."""
        if self._events is not None:
            with _told(self._path):
                self._events.add_image(name, picture, step, dataformats="HWC")
                self._events.flush()

    def close(self) -> None:
        """Write out what is buffered."""
        if self._events is not None:
            with suppress(OSError):  # a full disk was told by what was written before
                self._events.close()


@contextmanager
def _told(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise OutputUnwritable(
            f"The log beside {path} cannot be written ({error.strerror}); the last checkpoint is whole.",
            "Free some space, then resume.",
        ) from error


def backscatter(windows: NDArray[np.float32]) -> Picture:
    """Standardised windows (n, C, S, S) side by side: red VV, green VH, blue their difference; one band is grey."""
    red, green = windows[:, 0], windows[:, min(1, windows.shape[1] - 1)]
    blue = red - green if windows.shape[1] > 1 else red
    return _strip([_bytes(np.stack([r, g, b], axis=-1) / 5 + 0.5) for r, g, b in zip(red, green, blue, strict=True)])


def coloured(indices: NDArray[np.int64], colours: NDArray[np.uint8]) -> Picture:
    """Numbers (n, S, S) side by side, each in its row of `colours` (K, 3)."""
    return _strip(list(colours[indices]))


def heat(maps: NDArray[np.float32], side: int) -> Picture:
    """Attention (n, heads, N) to its mean over the heads, each window scaled by itself, enlarged to `side` pixels."""
    count = round(maps.shape[-1] ** 0.5)
    mean = maps.mean(axis=1).reshape(-1, count, count)
    scaled = mean / np.maximum(mean.max(axis=(1, 2), keepdims=True), 1e-12)
    large = scaled.repeat(side // count, axis=1).repeat(side // count, axis=2)
    return _strip([_bytes(np.stack([item, item**2, item**4], axis=-1)) for item in large])


def _strip(pictures: list[Picture]) -> Picture:
    return np.concatenate([np.pad(item, ((1, 1), (1, 1), (0, 0))) for item in pictures], axis=1, dtype=np.uint8)


def _bytes(values: NDArray[np.floating]) -> Picture:
    picture: Picture = (np.clip(values, 0, 1) * 255).astype(np.uint8)
    return picture


def _rows_until(path: Path, step: int) -> list[dict[str, str]]:
    if not path.is_file():
        return []
    with open(path, newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    whole = [row for row in rows if None not in row.values()]  # a kill may have cut the last one
    return [{name: value for name, value in row.items() if value} for row in whole if int(row["step"]) <= step]


def _events(folder: Path, resume_at: int | None) -> Any:
    try:
        from torch.utils.tensorboard.writer import SummaryWriter
    except ImportError as error:
        raise DependencyMissing(
            "TensorBoard is not installed.", "Install the extra `sardino[torch]`, or set run.tensorboard=false."
        ) from error
    purge = None if resume_at is None else resume_at + 1
    return SummaryWriter(str(folder), purge_step=purge)  # type: ignore[no-untyped-call]

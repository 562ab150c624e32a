"""Errors that reach a user: one class per remedy, one line each: what was found, what is allowed, what to do.

Anything else that escapes is a defect and keeps its traceback in the log.
"""

from __future__ import annotations

from typing import ClassVar, Optional


def one_line(text: str) -> str:
    """Without line breaks, nor what a terminal would obey or turn around: names come out of strangers' files."""
    return "".join(sign if sign.isprintable() else "?" for sign in " ".join(text.split()))


class SardinoError(Exception):
    """A condition the user can mend. `code` is stable and machine-readable; the text is one line."""

    code: ClassVar[str] = "error"

    def __init__(self, message: str, hint: Optional[str] = None) -> None:
        """`message` says what was found and what is allowed; `hint` says what to do."""
        self.message = one_line(message)
        self.hint = one_line(hint or "")
        super().__init__(f"{self.message} {self.hint}".strip())


class InputMissing(SardinoError):
    """A file or folder that was named does not exist."""

    code = "input-missing"


class NotARaster(SardinoError):
    """A file that GDAL cannot open or cannot read to its end."""

    code = "not-a-raster"


class BandsMissing(SardinoError):
    """The raster lacks a band that the model needs, or its bands cannot be told apart."""

    code = "bands-missing"


class UnitsAmbiguous(SardinoError):
    """The values fit more than one unit."""

    code = "units-ambiguous"


class NotCalibrated(SardinoError):
    """Digital numbers of a raw product: no sigma0 and no map geometry yet."""

    code = "not-calibrated"


class SpacingUnsuitable(SardinoError):
    """The pixel spacing is too far from what the model was trained on."""

    code = "spacing-unsuitable"


class NoValidData(SardinoError):
    """Nothing in the requested area can be processed."""

    code = "no-valid-data"


class AreaOutside(SardinoError):
    """Extent, cutline or mask does not meet the raster, or is no area at all."""

    code = "area-outside"


class DatesMixed(SardinoError):
    """Several dates of one place where a single date (or a composite) is needed."""

    code = "dates-mixed"


class ModelInvalid(SardinoError):
    """The model file is missing, damaged, hostile, or for another task."""

    code = "model-invalid"


class OutputUnwritable(SardinoError):
    """The output folder is missing or read-only, the disk is full, or a file is in the way."""

    code = "output-unwritable"


class SettingInvalid(SardinoError):
    """A parameter or configuration key is unknown or out of range."""

    code = "setting-invalid"


class DependencyMissing(SardinoError):
    """An optional package or a device is not there."""

    code = "dependency-missing"


class EnvironmentMissing(SardinoError):
    """There is no Python to run the worker with, or the one named cannot be used."""

    code = "environment-missing"


class EnvironmentFailed(SardinoError):
    """The worker's Python environment could not be made, or does not work."""

    code = "environment-failed"


class WorkerDied(SardinoError):
    """The worker process ended in the middle of a job, or said what is no message."""

    code = "worker-died"


class ScenesFailed(SardinoError):
    """Some scenes of a batch gave no result; the others did."""

    code = "scenes-failed"


class OutOfMemory(SardinoError):
    """The job does not fit into memory even at the smallest batch."""

    code = "out-of-memory"


class Cancelled(SardinoError):
    """The user stopped the job."""

    code = "cancelled"

"""What of a run reaches its user besides the result: the library's warnings, and any error as one line with its remedy.

Shared by the command line and the worker. Not for how it is shown: see `terminal` and `worker`.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from sardino_core.contract.errors import Cancelled, DependencyMissing, OutOfMemory, OutputUnwritable, SardinoError
from sardino_core.contract.listener import Listener

_DEFECTS = logging.getLogger("sardino_core.defects")


@contextmanager
def notices(listener: Listener, details: logging.Handler) -> Iterator[None]:
    """For the duration: every log record goes to `details`, the library's own warnings to `listener` as well.

    Those of GDAL and other packages do not concern the user.
    """
    root, library = logging.getLogger(), logging.getLogger("sardino_core")
    details.setFormatter(logging.Formatter("%(asctime)s %(name)s %(levelname)s %(message)s"))
    to_user, level = _Notices(listener), root.level
    root.addHandler(details)
    library.addHandler(to_user)
    root.setLevel(logging.INFO)
    logging.captureWarnings(True)
    try:
        yield
    finally:
        logging.captureWarnings(False)
        root.setLevel(level)
        library.removeHandler(to_user)
        root.removeHandler(details)


@contextmanager
def defects_logged() -> Iterator[None]:
    """An error that is none of the user's leaves its traceback in the log before it goes on."""
    try:
        yield
    except Exception as error:
        if is_defect(error):
            _DEFECTS.exception("unexpected error")
        raise


def is_defect(error: BaseException) -> bool:
    """Whether it is an error that no user can mend."""
    mendable = isinstance(error, (SardinoError, OSError, MemoryError)) or _lacks_package(error)
    return isinstance(error, Exception) and not mendable


def told(error: BaseException, what_to_do: str) -> SardinoError:
    """The error as the user is told it; `what_to_do` about a defect. Raises what is no error, such as SystemExit."""
    if isinstance(error, SardinoError):
        return error
    if _interrupted(error):
        return Cancelled("The run was stopped; nothing half-written was left behind.")
    if isinstance(error, MemoryError):
        return OutOfMemory("The memory is used up.", "Use a smaller batch, or close other programs.")
    if isinstance(error, OSError):
        return OutputUnwritable(f"The operating system refused to read or write ({error.strerror or error}).")
    if not isinstance(error, Exception):
        raise error
    if _lacks_package(error):
        return DependencyMissing(
            f"The Python environment lacks a package ({error}).", "`sardino check` names what is missing, and the fix."
        )
    return SardinoError(f"Unexpected {type(error).__name__}: {error}.", f"This is a defect; {what_to_do}.")


def _interrupted(error: BaseException | None) -> bool:
    """Whether a signal is behind it: one that falls into an import comes out as an ImportError."""
    return error is not None and (isinstance(error, KeyboardInterrupt) or _interrupted(error.__cause__))


def _lacks_package(error: BaseException) -> bool:
    """Somebody else's package is missing; one of our own modules missing is a defect."""
    return isinstance(error, ModuleNotFoundError) and not (error.name or "").startswith("sardino_core")


class _Notices(logging.Handler):
    def __init__(self, listener: Listener) -> None:
        super().__init__(logging.WARNING)
        self.listener = listener

    def emit(self, record: logging.LogRecord) -> None:
        if record.name != _DEFECTS.name:
            self.listener.log("warning", record.getMessage())

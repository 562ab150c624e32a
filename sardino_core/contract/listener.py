"""Who listens while a job runs: progress, log lines, and the wish to stop. The default listens to nothing."""

from __future__ import annotations

from sardino_core.contract.errors import Cancelled


class Listener:
    """Override what is of interest; every method may be called from the thread that runs the job."""

    def progress(self, fraction: float, message: str) -> None:
        """`fraction` in 0..1 of the whole job; `message` names the stage."""

    def log(self, level: str, message: str) -> None:
        """One line; `level` is info or warning."""

    def cancelled(self) -> bool:
        """True when the job shall stop; asked several times a second."""
        return False

    def raise_if_cancelled(self) -> None:
        """Raises Cancelled when the job shall stop."""
        if self.cancelled():
            raise Cancelled("The run was stopped; nothing was written.")


class Part(Listener):
    """Listens to a part of a job for the one who listens to the whole."""

    def __init__(self, whole: Listener, low: float, high: float, *, quiet: bool = False) -> None:
        """The part is `low` to `high` of the whole; `quiet`: only its warnings are passed on."""
        self._whole, self._low, self._high, self._quiet = whole, low, high, quiet

    def progress(self, fraction: float, message: str) -> None:
        self._whole.progress(self._low + (self._high - self._low) * fraction, message)

    def log(self, level: str, message: str) -> None:
        if not self._quiet or level == "warning":
            self._whole.log(level, message)

    def cancelled(self) -> bool:
        return self._whole.cancelled()

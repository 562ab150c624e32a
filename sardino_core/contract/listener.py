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

"""What surrounds a training loop, whatever it trains: folder, checkpoint, log, progress, and being told to stop.

Not for anything that touches a weight: that is the loop's.
"""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

from sardino_core.contract.errors import Cancelled, OutputUnwritable, SettingInvalid
from sardino_core.contract.listener import Listener
from sardino_core.contract.messages import Result
from sardino_core.models.model_file import write_aside
from sardino_core.training.running.checkpoint import load_checkpoint, save_checkpoint
from sardino_core.training.running.distributed import Team
from sardino_core.training.running.run_log import Picture, RunLog
from sardino_core.training.settings.run_config import RunConfig
from sardino_core.training.settings.yaml_config import dump_config

RESUME = "--resume goes on from there."


class Configured(Protocol):
    """Any run's configuration."""

    @property
    def run(self) -> RunConfig:
        """How the run goes about it."""


class Run:
    """One run and its folder. Every process has one; only the leading one writes and speaks."""

    def __init__(
        self,
        folder: Path,
        config: Configured,
        settings: Mapping[str, Any],
        crew: Team,
        listener: Listener,
        go_on: str = RESUME,
    ) -> None:
        """`settings`: what a resumed run must have in common with the one that it continues. `go_on`: how, in words."""
        self.folder, self.crew, self.listener = folder, crew, listener
        self.checkpoint, self.model = folder / "checkpoint.pt", folder / "model.safetensors"
        self._config, self._settings, self._go_on = config, settings, go_on
        self._log: RunLog | None = None
        self._terminated = threading.Event()
        self._first_step, self._began, self._since = 0, 0.0, 0.0

    def begin(self, resume: bool) -> dict[str, Any] | None:
        """Make the folder; returns what the checkpoint holds, to go on from.

        Raises SettingInvalid where there is a run already, none to resume, or one with other settings (which are
        named), and OutputUnwritable.
        """
        saved = None
        if self.checkpoint.exists() and not resume:
            raise SettingInvalid(
                f"{self.folder} holds the checkpoint of an earlier run.",
                "Go on with it by --resume, or choose another --out.",
            )
        if self.checkpoint.exists():
            saved = load_checkpoint(self.checkpoint, self._settings)
            self.listener.log("info", f"resumed at step {saved['step']}")
        elif resume and not (self.folder / "config.yaml").exists():
            raise SettingInvalid(f"{self.folder} holds no run to resume.", "Check --out, or start without --resume.")
        elif resume:
            self.listener.log("info", "the run was stopped before its first checkpoint: starting anew")
        if self.crew.leads:
            make_folder(self.folder)
            write_aside(self.folder / "config.yaml", dump_config(self._config).encode())
        return saved

    @contextmanager
    def under_way(self, step: int) -> Iterator[None]:
        """While the loop runs from `step` on: the log is open, and SIGTERM or Ctrl-C asks it to stop."""
        self._first_step, self._began, self._since = step, time.monotonic(), time.monotonic()
        if self.crew.leads:
            self._log = RunLog(self.folder, self._config.run.tensorboard, step or None)
        try:
            with _on_stop(self._terminated):
                yield
        finally:
            if self._log is not None:
                self._log.close()

    def row(self, step: int, values: Mapping[str, float]) -> None:
        """Add a row to the log; a second one of the same step completes it."""
        if self._log is not None:
            self._log.scalars(step, values)

    def speed(self, windows: float) -> float:
        """Windows per second since the last call, or the beginning."""
        now = time.monotonic()
        since, self._since = self._since, now
        return windows / max(1e-9, now - since)

    def tell(self, step: int, steps: int, text: str) -> None:
        """Report the progress of the loop, with the time left."""
        pace = (time.monotonic() - self._began) / max(1, step - self._first_step)
        left = duration(pace * (steps - step))
        self.listener.progress(0.03 + 0.92 * step / steps, f"step {step} of {steps}, {text}, {left} left")

    def shows(self, step: int, last: bool) -> bool:
        """Whether pictures are due, in this process."""
        every = self._config.run.picture_every
        return self._log is not None and every > 0 and (last or step % every == 0)

    def show(self, step: int, pictures: Mapping[str, Picture]) -> None:
        """Log pictures by name."""
        for name, picture in pictures.items():
            if self._log is not None:
                self._log.picture(step, name, picture)

    def keep(self, step: int, last: bool, snapshot: Callable[[], Mapping[str, Any]]) -> bool:
        """Save when it is time, or when the run shall stop: then returns False.

        Raises Cancelled, after saving, when it is the listener who wants it, and OutputUnwritable.
        """
        stopped = self.crew.any(self._terminated.is_set() or self.listener.cancelled()) and not last
        if self.crew.leads and (stopped or last or step % self._config.run.checkpoint_every == 0):
            save_checkpoint(self.checkpoint, snapshot(), self._settings)
        if stopped and self.listener.cancelled():
            raise Cancelled(f"The run was stopped at step {step}.", self._go_on)
        return not stopped

    def stopped(self, step: int) -> Result:
        """What a run that was stopped before its last step has to show."""
        self.listener.log("warning", f"stopped at step {step}. {self._go_on}")
        return Result({"checkpoint": str(self.checkpoint), "run": str(self.folder)}, {"steps": step})


def finished(result: Result) -> str:
    """The model file of a training run. Raises Cancelled when the run was stopped before its last step."""
    if "model" not in result.outputs:
        raise Cancelled(
            f"The run was stopped at step {result.values.get('steps', 0):.0f}.", "The same command goes on from there."
        )
    return result.outputs["model"]


def duration(seconds: float) -> str:
    """Seconds for people."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def make_folder(folder: Path) -> None:
    """Raises OutputUnwritable."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputUnwritable(f"The folder {folder} cannot be made ({error.strerror}).", "Choose another.") from error


@contextmanager
def _on_stop(event: threading.Event) -> Iterator[None]:
    """SIGTERM and the first Ctrl-C set the event, a second Ctrl-C does what it did before; in the main thread alone."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {wish: signal.getsignal(wish) for wish in (signal.SIGTERM, signal.SIGINT)}

    def stop(wish: int, _: object) -> None:
        event.set()
        if wish == signal.SIGINT:
            signal.signal(wish, before[signal.SIGINT])

    for wish, handler in before.items():
        if handler is not signal.SIG_IGN:  # somebody else sees to it
            signal.signal(wish, stop)
    try:
        yield
    finally:
        for wish, handler in before.items():
            signal.signal(wish, handler)

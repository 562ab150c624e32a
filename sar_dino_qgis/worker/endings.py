"""What the end of a process means: its exit status and last words as an error that names cause and remedy."""

from __future__ import annotations

import signal

from sardino_core.contract.errors import WorkerDied

_AGAIN = "The next run starts a new worker."
_MEMORY = f"Use a smaller batch size or a smaller extent, or close other programs. {_AGAIN}"
_NATIVE = f"Check the environment, update the graphics driver, or choose the device `cpu`. {_AGAIN}"
_CRASHES = {"SIGSEGV", "SIGBUS", "SIGILL", "SIGFPE", "SIGABRT", "SIGTRAP"}
_WINDOWS_CRASHES = {  # NTSTATUS values
    0xC0000005: "access violation",
    0xC000001D: "illegal instruction",
    0xC0000374: "heap corruption",
    0xC0000409: "stack buffer overrun",
}
_WINDOWS_MEMORY = {0xC0000017, 0xC000012D}  # no memory, commitment limit
_CRASH_BEGINS = ("Fatal Python error", "Windows fatal exception")  # as faulthandler writes
_SHOWN = 20  # lines


def worker_died(status: int | None, last_words: str) -> WorkerDied:
    """The error for an exit `status` (negative: the signal, as `subprocess` has it) and the end of stderr."""
    if status is None:
        return WorkerDied(f"The worker process stopped answering{_quoted(last_words)}.", _AGAIN)
    name = _signal_name(status)
    if name == "SIGKILL":
        return WorkerDied("The worker process was killed, most likely because the memory ran out.", _MEMORY)
    if status & 0xFFFFFFFF in _WINDOWS_MEMORY:
        return WorkerDied("The worker process ended because the memory ran out.", _MEMORY)
    if name in _CRASHES:
        return WorkerDied(f"The worker process crashed in native code ({name}){_quoted(last_words)}.", _NATIVE)
    if status & 0xFFFFFFFF in _WINDOWS_CRASHES:
        kind = _WINDOWS_CRASHES[status & 0xFFFFFFFF]
        return WorkerDied(f"The worker process crashed in native code ({kind}){_quoted(last_words)}.", _NATIVE)
    how = f"was ended by {name}" if name else f"ended with exit code {status}"
    return WorkerDied(f"The worker process {how} in the middle of the run{_quoted(last_words)}.", _AGAIN)


def last_lines(text: str) -> list[str]:
    """The end of a process's last words; of a crash all that is told about it."""
    lines = [line.rstrip() for line in text.splitlines() if line.strip() and not line.startswith("Extension modules")]
    crash = [index for index, line in enumerate(lines) if line.startswith(_CRASH_BEGINS)]
    return lines[crash[-1] if crash else -_SHOWN :]


def last_line(text: str) -> str:
    """The line of a process's last words that says most: the reason of a crash, else the very last one."""
    lines = last_lines(text)
    return (lines[0] if lines[0].startswith(_CRASH_BEGINS) else lines[-1]).strip()[:200] if lines else ""


def _quoted(last_words: str) -> str:
    line = last_line(last_words)
    return f", saying: {line.rstrip('.')}" if line else ""


def _signal_name(status: int) -> str:
    try:
        return signal.Signals(-status).name if status < 0 else ""
    except ValueError:
        return f"signal {-status}"

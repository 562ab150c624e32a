"""What can go wrong inside a training step, told in one line with its remedy: no finite loss, no memory."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch

from sardino_core.contract.errors import OutOfMemory, SettingInvalid

_SHOWN = 3  # windows named
_PHRASE = "DefaultCPUAllocator"  # "can't allocate memory", "not enough memory": torch has no class for it on CPUs


def require_finite(what: str, value: float, step: int, origins: Sequence[str]) -> None:
    """Raises SettingInvalid, naming the step and some of the batch's windows, when a loss or gradient is not finite."""
    if not math.isfinite(value):
        shown = "; ".join(origins[:_SHOWN]) + ("; ..." if len(origins) > _SHOWN else "")
        raise SettingInvalid(
            f"The {what} at step {step} is {value}: training has diverged. The batch held {shown}.",
            "Lower optimiser.lr or raise optimiser.warm_up; the last checkpoint is kept.",
        )


@contextmanager
def memory_of(micro_batch: int) -> Iterator[None]:
    """Raises OutOfMemory with the size to try, when a pass over `micro_batch` windows does not fit."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not _is_out_of_memory(error):
            raise
        raise OutOfMemory(
            f"The device's memory does not hold a pass over {micro_batch} windows.",
            f"Set optimiser.micro_batch={micro_batch // 2}; gradients are then accumulated to the same batch."
            if micro_batch > 1
            else "Choose a smaller network or window.",
        ) from error


def _is_out_of_memory(error: Exception) -> bool:
    """Whether it is memory that lacks."""
    return isinstance(error, (MemoryError, torch.cuda.OutOfMemoryError)) or _PHRASE in str(error)

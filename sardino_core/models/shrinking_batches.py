"""Batches that halve when the memory runs out, for either predictor. No torch and no ONNX Runtime here."""

from __future__ import annotations

import logging
from collections.abc import Callable

import numpy as np

from sardino_core.contract.errors import OutOfMemory

_log = logging.getLogger(__name__)
# What torch, CUDA, ONNX Runtime's arenas, DirectML and C++ say when there is no more.
_SIGNS = ("out of memory", "allocate memory", "alloc_failed", "bad_alloc", "bad allocation", "not enough memory")


class ShrinkingBatches:
    """Calls a function on a batch; when memory runs out, on halves of it from then on, and says so once."""

    def __init__(self, give_back: Callable[[], None] = lambda: None) -> None:
        """No limit until memory runs out. `give_back` frees what the device holds for later."""
        self.limit: int | None = None
        self._give_back = give_back

    def run(self, windows: np.ndarray, once: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
        """`once` over all of `windows`, in as many parts as it takes. Raises OutOfMemory when one is too much."""
        parts: list[np.ndarray] = []
        done = 0
        while done < len(windows):
            part = windows[done : done + (self.limit or len(windows))]
            try:
                parts.append(once(part))
                done += len(part)
            except Exception as error:  # ONNX Runtime's own exceptions share no other base
                if not is_out_of_memory(error):
                    raise
                self._halve(len(part))
        return parts[0] if len(parts) == 1 else np.concatenate(parts)

    def _halve(self, failed: int) -> None:
        if failed == 1:
            raise OutOfMemory(
                "The device's memory does not hold the model and one window.", "Free memory there, or use --device cpu."
            )
        if self.limit is None:
            _log.warning("The device ran out of memory at %d windows a batch; going on with smaller batches.", failed)
        self.limit = failed // 2
        self._give_back()


def is_out_of_memory(error: Exception) -> bool:
    """Whether the error says that a memory, of the device or the machine, is used up."""
    return isinstance(error, MemoryError) or any(sign in str(error).lower() for sign in _SIGNS)

"""How much arithmetic a computation holds, and how fast this machine multiplies matrices: what a floor is made of."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode


@dataclass(frozen=True)
class Machine:
    """A device, and the rate of its matrix multiply, in FLOP/s."""

    device: torch.device
    rate: float
    kind: str  # of the numbers multiplied


def measured(device: torch.device, kind: torch.dtype, side: int = 0) -> Machine:
    """The median rate of a large matrix multiply, of sizes that a transformer uses, or of `side`."""
    side = side or (8192 if device.type == "cuda" else 2048)
    a, b = (torch.randn(side, side, device=device, dtype=kind) for _ in range(2))
    seconds = timed(lambda: a @ b, device, 10)
    return Machine(device, 2 * side**3 / seconds, str(kind).removeprefix("torch."))


def flops_of(work: Callable[[], object]) -> int:
    """Multiplications and additions of a call, attention counted: torch counts none of a CPU's fused attention."""
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        work()
    return counter.get_total_flops()


def timed(work: Callable[[], object], device: torch.device, repeats: int) -> float:
    """Median seconds of a call."""
    seconds = []
    for _ in range(repeats):
        wait(device)
        began = time.perf_counter()
        work()
        wait(device)
        seconds.append(time.perf_counter() - began)
    return statistics.median(seconds)


def wait(device: torch.device) -> None:
    """Until the device has done what it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize()

"""Several processes that train one network, as torchrun starts them: who one is, and sums over all; nothing when alone.

Gradients are summed in one message after the backward pass rather than by a wrapper around the network: the loop shows
where it happens, parameters keep their names, and gradient accumulation needs no special case.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch import Tensor

from sardino_core.contract.errors import SettingInvalid


@dataclass(frozen=True)
class Team:
    """This process among those that train together."""

    rank: int
    size: int
    device: torch.device

    @property
    def leads(self) -> bool:
        """True for the one process that writes files and speaks."""
        return self.rank == 0

    def alone(self) -> Team:
        """This process by itself, for what the others do not take part in."""
        return Team(0, 1, self.device)

    def sum(self, value: Tensor) -> Tensor:
        """The sum over all processes; the tensor given is overwritten."""
        if self.size > 1:
            dist.all_reduce(value)
        return value

    def maximum(self, value: Tensor) -> Tensor:
        """The elementwise largest of all processes; the tensor given is overwritten."""
        if self.size > 1:
            dist.all_reduce(value, op=dist.ReduceOp.MAX)
        return value

    def any(self, flag: bool) -> bool:
        """True when it is true in one process."""
        if self.size == 1:
            return flag
        return bool(self.maximum(torch.tensor([float(flag)], device=self.device)).item())

    def sum_gradients(self, parameters: Sequence[Tensor]) -> None:
        """Replace every gradient by its sum over all processes, in one message."""
        if self.size == 1:
            return
        gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
        flat = self.sum(torch.cat([gradient.flatten() for gradient in gradients]))
        for gradient, part in zip(gradients, torch.split(flat, [item.numel() for item in gradients]), strict=True):
            gradient.copy_(part.view_as(gradient))

    def micro_batch(self, batch: int, asked: int) -> int:
        """Windows per forward pass: what is asked for, or with 0 this process's whole share of the batch.

        Raises SettingInvalid if it does not divide.
        """
        micro = asked or max(1, batch // self.size)
        if batch % self.size or batch // self.size % micro:
            raise SettingInvalid(
                f"optimiser.batch_size is {batch}; it must be a multiple of {self.size} processes times "
                f"{micro} windows per pass (optimiser.micro_batch)."
            )
        return micro

    def parts(self, batch: int, micro: int) -> range:
        """The numbers of the passes that are this process's, among all passes over the batch."""
        count = batch // micro // self.size
        return range(self.rank * count, (self.rank + 1) * count)


@contextmanager
def team() -> Iterator[Team]:
    """Join the processes that torchrun started (its environment variables say so), or be alone."""
    size = int(os.environ.get("WORLD_SIZE", "1"))
    on_gpu = torch.cuda.is_available()
    device = torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0"))) if on_gpu else torch.device("cpu")
    if size == 1:
        yield Team(0, 1, device)
        return
    if on_gpu:
        torch.cuda.set_device(device)
    dist.init_process_group("nccl" if on_gpu else "gloo")
    try:
        yield Team(dist.get_rank(), size, device)
    finally:
        dist.destroy_process_group()

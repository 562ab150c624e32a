"""How a batch is cut over processes and passes; sums over processes are tested by whole runs in two of them."""

from __future__ import annotations

import pytest
import torch

from sardino_core.contract.errors import SettingInvalid
from sardino_core.training.running.distributed import Team
from sardino_core.training.running.tally import add, take_means

CPU = torch.device("cpu")


@pytest.mark.parametrize(("size", "batch", "asked", "micro"), [(1, 12, 0, 12), (2, 12, 0, 6), (3, 12, 2, 2)])
def test_every_pass_over_the_batch_belongs_to_one_process(size, batch, asked, micro):
    crew = [Team(rank, size, CPU) for rank in range(size)]
    assert {member.micro_batch(batch, asked) for member in crew} == {micro}
    assert [part for member in crew for part in member.parts(batch, micro)] == list(range(batch // micro))


@pytest.mark.parametrize(("size", "batch", "asked"), [(2, 3, 0), (2, 12, 4), (1, 12, 5), (4, 2, 0)])
def test_what_does_not_divide_is_refused(size, batch, asked):
    with pytest.raises(SettingInvalid, match=f"batch_size is {batch}"):
        Team(0, size, CPU).micro_batch(batch, asked)


def test_means_are_over_the_steps_since_the_last_row():
    sums: dict[str, float] = {}
    for loss in (1.0, 2.0, 6.0):
        add(sums, {"loss": loss, "steps": 1.0})
    assert take_means(sums, Team(0, 1, CPU)) == {"loss": 3.0, "steps": 3.0}
    assert sums == {}

from __future__ import annotations

import pytest
import torch

from sardino_core.contract.errors import OutOfMemory, SettingInvalid
from sardino_core.training.running.step_errors import memory_of, require_finite


def test_too_large_an_allocation_names_the_size_to_try():
    with pytest.raises(OutOfMemory, match=r"pass over 64 windows.*optimiser\.micro_batch=32"), memory_of(64):
        torch.empty(1 << 58)
    with pytest.raises(OutOfMemory, match="smaller network"), memory_of(1):
        torch.empty(1 << 58)


def test_other_errors_pass_as_they_are():
    with pytest.raises(RuntimeError, match="shape"), memory_of(8):
        torch.zeros(2).view(3)
    with pytest.raises(KeyError), memory_of(8):
        raise KeyError("x")


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_what_is_not_finite_names_step_and_windows(value):
    origins = tuple(f"scene.tif at row {row}" for row in range(5))
    with pytest.raises(SettingInvalid) as error:
        require_finite("loss", value, 7, origins)
    assert "at step 7" in str(error.value)
    assert "row 2; ..." in str(error.value)
    require_finite("loss", 1.0, 7, origins)

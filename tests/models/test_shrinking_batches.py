"""Batches shrink when memory runs out, whoever says so and in whatever words; nothing else is taken for it."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from onnxruntime.capi.onnxruntime_pybind11_state import Fail, RuntimeException

from sardino_core.contract.errors import OutOfMemory
from sardino_core.models.shrinking_batches import ShrinkingBatches, is_out_of_memory

SAID = [
    torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
    RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 64 bytes"),
    RuntimeException("BFCArena::AllocateRawInternal Failed to allocate memory for requested buffer of size 75497472"),
    Fail("CUBLAS failure 3: CUBLAS_STATUS_ALLOC_FAILED"),
    RuntimeException("8007000E Not enough memory resources are available to complete this operation."),
    RuntimeException("std::bad_alloc"),
    MemoryError(),
]


@pytest.mark.parametrize("error", SAID, ids=lambda error: type(error).__name__)
def test_batches_shrink_once_memory_runs_out(error: Exception, caplog: pytest.LogCaptureFixture) -> None:
    tried: list[int] = []

    def once(part: np.ndarray) -> np.ndarray:
        tried.append(len(part))
        if len(part) > 3:
            raise error
        return part * 2

    given_back: list[bool] = []
    batches = ShrinkingBatches(lambda: given_back.append(True))
    windows = np.arange(13.0)
    np.testing.assert_array_equal(batches.run(windows, once), windows * 2)
    assert tried == [13, 6, 3, 3, 3, 3, 1] and len(given_back) == 2
    tried.clear()
    np.testing.assert_array_equal(batches.run(windows, once), windows * 2)
    assert max(tried) == 3
    assert caplog.text.count("ran out of memory") == 1


@given(count=st.integers(1, 200), room=st.integers(1, 64))
def test_every_window_comes_back_once_and_in_order(count: int, room: int) -> None:
    def once(part: np.ndarray) -> np.ndarray:
        if len(part) > room:
            raise MemoryError
        return part

    windows = np.arange(count)
    np.testing.assert_array_equal(ShrinkingBatches().run(windows, once), windows)


def test_one_window_that_does_not_fit_is_an_error_with_a_way_out() -> None:
    def once(part: np.ndarray) -> np.ndarray:
        raise SAID[1]

    with pytest.raises(OutOfMemory, match="--device cpu"):
        ShrinkingBatches().run(np.zeros(4), once)


@pytest.mark.parametrize("error", [RuntimeError("shape mismatch"), Fail("CUDA error 700"), ValueError("memory layout")])
def test_other_failures_are_not_taken_for_memory(error: Exception) -> None:
    def once(part: np.ndarray) -> np.ndarray:
        raise error

    assert not is_out_of_memory(error)
    with pytest.raises(type(error), match=str(error)):
        ShrinkingBatches().run(np.zeros(4), once)

from __future__ import annotations

import pytest

from sardino_core.contract.errors import Cancelled, InputMissing, OutOfMemory
from sardino_core.reporting import told


def raised(error: BaseException, cause: BaseException | None = None) -> BaseException:
    with pytest.raises(type(error)) as found:
        raise error from cause
    return found.value


def test_a_signal_that_falls_into_an_import_is_a_stop_and_no_defect():
    assert isinstance(told(KeyboardInterrupt(), ""), Cancelled)
    assert isinstance(told(raised(ImportError("initialization failed"), KeyboardInterrupt()), ""), Cancelled)
    assert "defect" in str(told(raised(ImportError("initialization failed"), ValueError("x")), "report it"))


def test_what_the_user_can_mend_stays_as_it_was_told():
    error = InputMissing("a.tif does not exist.", "Check the path.")
    assert told(raised(error, KeyboardInterrupt()), "") is error
    assert isinstance(told(MemoryError(), ""), OutOfMemory)

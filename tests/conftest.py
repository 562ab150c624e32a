"""Fixtures that every test folder shares."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
from hypothesis import settings


@pytest.fixture(scope="session")
def data_folder() -> Path:
    """The folder of real Sentinel-1 rasters: SARDINO_DATA, else shared/data beside the repository; skips without it."""
    named = os.environ.get("SARDINO_DATA")
    folder = Path(named) if named else Path(__file__).resolve().parents[2] / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("the folder of real rasters is not here (set SARDINO_DATA)")
    return folder


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Exports that tests have made are no business of the user's cache; processes that tests start inherit it."""
    os.environ["XDG_CACHE_HOME"] = str(tmp_path_factory.mktemp("cache"))


# Machines are noisy: speed is measured by `make bench`, never by a test's deadline.
settings.register_profile("sardino", deadline=None)
settings.load_profile("sardino")

# A background job of a shell ignores Ctrl-C, and so would the processes that tests start and interrupt.
signal.signal(signal.SIGINT, signal.default_int_handler)

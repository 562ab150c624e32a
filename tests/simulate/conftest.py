"""Real tiles, where there are any: SARDINO_DATA, else ../shared/data beside the repository."""

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def real_data() -> Path:
    folder = Path(os.environ.get("SARDINO_DATA", ROOT.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"no real tiles at {folder}; set SARDINO_DATA")
    return folder

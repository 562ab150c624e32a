"""Dates of acquisition as users give them: ISO 8601, as exact as known."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Sequence

from sardino_core.contract.errors import SettingInvalid

_ISO = re.compile(r"\d{4}-\d\d(-\d\d(T\d\d:\d\d:\d\d)?)?")


def check_dates(dates: Sequence[str], inputs: int) -> None:
    """Every date is one, and there is none, or one for each input. Raises SettingInvalid."""
    for text in dates:
        if not _is_date(text):
            raise SettingInvalid(f"The date {text!r} is not of the form 2024-06-30, 2024-06 or 2024-06-30T05:24:11.")
    if dates and len(dates) != inputs:
        raise SettingInvalid(
            f"--dates has {len(dates)} dates for {inputs} inputs.", "Give one date for every input, in their order."
        )


def _is_date(text: str) -> bool:
    if not _ISO.fullmatch(text):
        return False
    try:
        datetime.fromisoformat(text if len(text) > 7 else f"{text}-01")
    except ValueError:
        return False
    return True

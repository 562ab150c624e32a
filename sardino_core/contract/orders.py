"""What a worker is sent, one line of JSON each: a job, or the wish to stop."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Union

from sardino_core.contract import jobs

_CANCEL = "cancel"


@dataclass(frozen=True)
class Cancel:
    """Stop whatever was sent before this line; what is sent after it is done."""


Order = Union[jobs.Job, Cancel]


def encode(order: Order) -> str:
    """One line of JSON without the newline; the key `job` names the kind."""
    return json.dumps({"job": _CANCEL}) if isinstance(order, Cancel) else jobs.encode(order)


def decode(line: str) -> Order:
    """Read one line; the bare word `cancel` will do, for people. Raises SettingInvalid naming what is wrong."""
    if line.strip() in (_CANCEL, encode(Cancel())):
        return Cancel()
    return jobs.decode(line)

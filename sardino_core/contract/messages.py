"""The messages of the worker protocol: one JSON object per line, the same for `--json` and for the plugin's worker."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any, Dict, Tuple, Type, Union

from sardino_core.contract.errors import SardinoError, SettingInvalid
from sardino_core.contract.serial import from_dict, to_dict

PROTOCOL = 1


@dataclass(frozen=True)
class Hello:
    """The first line: who speaks, and which protocol."""

    version: str
    protocol: int = PROTOCOL


@dataclass(frozen=True)
class Progress:
    """`fraction` in 0..1; `message` names the stage."""

    fraction: float
    message: str = ""


@dataclass(frozen=True)
class Log:
    """`level` is info or warning; the text is one line."""

    level: str
    message: str


@dataclass(frozen=True)
class Result:
    """The job is done: files by role (`output`, `confidence`, ...) and whatever numbers it yields."""

    outputs: Dict[str, str] = field(default_factory=dict)
    values: Dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Failure:
    """The job ended without a result; nothing was left behind."""

    code: str
    message: str
    hint: str = ""

    @staticmethod
    def of(error: SardinoError) -> "Failure":
        """The failure that an error becomes."""
        return Failure(error.code, error.message, error.hint)

    def error(self) -> SardinoError:
        """The error that this was; one of a code that is not known here is a plain SardinoError."""
        kinds = {kind.code: kind for kind in SardinoError.__subclasses__()}
        return kinds.get(self.code, SardinoError)(self.message, self.hint)


Message = Union[Hello, Progress, Log, Result, Failure]
_KINDS: Tuple[Type[Any], ...] = (Hello, Progress, Log, Result, Failure)


def encode(message: Message) -> str:
    """One line of JSON without the newline; the key `type` names the message."""
    body = {"type": type(message).__name__.lower(), **to_dict(message)}
    return json.dumps(body, allow_nan=False)  # ASCII: a Windows pipe may know no other letters


def decode(line: str) -> Message:
    """Read one line. Raises SettingInvalid for anything that is not a message."""
    try:
        body = json.loads(line)
    except ValueError:
        raise SettingInvalid(f"The line {line[:60]!r} is not JSON.") from None
    kind = body.pop("type", None) if isinstance(body, dict) else None
    for candidate in _KINDS:
        if candidate.__name__.lower() == kind:
            return from_dict(candidate, body)  # type: ignore[no-any-return]
    raise SettingInvalid(f"The line {line[:60]!r} is no message; it needs a known type.")

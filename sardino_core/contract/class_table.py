"""The small table by which classes are merged and renamed, one entry of text per row: `10,20=1:woodland:#1b7837`.

Old values = new value [: new name [: new colour]]. What a map holds is not known here: see analysis/merging.py.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Dict, List, Sequence, Tuple

from sardino_core.contract.errors import SettingInvalid

_FORM = re.compile(r"([^=]*)=([^:]*)(?::(.*))?", re.DOTALL)
_COLOUR = re.compile(r"#[0-9a-f]{6}")
_EXAMPLE = "Write old values = new value, then a name and a colour if wanted: 10,20=1:woodland:#1b7837."


@dataclass(frozen=True)
class NewClass:
    """What some classes become; an empty name or colour is taken from the map."""

    value: int  # 0: nodata
    old: Tuple[int, ...]  # in the order in which they are named
    name: str = ""
    colour: str = ""  # #rrggbb

    @property
    def keeps(self) -> bool:
        """Whether a class is named that stays as it is."""
        return self.old == (self.value,) and not self.name and not self.colour


def parse_table(entries: Sequence[str]) -> Tuple[NewClass, ...]:
    """The new classes, each once. Raises SettingInvalid for a table that contradicts itself, or changes nothing."""
    table: Dict[int, NewClass] = {}
    seen: List[int] = []
    for entry in entries:
        new = _parse(entry)
        for value in new.old:
            if value in seen:
                raise SettingInvalid(f"The old value {value} is named twice.", "Say once what it becomes.")
            seen.append(value)
        table[new.value] = _joined(table.get(new.value, NewClass(new.value, ())), new)
    if all(new.keeps for new in table.values()):
        raise SettingInvalid("The table changes nothing.", _EXAMPLE)
    names = [(new.name, new.value) for new in table.values() if new.name]
    require_different_names(names)
    return tuple(table.values())


def require_different_names(classes: Sequence[Tuple[str, int]]) -> None:
    """Raises SettingInvalid where two values (name, value) share a name: tools that take names could not tell them."""
    first: Dict[str, int] = {}
    for name, value in classes:
        other = first.setdefault(name.casefold(), value)
        if other != value:
            raise SettingInvalid(
                f"The values {other} and {value} would both be called {name}.",
                f"Merge them, or give one of them another name: {value}={value}:another name.",
            )


def _parse(entry: str) -> NewClass:
    form = _FORM.fullmatch(entry.strip())
    if form is None:
        raise SettingInvalid(f"The entry {entry!r} has no `=`.", _EXAMPLE)
    old, new, rest = form[1], form[2], form[3] or ""
    name, separator, colour = rest.rpartition(":")  # a name may hold a colon, a colour holds none
    name, colour = (name.strip(), colour.strip().lower()) if separator else (rest.strip(), "")
    value = _value(new, entry, 0)
    if name and not (len(name) <= 80 and name.isprintable()):
        raise SettingInvalid(f"The name {name!r} is not allowed; names have 1 to 80 printable characters.")
    if colour and not _COLOUR.fullmatch(colour):
        raise SettingInvalid(f"The colour {colour!r} in {entry!r} is not of the form #rrggbb, such as #1b7837.")
    if value == 0 and (name or colour):
        raise SettingInvalid(f"The entry {entry!r} names nodata (0), which has no name and no colour.", "Leave it out.")
    return NewClass(value, tuple(_value(text, entry, 1) for text in old.split(",")), name, colour)


def _value(text: str, entry: str, lowest: int) -> int:
    digits = text.strip()
    if not re.fullmatch(r"[0-9]{1,9}", digits):
        raise SettingInvalid(f"{digits!r} in the entry {entry!r} is no whole number.", _EXAMPLE)
    if not lowest <= int(digits) <= 255:
        kind = "old values are 1 to 255 (nodata, 0, stays)" if lowest else "new values are 0 (nodata) to 255"
        raise SettingInvalid(f"The value {int(digits)} in the entry {entry!r} is out of range; {kind}.")
    return int(digits)


def _joined(before: NewClass, more: NewClass) -> NewClass:
    name, colour = before.name or more.name, before.colour or more.colour
    for kind, one, other in (("named", name, more.name), ("coloured", colour, more.colour)):
        if other and other != one:
            raise SettingInvalid(f"The new value {more.value} is {kind} both {one} and {other}.", "Choose one.")
    return NewClass(before.value, before.old + more.old, name, colour)

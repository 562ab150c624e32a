"""What became of every weight when a checkpoint was imported: loaded, adapted, missing, unused. No torch."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

_NUMBER = re.compile(r"(?<=\.)\d+(?=\.)")


@dataclass(frozen=True)
class LayerReport:
    """Names without prefixes; `unused` names are those of the checkpoint, the others those of our backbone."""

    loaded: tuple[str, ...]  # value for value, under the same or another name
    adapted: Mapping[str, str]  # by name: how
    missing: Mapping[str, str]  # by name: what stands in for it
    unused: Mapping[str, str]  # by name: why it is not needed

    def lines(self) -> list[str]:
        """For a person: a line for every group and reason, with counts; sums to the whole of both files."""
        lines = [_line("loaded", self.loaded)]
        for title, notes in (("adapted", self.adapted), ("missing", self.missing), ("unused", self.unused)):
            reasons = dict.fromkeys(notes.values()) or {"": None}
            lines += [_line(title, [name for name in notes if notes[name] == reason], reason) for reason in reasons]
        return lines

    def values(self) -> dict[str, Any]:
        """For a program: counts by group, and the reasons."""
        return {
            "loaded": grouped(self.loaded),
            **{
                title: {name: {"count": count, "note": _first(notes, name)} for name, count in grouped(notes).items()}
                for title, notes in (("adapted", self.adapted), ("missing", self.missing), ("unused", self.unused))
            },
        }


def grouped(names: Iterable[str]) -> dict[str, int]:
    """How many names there are of each kind, with a star for a block's number: `blocks.*.attn.qkv.weight`."""
    return dict(Counter(_NUMBER.sub("*", name) for name in names))


def named(names: Iterable[str], at_most: int = 4) -> str:
    """The groups in one phrase: `blocks.*.norm1.weight (12), cls_token and 3 other kinds`."""
    groups = [name if count == 1 else f"{name} ({count})" for name, count in grouped(names).items()]
    rest = len(groups) - at_most
    more = f" and {rest} other kind{'s' if rest > 1 else ''}" if rest > 0 else ""
    return ", ".join(groups[:at_most]) + more


def _line(title: str, names: Iterable[str], reason: str = "") -> str:
    names = list(names)
    what = named(names, at_most=99)
    return f"{title:<8} {len(names):>4}  " + (f"{reason}: {what}" if reason else what or "none")


def _first(notes: Mapping[str, str], group: str) -> str:
    return next(note for name, note in notes.items() if _NUMBER.sub("*", name) == group)

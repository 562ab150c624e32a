"""What `sardino check` finds: one line per thing, with the remedy for what does not work."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Finding:
    """One thing looked at; `fix` is empty where nothing needs mending."""

    name: str
    ok: bool
    found: str
    fix: str = ""

    def line(self) -> str:
        """For a person."""
        return f"{'ok  ' if self.ok else '--  '}{self.name}: {self.found}" + (f" -> {self.fix}" if self.fix else "")

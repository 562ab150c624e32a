"""The help pages beside this file: made of docs/*.md when the plugin is packaged, and absent in a checkout."""

from __future__ import annotations

from pathlib import Path

MANUAL = "plugin"
FOLDER = Path(__file__).resolve().parent


def page_url(name: str) -> str:
    """Where a page is, for a browser; empty where it is not."""
    path = FOLDER / f"{name}.html"
    return path.as_uri() if path.exists() else ""

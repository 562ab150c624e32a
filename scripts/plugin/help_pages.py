"""The plugin's help pages: docs/*.md as HTML, with their pictures beside them. Needs the package `markdown`."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from pathlib import Path

from markdown import Markdown

DOCS = Path(__file__).resolve().parents[2] / "docs"
PAGES = (
    "plugin",
    "explorer",
    "explore",
    "preparing",
    "classify",
    "composite",
    "change",
    "change_rate",
    "accuracy",
    "training",
    "pretraining",
)
_PICTURE = re.compile(r"!\[[^\]]*\]\(([^)]+\.png)\)")
_LINK = re.compile(r'href="(\w+)\.md"')
_STYLE = """
body{font:16px/1.5 sans-serif;max-width:50em;margin:2em auto;padding:0 1em;color:#222}
img{max-width:100%;border:1px solid #ddd}pre{background:#f5f5f5;padding:.8em;overflow:auto}
code{background:#f5f5f5}table{border-collapse:collapse}td,th{border:1px solid #ddd;padding:.3em .8em;text-align:left}
nav{border-bottom:1px solid #ddd;margin-bottom:1em}nav a{margin-right:1em}
"""


def help_pages() -> Iterator[tuple[str, bytes]]:
    """Every file of the help folder: its name and content. Raises SystemExit for a link that leads nowhere."""
    texts = {name: (DOCS / f"{name}.md").read_text(encoding="utf-8") for name in PAGES}
    titles = {name: text.partition("\n")[0].lstrip("# ") for name, text in texts.items()}
    menu = "".join(f'<a href="{name}.html">{html.escape(title)}</a>' for name, title in titles.items())
    for name, text in texts.items():
        body = Markdown(extensions=["tables", "fenced_code"]).convert(text)
        for target in _LINK.findall(body):
            if target not in PAGES:
                raise SystemExit(f"error: docs/{name}.md links to {target}.md, which is no help page")
        linked = _LINK.sub(r'href="\1.html"', body)
        page = (
            f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{html.escape(titles[name])}</title>'
            f"<style>{_STYLE}</style></head><body><nav>{menu}</nav>{linked}</body></html>\n"
        )
        yield f"{name}.html", page.encode("utf-8")
    for picture in sorted({found for text in texts.values() for found in _PICTURE.findall(text)}):
        yield picture, (DOCS / picture).read_bytes()

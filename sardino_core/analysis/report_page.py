"""A report as one HTML file that needs nothing else: text, tables with shaded cells, bars with whiskers as inline SVG.

Every text is escaped here: names of classes and files may come from strangers.
"""

from __future__ import annotations

import base64
import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

_STYLE = """
body { font: 15px/1.45 system-ui, sans-serif; color: #1c2733; max-width: 60em; margin: 2em auto; padding: 0 1em; }
h1 { font-size: 1.6em; margin-bottom: .2em } h2 { font-size: 1.15em; margin-top: 1.8em }
table { border-collapse: collapse; margin: .6em 0 } caption { text-align: left; color: #56646f; padding: .2em 0 }
th, td { padding: .25em .7em; border-bottom: 1px solid #dde3e8; text-align: right; font-variant-numeric: tabular-nums;
white-space: nowrap }
th:first-child, td:first-child { text-align: left }
thead th { white-space: normal; border-bottom: 2px solid #9aa7b2; font-weight: 600 }
table.facts td { white-space: normal; text-align: left; vertical-align: top }
.warning { background: #fff4d6; border-left: 4px solid #e0a100; padding: .5em .8em }
.note { color: #56646f } .swatch { display: inline-block; width: .8em; height: .8em; margin-right: .45em;
border: 1px solid #0003; vertical-align: -1px } figure { margin: .8em 0 } figcaption { color: #56646f }
img { max-width: 100%; height: auto } svg { display: block; margin: .6em 0; max-width: 100%; height: auto }
"""


@dataclass(frozen=True)
class Cell:
    """A table's cell; `shade` 0..1 tints it, in blue or (`wrong`) in red; `swatch` is a colour before the text."""

    text: str
    shade: float = 0.0
    wrong: bool = False
    swatch: str = ""

    def html(self, tag: str) -> str:
        """As `td` or `th`."""
        tint = "214,69,65" if self.wrong else "38,110,180"
        style = f' style="background:rgba({tint},{0.65 * self.shade:.2f})"' if self.shade > 0.004 else ""
        swatch = f'<span class="swatch" style="background:{escape(self.swatch)}"></span>' if self.swatch else ""
        return f"<{tag}{style}>{swatch}{escape(self.text)}</{tag}>"


@dataclass(frozen=True)
class Bar:
    """One line of a chart: a bar from 0 to `value` with a whisker of `half_width` to both sides, and a diamond."""

    name: str
    colour: str
    value: float
    half_width: float = 0.0
    mark: float | None = None


class Page:
    """Parts in the order in which they are added."""

    def __init__(self, title: str, subtitle: str = "") -> None:
        """`title` heads the page and names the window."""
        self._title = title
        self._parts = [f"<h1>{escape(title)}</h1>"]
        if subtitle:
            self._parts.append(f'<p class="note">{escape(subtitle)}</p>')

    def heading(self, text: str) -> None:
        """A heading of the second level."""
        self._parts.append(f"<h2>{escape(text)}</h2>")

    def text(self, text: str, kind: str = "") -> None:
        """A paragraph; `kind` is empty, `note` or `warning`."""
        self._parts.append(f'<p class="{kind}">{escape(text)}</p>' if kind else f"<p>{escape(text)}</p>")

    def table(self, header: Sequence[str], rows: Sequence[Sequence[Cell | str]], caption: str = "") -> None:
        """A table whose first column names the rows."""
        head = "".join(Cell(text).html("th") for text in header)
        body = "\n".join("<tr>" + "".join(_cell(cell).html("td") for cell in row) + "</tr>" for row in rows)
        legend = f"<caption>{escape(caption)}</caption>" if caption else ""
        self._parts.append(f"<table>{legend}<thead><tr>{head}</tr></thead><tbody>\n{body}\n</tbody></table>")

    def facts(self, entries: Sequence[tuple[str, str]]) -> None:
        """Names and what is known of each."""
        body = "\n".join(f"<tr><td>{escape(name)}</td><td>{escape(text)}</td></tr>" for name, text in entries)
        self._parts.append(f'<table class="facts"><tbody>\n{body}\n</tbody></table>')

    def chart(self, bars: Sequence[Bar], unit: str, caption: str) -> None:
        """Horizontal bars on one scale from 0."""
        self._parts.append(f'<p class="note">{escape(caption)}</p>' + _svg(bars, unit))

    def picture(self, png: bytes, text: str) -> None:
        """A PNG inside the page, at half its pixels for sharp screens; `text` stands below it, and for it."""
        source = f"data:image/png;base64,{base64.b64encode(png).decode()}"
        width = int.from_bytes(png[16:20], "big") // 2  # PNG specification 11.2.2: IHDR
        self._parts.append(
            f'<figure><img src="{source}" width="{width}" alt="{escape(text)}"><figcaption>{escape(text)}</figcaption>'
            f"</figure>"
        )

    def html(self) -> str:
        """The whole document."""
        body = "\n".join(self._parts)
        return (
            f'<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><title>{escape(self._title)}</title>'
            f"<style>{_STYLE}</style></head>\n<body>\n{body}\n</body></html>\n"
        )


def percent(value: float, half_width: float | None = None) -> str:
    """`94.7 %`, or `94.7 ± 1.8 %`; a dash where there is no value."""
    if not math.isfinite(value):
        return "–"
    if half_width is None or not math.isfinite(half_width):
        return f"{100 * value:.1f} %"
    return f"{100 * value:.1f} ± {100 * half_width:.1f} %"


def number(value: float) -> str:
    """Grouped in thousands, with decimals where they matter."""
    if not math.isfinite(value):
        return "–"
    digits = 0 if abs(value) >= 100 or value == int(value) else 1 if abs(value) >= 10 else 2
    return f"{value:,.{digits}f}".replace(",", "\u202f")


def _cell(cell: Cell | str) -> Cell:
    return cell if isinstance(cell, Cell) else Cell(cell)


def _svg(bars: Sequence[Bar], unit: str) -> str:
    left, width, line = 170, 500, 26  # of names, of the longest bar, of a row
    most = max((max(bar.value + bar.half_width, bar.mark or 0.0) for bar in bars), default=0.0) or 1.0
    parts = []
    for row, bar in enumerate(bars):
        middle = line * row + line / 2 + 4
        at = [
            left + width * max(0.0, x) / most
            for x in (bar.value, bar.value - bar.half_width, bar.value + bar.half_width)
        ]
        parts.append(
            f'<text x="{left - 8}" y="{middle + 4:.1f}" text-anchor="end">{escape(bar.name[:22])}</text>'
            f'<rect x="{left}" y="{middle - 7:.1f}" width="{at[0] - left:.1f}" height="14" fill="{escape(bar.colour)}" '
            f'fill-opacity="0.7" stroke="#0005"/>'
        )
        if bar.half_width > 0:
            parts.append(f'<path d="M{at[1]:.1f} {middle:.1f}H{at[2]:.1f}M{at[1]:.1f} {middle - 5:.1f}v10M{at[2]:.1f} '
                         f'{middle - 5:.1f}v10" stroke="#1c2733" stroke-width="1.5"/>')  # fmt: skip
        if bar.mark is not None:
            x = left + width * bar.mark / most
            parts.append(f'<path d="M{x:.1f} {middle - 6:.1f}l6 6l-6 6l-6-6z" fill="#fff" stroke="#1c2733"/>')
        end = max(at[2], left + width * (bar.mark or 0) / most) + 12
        parts.append(f'<text x="{end:.1f}" y="{middle + 4:.1f}">{number(bar.value)} {escape(unit)}</text>')
    height = line * len(bars) + 8
    return (
        f'<svg viewBox="0 0 {left + width + 130} {height}" width="{left + width + 130}" height="{height}" '
        f'font-size="13" font-family="system-ui, sans-serif" fill="#1c2733">{"".join(parts)}</svg>'
    )

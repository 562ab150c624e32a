"""The study's pictures: scores over the share of the labels, and paired differences with their intervals."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

from sardino_core.contract.errors import DependencyMissing
from sardino_core.study.tables import ALL, AVERAGES, CONTRAST, Difference, Score

_SPREAD = 0.05  # of a label share that neighbouring marks are apart, so that their intervals can be told apart


def draw_scores(found: Sequence[Score], arms: Sequence[str], score: str = "mIoU") -> bytes:
    """A panel per group of places, a line per arm; as PNG."""
    chosen = [row for row in found if row.score == score]
    figure, panels = _panels(_groups(chosen), f"{score} on test places")
    for group, panel in panels.items():
        for index, arm in enumerate(arms):
            rows = [row for row in chosen if row.group == group and row.arm == arm]
            _line(panel, rows, arm, index - (len(arms) - 1) / 2)
    return _png(figure, panels, sorted({row.fraction for row in chosen}))


def draw_differences(found: Sequence[Difference], score: str = "mIoU") -> bytes:
    """A panel per group of places, a line per pair of arms; as PNG."""
    chosen = [row for row in found if row.score == score and row.average == next(iter(AVERAGES))]
    pairs = list(dict.fromkeys((row.first, row.second) for row in chosen))
    figure, panels = _panels(_groups(chosen), f"difference in {score}")
    for group, panel in panels.items():
        panel.axhline(0, color="grey", lw=1)
        for index, pair in enumerate(pairs):
            rows = [row for row in chosen if row.group == group and (row.first, row.second) == pair]
            _line(panel, rows, " less ".join(pair), index - (len(pairs) - 1) / 2)
    return _png(figure, panels, sorted({row.fraction for row in chosen}))


def _groups(rows: Sequence[Score] | Sequence[Difference]) -> list[str]:
    """The groups, without all of them together where there are several."""
    found = list(dict.fromkeys(row.group for row in rows))
    return [group for group in found if group not in (ALL, CONTRAST) or len(found) == 1]


def _panels(groups: Sequence[str], label: str) -> tuple[Any, dict[str, Any]]:
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise DependencyMissing("The figures need matplotlib.", "Install the extra `sardino[explore]`.") from error
    count = max(1, len(groups))
    figure = Figure(figsize=(4.8 * count + 1.6, 4), layout="constrained")
    axes = figure.subplots(1, count, sharey=True, squeeze=False)[0]
    axes[0].set_ylabel(label)
    return figure, dict(zip(groups, axes, strict=False))


def _line(panel: Any, rows: Sequence[Score] | Sequence[Difference], label: str, place: float) -> None:
    if not rows:
        return
    x = [100 * row.fraction * (1 + _SPREAD) ** place for row in rows]
    y = [row.found.value for row in rows]
    bars = None
    if all(row.found.known for row in rows):
        below, above = [r.found.value - r.found.low for r in rows], [r.found.high - r.found.value for r in rows]
        bars = [[max(0.0, value) for value in side] for side in (below, above)]
    panel.errorbar(x, y, bars, fmt="-o", ms=3, lw=1, label=label)


def _bars_of(panel: Any) -> str:
    """What the bars are, where there are any."""
    return " (bars: 95 %)" if panel.collections else ""


def _png(figure: Any, panels: dict[str, Any], shares: Sequence[float]) -> bytes:
    for group, panel in panels.items():
        panel.set(title=f"{group} places", xlabel=f"labels in %{_bars_of(panel)}", xscale="log")
        panel.set_xticks([100 * share for share in shares], [f"{100 * share:g}" for share in shares])
        panel.minorticks_off()
        panel.grid(alpha=0.3)
    lines, names = next(iter(panels.values())).get_legend_handles_labels() if panels else ([], [])
    figure.legend(lines, names, loc="outside right upper", fontsize=8)
    target = io.BytesIO()
    figure.savefig(target, dpi=130, format="png")
    return target.getvalue()

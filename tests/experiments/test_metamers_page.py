"""The page of metamers is what the probe's tables say."""

from __future__ import annotations

import csv
import runpy
from pathlib import Path
from types import SimpleNamespace

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "experiments" / "metamers.py"
metamers = SimpleNamespace(**runpy.run_path(str(SCRIPT)))


def write(path, rows):
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


@pytest.fixture
def folder(tmp_path):
    """A report in which tokens beat SAR in context by both probes, and heads by the forest alone."""
    scores, differences = [], []
    for probe in metamers.PROBES:
        for dims in ("free", "8"):
            wrong = 0 if dims == "free" else 5
            scores += [
                {"features": name, "dims": dims, "probe": probe, "miou": 0.5 + wrong, "low": 0.4, "high": 0.6}
                for name in metamers.SETS
            ]
            for first, second in metamers.PAIRS:
                value = -0.2 if (first, probe) == ("all heads", "linear") else 0.2
                row = {"first": first, "second": second, "dims": dims, "probe": probe, "difference_miou": value + wrong}
                differences.append(row | {"low": value - 0.1, "high": value + 0.1})
    places = [{"features": name, "patches": 7} for name in ("commonest class", "commonest class", "tokens")]
    for name, rows in (("scores", scores), ("differences", differences), ("places", places)):
        write(tmp_path / f"{name}.csv", rows)
    return tmp_path


def test_the_page_has_intervals_and_says_what_the_pairs_say(folder):
    text = metamers.page({"starter": metamers.report(folder)})
    assert "14 patches." in text
    assert "| tokens | 0.50 (0.40 to 0.60) | 0.50 (0.40 to 0.60) |" in text
    assert "| all heads less SAR in context | -0.20 (-0.30 to -0.10) | +0.20 (+0.10 to +0.30) |" in text
    assert "Beside SAR in context, tokens tell more, by both probes." in text
    assert "Beside SAR in context, all heads tell less by the linear probe, more by the forest." in text


@pytest.mark.parametrize(("low", "high", "told"), [(0.1, 0.2, "more"), (-0.2, -0.1, "less"), (-0.1, 0.1, "not")])
def test_a_verdict_needs_an_interval_on_one_side_of_0(low, high, told):
    assert metamers._verdict({"low": str(low), "high": str(high)}).startswith(told)

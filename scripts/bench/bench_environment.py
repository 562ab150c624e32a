"""The plugin's environments, made anew from the package index: time and size, as a Markdown table.

usage: bench_environment.py [KIND ...] [--python PYTHON]; KIND as in the environment dialog, `light` and `explore` alone
when none is named (`full` is gigabytes). Made in a temporary folder, which is removed.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from bench import table

from sar_dino_qgis.worker.environment_maker import Plan, create
from sar_dino_qgis.worker.requirements import KINDS
from sardino_core.contract.listener import Listener


def main() -> int:
    """Make, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("kinds", nargs="*", metavar="KIND", help=f"of {', '.join(KINDS)}; default: light explore")
    parser.add_argument("--python", default=sys.executable, help="makes the environments; default: this one")
    arguments = parser.parse_args()
    rows = [measured(kind, arguments.python) for kind in arguments.kinds or ("light", "explore")]
    print(table(("environment", "ready after", "on disk", "the window says"), rows))
    return 0


def measured(kind: str, python: str) -> tuple[str, str, str, str]:
    """A row of the table: from the first click to the end of its check, and what lies in the folder then."""
    with tempfile.TemporaryDirectory(prefix="sardino-bench-") as folder:
        made = Path(folder) / "environment"
        started = time.perf_counter()
        create(Plan(made, python, kind), Listener())
        seconds = time.perf_counter() - started
        size = sum(path.lstat().st_blocks * 512 for path in made.rglob("*"))
    return kind, f"{seconds:.0f} s", f"{size / 1e6:.0f} MB", f"{KINDS[kind].disk_mb} MB"


if __name__ == "__main__":
    sys.exit(main())

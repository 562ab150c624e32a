"""A process that does cells: one job per line on stdin, one answer per line on stdout, until stdin ends.

An answer is `{"outcome": ...}` or `{"error": "one line"}`. Whatever else is printed goes to stderr, the worker's log.
Ctrl-C is the study's business: it ends its workers itself.
"""

from __future__ import annotations

import json
import signal
import sys
import traceback
from typing import Any

from sardino_core.contract.errors import SardinoError
from sardino_core.contract.listener import Listener
from sardino_core.contract.serial import from_dict, to_dict
from sardino_core.study.arms.fit import run_cell
from sardino_core.study.cells import CellJob


def main() -> int:
    """Answer until there is nothing more to do."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    stream, sys.stdout = sys.stdout, sys.stderr
    for line in sys.stdin:
        print(json.dumps(_answer(line)), file=stream, flush=True)
    return 0


def _answer(line: str) -> dict[str, Any]:
    try:
        job = from_dict(CellJob, json.loads(line))
        return {"outcome": to_dict(run_cell(job, Listener()))}
    except SardinoError as error:
        return {"error": str(error)}
    except Exception as error:  # a defect in one cell must not end the others
        traceback.print_exc()
        return {"error": " ".join(f"{type(error).__name__}: {error}".split())}


if __name__ == "__main__":
    raise SystemExit(main())

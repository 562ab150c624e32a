"""How much memory this process has now."""

from __future__ import annotations

import sys
from pathlib import Path

_USUAL_MB = 350  # a run's, where the system does not tell


def resident_mb() -> float:
    """Memory of this process now; where the system does not say, what a run usually has."""
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
        import resource

        return pages * resource.getpagesize() / 1e6
    except (OSError, ImportError, ValueError):
        return _USUAL_MB if sys.platform == "win32" else _peak_mb()


def _peak_mb() -> float:
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 1e6 if sys.platform == "darwin" else peak / 1e3

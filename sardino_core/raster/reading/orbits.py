"""The relative orbit (track, 1 to 175) that a file's tags or name tell: the same one sees a place from the same angle.

Sources: OPERA RTC-S1 product specification (burst id T137-...); ESA's names of GRD and NRB products hold the
absolute orbit, which repeats after 175 with an offset per satellite.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

_ORBITS = 175  # per repeat cycle of twelve days
_OFFSETS = {"A": 73, "B": 27, "C": 172}  # relative = (absolute - offset) mod 175 + 1
_OPERA = re.compile(r"OPERA_L2_RTC-S1_T(\d{3})-\d+-IW\d", re.IGNORECASE)
_ESA = re.compile(
    r"S1([ABC])[_-](?:IW|EW|S\d)[_-](?:[A-Z0-9_]+?[_-])?\d{8}T\d{6}[_-](?:\d{8}T\d{6}[_-])?(\d{6})[_-]", re.IGNORECASE
)
_TAG = re.compile(r"rel(ative)?orbit(number)?(start)?$")


def relative_orbit(path: str, tags: Mapping[str, str]) -> int:
    """By tags such as RELATIVE_ORBIT or sat:relative_orbit, else by a known name in the path; 0 where none tells."""
    for key, value in tags.items():
        if _TAG.search(re.sub("[^a-z]", "", key.lower())) and re.fullmatch(r"\d{1,3}(\.0*)?", value.strip()):
            number = int(float(value))
            if 1 <= number <= _ORBITS:
                return number
    if opera := _OPERA.search(path):
        return int(opera.group(1))
    if esa := _ESA.search(path):
        return (int(esa.group(2)) - _OFFSETS[esa.group(1).upper()]) % _ORBITS + 1
    return 0

"""What one name says: polarisation, season, orbit, date, of a band's description or of a file. Never opens a file.

Sources: SNAP band names, M3LEO (`summer_vvasc`), Earth Engine exports (`VV_1` for the second date).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

SINGLE_POLARISATIONS = ("VV", "VH", "HH", "HV")
SEASON_WORDS = {"winter": "winter", "spring": "spring", "summer": "summer", "fall": "fall", "autumn": "fall"}
ORBIT_WORDS = {"asc": "ascending", "ascending": "ascending", "des": "descending", "desc": "descending"}
ORBIT_WORDS |= {"dsc": "descending", "descending": "descending"}
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")

# Whole words that mark a band as something other than backscatter, though it may carry a polarisation's name.
# fmt: off
AUXILIARY_WORDS = {
    "angle", "incidence", "incidenceangle", "inc", "lia", "theta", "mask", "ratio", "dem", "elevation", "height",
    "layover", "shadow", "ls", "lsmap", "rgb", "browse", "count", "nobs", "looks", "slope", "aspect", "coherence",
    "coh", "std", "stdev", "stddev", "var", "variance", "cv", "phase", "entropy", "anisotropy", "alpha", "span",
    "rvi", "area", "quality", "qa", "noise", "weight", "label", "labels", "landcover", "watermask",
}
# fmt: on
FUSED = re.compile(r"^(vv|vh|hh|hv)(asc|des|desc|dsc|db|lin|amp)$")
_GENERIC = re.compile(r"^(?:(?i:bands?|layer)|b)?[\s_]*\d*$")  # `B1` is a band of Sentinel-2, `b1` of nothing

_DAY = re.compile(r"(?<!\d)(20[1-4]\d)([-_]?)(0[1-9]|1[0-2])\2(0[1-9]|[12]\d|3[01])(?!\d)")
_MONTH = re.compile(r"(?<!\d)(20[1-4]\d)-(0[1-9]|1[0-2])(?![-\d])")
_SNAP_DAY = re.compile(r"(?<!\d)(\d\d)([A-Z][a-z]{2})(20[1-4]\d)(?!\d)")


@dataclass(frozen=True)
class BandLabel:
    """What a band's description says; every field empty where it says nothing."""

    text: str = ""
    polarisation: str = ""
    season: str = ""
    orbit: str = ""
    date: str = ""  # ISO 8601, as exact as known: 2020-11, 2020-11-05 or 2020-11-05T01:58:58
    auxiliary: bool = False  # angle, mask, ratio, ...: no backscatter

    @property
    def unnamed(self) -> bool:
        """True when the description carries no name of its own (`bands`, `band 1`, nothing)."""
        return not self.polarisation and not self.auxiliary and bool(_GENERIC.match(self.text))


def parse_label(text: str) -> BandLabel:
    """Read a band description such as `VV`, `Sigma0_VH_db`, `summer_vvasc` or `VV 2020-11`."""
    words = words_of(text)
    found = polarisations_in(words)
    lowered = text.lower()
    # Two polarisations in one band's name are a ratio or a difference; i_VV and q_VV are parts of a complex number.
    auxiliary = (
        len(found) > 1 or not AUXILIARY_WORDS.isdisjoint(words) or "angle" in lowered or words[:1] in (["i"], ["q"])
    )
    fused = [match.group(2) for match in map(FUSED.match, words) if match]
    return BandLabel(
        text=text.strip(),
        polarisation=found[0] if len(found) == 1 and not auxiliary else "",
        season=next((SEASON_WORDS[word] for word in words if word in SEASON_WORDS), ""),
        orbit=next((ORBIT_WORDS[word] for word in [*words, *fused] if word in ORBIT_WORDS), ""),
        date=single_date(text) or _month(text),
        auxiliary=auxiliary,
    )


def words_of(text: str) -> list[str]:
    """Lower-case words of letters and digits."""
    return [word for word in re.split(r"[^0-9a-zA-Z]+", text.lower()) if word]


def polarisations_in(words: Sequence[str]) -> tuple[str, ...]:
    """The polarisations among words, upper case, each once, in their order."""
    found: list[str] = []
    for word in words:
        fused = FUSED.match(word)
        name = (fused.group(1) if fused else word).upper()
        if name in SINGLE_POLARISATIONS and name not in found:
            found.append(name)
    return tuple(found)


def single_date(text: str) -> str:
    """The one day that a text names; none when it names several (a period) or none."""
    days = {f"{year}-{month}-{day}" for year, _, month, day in _DAY.findall(text)}
    for day, name, year in _SNAP_DAY.findall(text):
        if name.lower() in _MONTHS:
            days.add(f"{year}-{_MONTHS.index(name.lower()) + 1:02d}-{day}")
    return days.pop() if len(days) == 1 else ""


def _month(text: str) -> str:
    months = {f"{year}-{month}" for year, month in _MONTH.findall(text)}
    return months.pop() if len(months) == 1 else ""

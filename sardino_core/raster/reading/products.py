"""What names and tags say about a Sentinel-1 raster: units, polarisation, season, date, orbit. Never opens a file.

Sources: HyP3 RTC product guide (ASF), OPERA RTC-S1 product specification, Planetary Computer sentinel-1-rtc, Earth
Engine COPERNICUS/S1_GRD, SNAP band names, pyroSAR file naming, Sentinel-1 NRB naming, M3LEO.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import PurePath

from sardino_core.contract.jobs import Units
from sardino_core.raster.reading.band_names import (
    AUXILIARY_WORDS,
    FUSED,
    ORBIT_WORDS,
    SEASON_WORDS,
    BandLabel,
    parse_label,
    polarisations_in,
    single_date,
    words_of,
)
from sardino_core.raster.reading.orbits import relative_orbit

_HYP3 = re.compile(
    r"S1[A-D]_\w\w_\d{8}T\d{6}_[SD][VH][A-Z]_RTC\d+_[A-Z]_"
    r"(?P<radiometry>[gs])(?P<scale>[pda])[uw][nf][ec][dm]_[0-9A-F]{4}",
    re.IGNORECASE,
)
_HYP3_UNITS: dict[str, Units] = {"p": "power", "d": "db", "a": "amplitude"}
_OPERA = re.compile(r"OPERA_L2_RTC-S1_T\d+-\d+-IW\d_(?P<start>\d{8}T\d{6})Z", re.IGNORECASE)
_PYROSAR = re.compile(r"S1[A-D]__\w{2,4}_*_(?P<orbit>[AD])_(?P<start>\d{8}T\d{6})", re.IGNORECASE)
_SENTINEL1 = re.compile(r"S1[A-D][_-]+(?:IW|EW|WV|SM|S\d)[_-].*?(?P<start>\d{8}T\d{6})", re.IGNORECASE)
_SENTINEL2 = re.compile(r"(?:^|[_-])S2[A-D]_MSIL", re.IGNORECASE)
_DN83 = re.compile(r"20\s*\*?\s*log_?10\s*\(\s*dn\s*\)\s*-\s*83", re.IGNORECASE)
_UINT8DB = re.compile(r"dn\s*\*\s*30\s*/\s*255\s*-\s*30", re.IGNORECASE)
_M3LEO_WRAPS = (
    "8-bit values below -30 dB or above 0 dB wrap around in M3LEO files: calm water and shadow may look bright."
)


@dataclass(frozen=True)
class UnitsClaim:
    """What one source of knowledge says about the units, and which source it is."""

    units: Units
    why: str


@dataclass(frozen=True)
class FileFacts:
    """What the names and tags of one file say."""

    claims: tuple[UnitsClaim, ...]
    labels: tuple[BandLabel, ...]  # one per band
    polarisations: tuple[str, ...]  # in the file's name, in their order
    product: str = ""
    radiometry: str = ""
    season: str = ""
    date: str = ""
    orbit: str = ""
    relative_orbit: int = 0  # 1 to 175; 0: not known
    warning: str = ""


def file_facts(path: str, tags: Mapping[str, str], descriptions: Sequence[str | None], dtype: str) -> FileFacts:
    """Everything that the path, the tags and the band descriptions say about one file, without its pixels."""
    stem = file_stem(path)
    labels = tuple(_relabel(parse_label(text or ""), descriptions) for text in descriptions)
    m3leo = is_m3leo(path, labels, dtype)
    if m3leo and all(label.unnamed for label in labels):
        labels = _m3leo_labels()
    product, radiometry = _product(path, stem, labels, m3leo)
    return FileFacts(
        claims=tuple(_claims(path, stem, tags, labels, m3leo)),
        labels=labels,
        polarisations=polarisations_in(words_of(stem)),
        product=product,
        radiometry=radiometry,
        season=next((SEASON_WORDS[word] for word in words_of(stem) if word in SEASON_WORDS), ""),
        date=_date(path, stem, tags),
        orbit=_orbit(path, stem, tags),
        relative_orbit=relative_orbit(path, tags),
        warning=_M3LEO_WRAPS if m3leo else "",
    )


def file_stem(path: str) -> str:
    """The file's name without folders and image suffixes: `iw-vv.rtc` of `a/iw-vv.rtc.tiff`."""
    return re.sub(r"\.(tiff?|vrt|img|jp2|nc)$", "", PurePath(path.replace("\\", "/")).name, flags=re.IGNORECASE)


def is_uncalibrated(path: str) -> bool:
    """True for a product as ESA ships it: a SAFE folder, archive or manifest, or a file inside one."""
    parts = [part.lower() for part in path.replace("\\", "/").rstrip("/").split("/")]
    archive = re.compile(r"s1[a-d]_\w\w_(grd\w|slc_|raw_|ocn_)_.*\.(zip|tar|tgz|tar\.gz)$")
    if parts[-1] == "manifest.safe":
        return True
    return any(part.endswith((".safe", ".safe.zip")) or archive.match(part) for part in parts)


def is_auxiliary_file(path: str) -> bool:
    """True when the file's name marks it as angle, mask, DEM and the like."""
    return not AUXILIARY_WORDS.isdisjoint(words_of(file_stem(path)))


def mask_values(path: str) -> tuple[int, ...] | None:
    """The values of a known product's layover/shadow layer that mark either; None for any other raster.

    HyP3 `_ls_map` adds up bits: 1 tested, 2 slope beyond the look angle, 4 layover, 8 the same on the far side, 16
    shadow. OPERA RTC-S1 `_mask`: 1 shadow, 2 layover, 3 both, 255 outside the burst.
    """
    stem = file_stem(path)
    if stem.lower().endswith("_ls_map"):
        return tuple(value for value in range(32) if value & 0b11110)
    return (1, 2, 3) if _OPERA.search(stem) and stem.lower().endswith("_mask") else None


def is_m3leo(path: str, labels: Sequence[BandLabel], dtype: str) -> bool:
    """True for M3LEO's s1grd chips: 16 bands of uint8, four seasons by VV and VH, ascending and descending."""
    if dtype != "uint8" or len(labels) != 16:
        return False
    return "s1grd" in path.lower() or all(label.polarisation and label.orbit for label in labels)


def same_date(first: str, second: str) -> bool:
    """Compare two ISO dates as exactly as both are known; one unknown date is no contradiction.

    Two stamps within half an hour are one pass, which may cross midnight.
    """
    length = min(len(first), len(second), 10)
    if first[:length] == second[:length]:
        return True
    if len(first) < 19 or len(second) < 19 or "/" in first + second:
        return False
    return abs(datetime.fromisoformat(first[:19]) - datetime.fromisoformat(second[:19])) <= timedelta(minutes=30)


def _relabel(label: BandLabel, descriptions: Sequence[str | None]) -> BandLabel:
    """A description shared by all of several bands names none of them."""
    if len(descriptions) > 1 and len(set(descriptions)) == 1 and not label.polarisation:
        return BandLabel()
    return label


def _m3leo_labels() -> tuple[BandLabel, ...]:
    seasons = ("winter", "spring", "summer", "fall")
    names = ("vvasc", "vvdes", "vhasc", "vhdes")
    return tuple(parse_label(f"{season}_{name}") for season in seasons for name in names)


def _product(path: str, stem: str, labels: Sequence[BandLabel], m3leo: bool) -> tuple[str, str]:
    hyp3 = _HYP3.search(path)
    if hyp3:
        return "HyP3 RTC", "gamma0" if hyp3.group("radiometry").lower() == "g" else "sigma0"
    if _OPERA.search(stem):
        return "OPERA RTC-S1", "gamma0"
    if re.search(r"iw-(vv|vh|hh|hv)\.rtc$", stem, re.IGNORECASE):
        return "Planetary Computer RTC", "gamma0"
    if m3leo:
        return "M3LEO s1grd", "sigma0"
    if _is_earth_engine(labels):
        return "Earth Engine export", "sigma0"
    for word in words_of(" ".join([stem, *(label.text for label in labels)])):
        if word in ("sigma0", "gamma0", "beta0"):
            return "", word
    return "", ""


def _is_earth_engine(labels: Sequence[BandLabel]) -> bool:
    return any(label.text == "angle" for label in labels) and any(label.polarisation for label in labels)


def _claims(
    path: str, stem: str, tags: Mapping[str, str], labels: Sequence[BandLabel], m3leo: bool
) -> list[UnitsClaim]:
    """Every claim, the most specific first; a claim that the values contradict yields to the next."""
    claims = [claim for key, value in tags.items() if (claim := _tag_claim(key, value))]
    claims += [
        UnitsClaim(units, f"the band description {label.text!r}")
        for label in labels
        if label.polarisation and (units := _spoken_units(label.text))
    ]
    hyp3 = _HYP3.search(path)
    if hyp3:
        claims.append(UnitsClaim(_HYP3_UNITS[hyp3.group("scale").lower()], "the HyP3 product name"))
    product = _product(path, stem, labels, m3leo)[0]
    if product in ("OPERA RTC-S1", "Planetary Computer RTC"):
        claims.append(UnitsClaim("power", f"the {product} file name"))
    if m3leo:
        claims.append(UnitsClaim("uint8db", "the M3LEO band layout"))
    if units := _spoken_units(stem):
        claims.append(UnitsClaim(units, f"the file name {stem!r}"))
    elif _PYROSAR.search(stem):
        claims.append(UnitsClaim("power", "the pyroSAR file name, which has no `db`"))
    if product == "Earth Engine export":
        claims.append(UnitsClaim("db", "the `angle` band of an Earth Engine export"))
        claims.append(UnitsClaim("power", "the `angle` band of an Earth Engine export without dB (S1_GRD_FLOAT)"))
    return claims


def _tag_claim(key: str, value: str) -> UnitsClaim | None:
    if _DN83.search(value):
        return UnitsClaim("dn83", f"the tag {key}={value!r}")
    if _UINT8DB.search(value):
        return UnitsClaim("uint8db", f"the tag {key}={value!r}")
    if not re.search(r"unit|scale|expression|sardino_input", key, re.IGNORECASE) or "resolution" in key.lower():
        return None
    units = _spoken_units(value)
    return UnitsClaim(units, f"the tag {key}={value!r}") if units else None


def _spoken_units(text: str) -> Units | None:
    """The units that a text names. SNAP's Sigma0_VV and Gamma0_VV without `db` are linear power."""
    words = set(words_of(text)) | {match.group(2) for match in map(FUSED.match, words_of(text)) if match}
    if words & {"db", "decibel", "decibels", "dbs", "log"}:
        return "db"
    if words & {"amplitude", "amp"}:
        return "amplitude"
    if words & {"power", "pwr", "linear", "lin", "intensity", "sigma0", "gamma0", "beta0"}:
        return "power"
    return None


def _date(path: str, stem: str, tags: Mapping[str, str]) -> str:
    for key in (
        "ACQUISITION_DATE",
        "ZERO_DOPPLER_START_TIME",
        "datetime",
        "start_datetime",
        "acquisition_date",
        "date",
    ):
        if date := _iso(tags.get(key, "")):
            return date
    parts = [stem, *reversed(PurePath(path.replace("\\", "/")).parts[-4:-1])]
    for part in parts:
        for pattern in (_OPERA, _PYROSAR, _SENTINEL1):
            match = pattern.search(part)
            if match and not _SENTINEL2.search(part):
                return _compact(match.group("start"))
    return "" if _SENTINEL2.search(stem) else single_date(stem)


def _iso(text: str) -> str:
    """A date as it is told; of a period, such as a composite's, both ends with a slash between."""
    first, slash, last = text.partition("/")
    if slash:
        ends = _iso(first)[:10], _iso(last)[:10]
        return "/".join(ends) if all(ends) else ""
    match = re.match(r"(20\d\d-\d\d(?:-\d\d)?)(?:[T ](\d\d:\d\d:\d\d))?", text.strip())
    if not match:
        return _compact(text.strip()) if re.match(r"20\d{6}T\d{6}", text.strip()) else ""
    return f"{match.group(1)}T{match.group(2)}" if match.group(2) else match.group(1)


def _compact(stamp: str) -> str:
    day, time = stamp[:8], stamp[9:15]
    return f"{day[:4]}-{day[4:6]}-{day[6:]}T{time[:2]}:{time[2:4]}:{time[4:]}"


def _orbit(path: str, stem: str, tags: Mapping[str, str]) -> str:
    for key, value in tags.items():
        if "orbit" in key.lower() and value.strip().lower() in ORBIT_WORDS:
            return ORBIT_WORDS[value.strip().lower()]
    pyrosar = _PYROSAR.search(stem)
    if pyrosar:
        return "ascending" if pyrosar.group("orbit").upper() == "A" else "descending"
    return next((ORBIT_WORDS[word] for word in words_of(stem) if word in ORBIT_WORDS), "")

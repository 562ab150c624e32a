"""How an image is to be read, as every command that reads images is told: `--bands` and `--units`."""

from __future__ import annotations

from argparse import ArgumentTypeError
from typing import get_args

from sardino_core.contract.jobs import Units


def add_bands_and_units(parser) -> None:  # type: ignore[no-untyped-def]  # a parser or a group, whose type is private
    """Both options, recognised from the files where they are not given."""
    parser.add_argument(
        "--bands", type=_bands, default={}, metavar="VV=1,VH=2", help="band numbers; seasons: VV@summer=1"
    )
    parser.add_argument("--units", choices=get_args(Units), default="auto")


def _bands(text: str) -> dict[str, int]:
    bands: dict[str, int] = {}
    for part in text.split(","):
        name, separator, number = part.partition("=")
        if not separator or not number.strip().isdigit():
            raise ArgumentTypeError(f"{text!r} is not of the form VV=1,VH=2")
        bands[_band_key(name)] = int(number)
    return bands


def _band_key(name: str) -> str:
    polarisation, separator, season = name.strip().partition("@")
    return polarisation.upper() + (f"@{season.lower()}" if separator else "")

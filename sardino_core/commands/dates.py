"""Many dates of one place: `composite`, `change`."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from sardino_core.commands.command import of_job, output_lines
from sardino_core.commands.options import bands_and_units, common_options, extent, run_of, running_options
from sardino_core.contract.jobs import CONTEXT_OVERLAP, ChangeJob, CompositeJob
from sardino_core.contract.messages import Result


def _add_composite(parser: ArgumentParser) -> None:
    parser.add_argument("inputs", nargs="+", metavar="INPUT", help="Sentinel-1 rasters of many dates; a folder is one")
    parser.add_argument("--output", required=True, metavar="TIF", help="GeoTIFF to write, in dB")
    parser.add_argument(
        "--by", choices=["all", "season", "month"], default="all", help="one mean per ...; default: all"
    )
    parser.add_argument("--orbit", metavar="O", help="only this: a relative orbit such as 137, ascending or descending")
    parser.add_argument("--filter", choices=["none", "quegan"], default="none", help="multitemporal speckle filter of "
                        "Quegan and Yu (2001): all dates of an orbit smooth each of its means")  # fmt: skip
    parser.add_argument("--quality", metavar="TIF", help="also write dates and looks (ENL) at every pixel")
    parser.add_argument("--grid", metavar="RASTER", help="on the pixels of this raster; default: the earliest date's")
    _dates_and_reading(parser, "of the inputs")
    parser.add_argument("--format", choices=["gtiff", "cog"], default="gtiff")
    common_options(parser)


def _composite_job(arguments: Namespace) -> CompositeJob:
    return CompositeJob(
        tuple(arguments.inputs),
        arguments.output,
        arguments.by,
        arguments.orbit,
        arguments.filter,
        arguments.quality,
        tuple(arguments.dates),
        arguments.grid,
        arguments.extent,
        arguments.bands,
        arguments.units,
        arguments.format,
    )


def _composite_lines(result: Result) -> list[str]:
    counts = [f"  {name}: {count} date{'s'[: count != 1]}" for name, count in result.values["dates"].items()]
    return [*output_lines(result), *counts]


def _add_change(parser: ArgumentParser) -> None:
    parser.add_argument("--before", nargs="+", required=True, metavar="INPUT", help="three dates or more, unchanged")
    parser.add_argument("--after", nargs="+", required=True, metavar="INPUT", help="one date of the same orbit")
    parser.add_argument("--model", required=True, metavar="M", help="a model file, or `starter`")
    parser.add_argument("--output", required=True, metavar="TIF", help="GeoTIFF: distance, p-value, change (1 or 0)")
    parser.add_argument("--false-alarm", type=float, default=0.01, metavar="P", help="share of unchanged patches that "
                        "are marked nevertheless; default: 0.01")  # fmt: skip
    _dates_and_reading(parser, "of --before, then of --after")
    running_options(parser, CONTEXT_OVERLAP)
    common_options(parser)


def _change_job(arguments: Namespace) -> ChangeJob:
    return ChangeJob(
        tuple(arguments.before),
        tuple(arguments.after),
        run_of(arguments),
        arguments.output,
        arguments.false_alarm,
        tuple(arguments.dates),
        arguments.extent,
        arguments.bands,
        arguments.units,
    )


def _change_lines(result: Result) -> list[str]:
    return [*output_lines(result), f"  {result.values['summary']}"]


def _dates_and_reading(parser: ArgumentParser, whose: str) -> None:
    reading = parser.add_argument_group("how the inputs are read")
    reading.add_argument("--dates", nargs="+", default=(), metavar="DATE", help=f"{whose}, in their order, such as "
                         "2024-06-30; default: from tags and names")  # fmt: skip
    bands_and_units(reading)
    reading.add_argument("--extent", type=extent, metavar="XMIN,YMIN,XMAX,YMAX", help="in the rasters' CRS")


COMMANDS = {
    "composite": of_job(
        "many dates to the mean of their power, per orbit and season", _add_composite, _composite_job, _composite_lines
    ),
    "change": of_job(
        "where one date differs from reference dates, at a false-alarm rate", _add_change, _change_job, _change_lines
    ),
}

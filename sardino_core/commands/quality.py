"""Before a map and after it: `preflight`, `samplepoints`, `accuracy`, `mergeclasses`."""

from __future__ import annotations

from argparse import ArgumentParser, ArgumentTypeError, Namespace

from sardino_core.commands.command import class_lines, of_job, output_lines
from sardino_core.commands.options import common_options, raster_options, run_of, scene_of
from sardino_core.contract.findings import Finding
from sardino_core.contract.jobs import SEGMENT_OVERLAP, AccuracyJob, MergeClassesJob, PreflightJob, SamplePointsJob
from sardino_core.contract.messages import Result


def _add_preflight(parser: ArgumentParser) -> None:
    raster_options(parser, SEGMENT_OVERLAP, report=True)


def _preflight_job(arguments: Namespace) -> PreflightJob:
    return PreflightJob(scene_of(arguments), run_of(arguments), arguments.output)


def _preflight_lines(result: Result) -> list[str]:
    return [*(Finding(**item).line() for item in result.values["findings"]), *output_lines(result)]


def _add_samplepoints(parser: ArgumentParser) -> None:
    parser.add_argument("classified", metavar="MAP", help="a land-cover map; `unsure` is a stratum of its own")
    parser.add_argument("--output", required=True, metavar="GEOJSON", help="points with their weights; fill in the "
                        "field `reference` with class names or values")  # fmt: skip
    parser.add_argument("--size", type=int, default=500, metavar="N", help="points in all; default: 500")
    parser.add_argument("--minimum", type=int, default=30, metavar="N", help="points in every class; default: 30")
    parser.add_argument("--seed", type=int, default=0, metavar="S", help="another seed draws other points; default: 0")
    parser.add_argument("--blind", action="store_true", help="the points do not tell what the map says there")
    common_options(parser)


def _samplepoints_job(arguments: Namespace) -> SamplePointsJob:
    return SamplePointsJob(
        arguments.classified, arguments.output, arguments.size, arguments.minimum, arguments.seed, arguments.blind
    )


def _samplepoints_lines(result: Result) -> list[str]:
    counts = [f"{item['name']} {item['points']}" for item in result.values["classes"]]
    return [result.outputs["output"], "  " + ", ".join(counts)]


def _add_accuracy(parser: ArgumentParser) -> None:
    parser.add_argument("classified", metavar="MAP", help="the land-cover map")
    parser.add_argument("--reference", required=True, metavar="R", help="labelled points of `sardino samplepoints`: "
                        "accuracy and areas with intervals; a raster or labelled polygons: agreement")  # fmt: skip
    parser.add_argument("--output", required=True, metavar="HTML", help="report; tables as CSV beside it")
    parser.add_argument("--mapping", type=_mapping, default={}, metavar="1=80,2=10", help="reference value = class of "
                        "the map, 0 leaves out; values not named here are classes already")  # fmt: skip
    parser.add_argument(
        "--field", default="reference", help="of points or polygons, with the class; default: reference"
    )
    common_options(parser)


def _accuracy_job(arguments: Namespace) -> AccuracyJob:
    return AccuracyJob(arguments.classified, arguments.reference, arguments.output, arguments.mapping, arguments.field)


def _accuracy_lines(result: Result) -> list[str]:
    return [*result.values["summary"], *output_lines(result)]


def _add_mergeclasses(parser: ArgumentParser) -> None:
    parser.add_argument("classified", metavar="MAP", help="the land-cover map")
    parser.add_argument("--classes", nargs="+", required=True, metavar="OLD=NEW", help="old values = new value, with "
                        "name and colour if wanted: 10,20=1:woodland:#1b7837; 0 makes nodata of a class; classes that "
                        "are not named stay")  # fmt: skip
    parser.add_argument("--output", required=True, metavar="TIF", help="GeoTIFF to write")
    parser.add_argument("--format", choices=["gtiff", "cog"], default="gtiff")
    common_options(parser)


def _mergeclasses_job(arguments: Namespace) -> MergeClassesJob:
    return MergeClassesJob(arguments.classified, arguments.output, tuple(arguments.classes), arguments.format)


def _mapping(text: str) -> dict[int, int]:
    try:
        pairs = [part.split("=") for part in text.split(",")]
        return {int(value): int(target) for value, target in pairs}
    except ValueError:
        raise ArgumentTypeError(f"{text!r} is not of the form 1=80,2=10") from None


COMMANDS = {
    "preflight": of_job(
        "bands, units, fit to the model, time, memory: before a run", _add_preflight, _preflight_job, _preflight_lines
    ),
    "samplepoints": of_job(
        "stratified random points of a map, to be labelled by eye",
        _add_samplepoints,
        _samplepoints_job,
        _samplepoints_lines,
    ),
    "accuracy": of_job(
        "a map against sample points (with intervals), a raster or polygons",
        _add_accuracy,
        _accuracy_job,
        _accuracy_lines,
    ),
    "mergeclasses": of_job(
        "a map with classes merged, renamed, recoloured or left out", _add_mergeclasses, _mergeclasses_job, class_lines
    ),
}

"""The command line's grammar: subcommands, options, defaults and their help texts."""

from __future__ import annotations

import sys
from argparse import ArgumentParser, ArgumentTypeError, Namespace, RawDescriptionHelpFormatter
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from sardino_core import __version__, training_arguments
from sardino_core.contract.jobs import CONTEXT_OVERLAP, FEATURE_SETS, METHODS, MOST_CLUSTERS, SEGMENT_OVERLAP
from sardino_core.scene_arguments import add_bands_and_units

_EXAMPLES = """\
  sardino segment scene.tif --model starter --output landcover.tif
  sardino segment scene_VV.tif scene_VH.tif --model starter --output landcover.tif --confidence confidence.tif
  sardino attention scene.tif --model starter --output attention.tif --layer -1
  sardino embed scene.tif --model starter --output tokens.tif --components 3
  sardino explore scene.tif --model starter --at 507300,4994200 --mode similarity --output similar.tif
  sardino classify scene.tif --model starter --training polygons.geojson --output map.tif --report report.html
  sardino cluster scene.tif --model starter --clusters auto --output clusters.tif --save-codebook codebook.json
  sardino similarity scene.tif --model starter --references marks.geojson --output similarity.tif
  sardino simulate --output demo --size 1024 --seed 7
  sardino preflight scene.tif --model starter --output preflight.html
  sardino mergeclasses landcover.tif --classes "10,20=1:woodland:#1b7837" 254=0 --output merged.tif
  sardino samplepoints landcover.tif --size 500 --output points.geojson
  sardino accuracy landcover.tif --reference points.geojson --output accuracy.html
  sardino composite dates/*.tif --by season --output seasons.tif
  sardino change --before may.tif june.tif july.tif --after august.tif --model starter --output change.tif
  sardino accuracy landcover.tif --reference worldcover.tif --mapping 40=30,90=30 --output agreement.html
"""

_FORMATS_HELP = (
    "dino, dino-checkpoint, dinov2, dinov3 (RGB); torchgeo-s1, softcon-s1, dino-mm (Sentinel-1); default: auto, where "
    "only one fits"
)


def parse(argv: Sequence[str] | None, prog: str = "sardino", only: Sequence[str] = ()) -> Namespace:
    """Parse the command line; wrong usage ends the process with status 2, as argparse does."""
    parser = ArgumentParser(
        prog=prog,
        description="Land cover, attention maps and token embeddings from Sentinel-1 (DINO vision transformers).",
        epilog="examples:\n" + ("" if only else _EXAMPLES) + training_arguments.EXAMPLES,
        formatter_class=RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"sardino {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name in only or _COMMANDS:
        _COMMANDS[name](commands)
    given, overrides = training_arguments.split_overrides(sys.argv[1:] if argv is None else argv)
    arguments = parser.parse_args(given)
    for stray in getattr(arguments, "overrides", ()):
        parser.error(f"{stray} is neither an option nor key=value, as in optimiser.steps=200")
    arguments.overrides = overrides
    return arguments


def _add_segment(commands) -> None:  # type: ignore[no-untyped-def]  # argparse's own type is private
    parser = commands.add_parser("segment", help="land-cover map, with confidence and probabilities on request")
    _raster_job(parser, SEGMENT_OVERLAP)
    parser.add_argument(
        "--each", action="store_true", help="one map per INPUT; --output is a folder; a rerun skips the done"
    )
    parser.add_argument("--confidence", metavar="TIF", help="also write the highest probability, 0 to 1")
    parser.add_argument("--probabilities", metavar="TIF", help="also write the probability of every class")
    parser.add_argument("--no-abstain", action="store_true", help="always name a class, never `unsure` (254)")


def _add_attention(commands) -> None:  # type: ignore[no-untyped-def]
    parser = commands.add_parser("attention", help="attention of the class token, one band per head")
    _raster_job(parser, CONTEXT_OVERLAP)
    parser.add_argument("--layer", type=int, default=-1, help="layer from 0, or from the last: -1 (default)")
    parser.add_argument("--heads", choices=["all", "mean", "max"], default="all", help="default: all")
    parser.add_argument("--resolution", choices=["patch", "pixel"], default="pixel", help="default: pixel")


def _add_embed(commands) -> None:  # type: ignore[no-untyped-def]
    parser = commands.add_parser("embed", help="patch token embeddings, or their principal components")
    _raster_job(parser, CONTEXT_OVERLAP)
    parser.add_argument("--components", type=int, default=0, metavar="N", help="principal components; default: no PCA")
    parser.add_argument("--dtype", choices=["float16", "float32", "int8"], default="float16", help="default: float16")


def _add_explore(commands) -> None:  # type: ignore[no-untyped-def]
    parser = commands.add_parser("explore", help="what one place attends to in its window, or resembles in the scene")
    _raster_job(parser, SEGMENT_OVERLAP)
    parser.add_argument("--at", type=_place, required=True, metavar="X,Y", help="the place, in the raster's CRS")
    parser.add_argument("--mode", choices=["attention", "class", "similarity"], default="attention",
                        help="attention of the place, or of the class token, within the window around it; similarity "
                        "of its token to all others; default: attention")  # fmt: skip
    parser.add_argument("--layer", type=int, default=-1, help="layer from 0, or from the last: -1 (default)")
    parser.add_argument(
        "--head", default="mean", metavar="N", help="mean or max over the heads, or one of them, from 1; default: mean"
    )


def _add_classify(commands) -> None:  # type: ignore[no-untyped-def]
    parser = commands.add_parser("classify", help="land-cover map from a few labelled polygons or points of your own")
    _raster_job(parser, CONTEXT_OVERLAP)
    parser.add_argument("--training", metavar="POLYGONS", help="labelled polygons or points")
    parser.add_argument("--field", default="class", help="of them, with the class's value or name; default: class")
    parser.add_argument("--features", type=_features, default=(), metavar="F,F", help="any of bands, filtered (local "
                        "means of 3, 7 and 15 pixels), attention (last layer), tokens (16 principal components); "
                        "without the last two the network is not run; default: all")  # fmt: skip
    parser.add_argument("--method", choices=METHODS, help="default: forest")
    parser.add_argument("--confidence", metavar="TIF", help="also write the highest probability, 0 to 1")
    parser.add_argument("--report", metavar="HTML", help="also write what cross-validation over the areas says")
    parser.add_argument("--save-classifier", metavar="SKOPS", help="also keep the classifier, for other scenes")
    parser.add_argument("--classifier", metavar="SKOPS", help="apply a kept one; instead of --training")
    parser.add_argument("--seed", type=int, default=0, metavar="S", help="of the pixels drawn; default: 0")


def _add_cluster(commands) -> None:  # type: ignore[no-untyped-def]
    parser = commands.add_parser("cluster", help="classes without labels: clusters of tokens, from dark to bright")
    _raster_job(parser, SEGMENT_OVERLAP)
    parser.add_argument("--clusters", type=_number_or_auto, default=0, metavar="K", help=f"2 to {MOST_CLUSTERS}; "
                        "default: auto, the most that two halves of the sample agree on")  # fmt: skip
    parser.add_argument("--codebook", metavar="JSON", help="clusters of an earlier run: the same classes again")
    parser.add_argument("--save-codebook", metavar="JSON", help="also write the clusters, for other scenes")
    parser.add_argument("--refine", action="store_true", help="borders between the patches' centres, on the raster's "
                        "pixels; otherwise one pixel per patch")  # fmt: skip


def _add_similarity(commands) -> None:  # type: ignore[no-untyped-def]
    parser = commands.add_parser("similarity", help="how alike every patch is to places that you mark")
    _raster_job(parser, CONTEXT_OVERLAP)
    parser.add_argument("--references", required=True, metavar="MARKS", help="points or polygons, in any CRS")
    parser.add_argument("--reference-scene", nargs="+", default=(), metavar="INPUT", help="the scene that they lie in, "
                        "read with the same --bands and --units; default: the scene itself")  # fmt: skip
    parser.add_argument("--name-field", metavar="NAME", help="one band for each of its values; default: one for all")


def _add_simulate(commands) -> None:  # type: ignore[no-untyped-def]
    parser = commands.add_parser("simulate", help="a simulated scene with labels, for tests and demonstrations")
    parser.add_argument("--output", required=True, metavar="DIR", help="folder for scene.tif and labels.tif")
    parser.add_argument("--size", type=int, default=1024, metavar="N", help="pixels per side; default: 1024")
    parser.add_argument("--seed", type=int, default=0, metavar="S", help="another seed is another place; default: 0")
    parser.add_argument("--orbit", choices=["ascending", "descending"], default="descending")
    parser.add_argument("--season", choices=["winter", "spring", "summer", "fall"], default="summer")
    parser.add_argument("--all-seasons", action="store_true", help="eight bands: VV and VH of four seasons")
    parser.add_argument("--take", type=int, default=0, metavar="N", help="another pass: the same ground, other speckle")
    _common(parser)


def _add_model(commands) -> None:  # type: ignore[no-untyped-def]
    model = commands.add_parser(
        "model", help="what a model file says about itself; its export; others' weights into one"
    )
    actions = model.add_subparsers(dest="action", required=True, metavar="ACTION")
    info = actions.add_parser("info", help="bands, units, classes, provenance, licence")
    info.add_argument("model", metavar="MODEL", help="a model file, or `starter`")
    _common(info)
    export = actions.add_parser("export", help="the .onnx beside a model file, for machines without torch")
    export.add_argument("model", metavar="MODEL", help="a model file; the export replaces an older one")
    _common(export)
    add = actions.add_parser("import", help="a model file from another project's checkpoint, for fine-tuning")
    add.add_argument("source", metavar="SOURCE", help=".pth, .pt or .safetensors")
    add.add_argument("--format", default="auto", metavar="F", help=_FORMATS_HELP)
    add.add_argument("--output", required=True, metavar="M", help="model file to write (.safetensors); .onnx beside it")
    add.add_argument("--bands", type=_band_list, default=("VV", "VH"), metavar="VV,VH,VV-VH", help="default: VV,VH")
    add.add_argument("--window", type=int, default=0, metavar="N", help="pixels per side; default: the source's own")
    add.add_argument("--dtype", choices=["float16", "float32"], default="float16", help="stored as; default: float16")
    add.add_argument("--licence", metavar="TEXT", help="the weights' licence; default: unknown, see the source")
    _common(add)


def _add_preflight(commands) -> None:  # type: ignore[no-untyped-def]
    parser = commands.add_parser("preflight", help="bands, units, fit to the model, time, memory: before a run")
    _raster_job(parser, SEGMENT_OVERLAP, report=True)


def _add_samplepoints(commands) -> None:  # type: ignore[no-untyped-def]
    parser = commands.add_parser("samplepoints", help="stratified random points of a map, to be labelled by eye")
    parser.add_argument("classified", metavar="MAP", help="a land-cover map; `unsure` is a stratum of its own")
    parser.add_argument("--output", required=True, metavar="GEOJSON", help="points with their weights; fill in the "
                        "field `reference` with class names or values")  # fmt: skip
    parser.add_argument("--size", type=int, default=500, metavar="N", help="points in all; default: 500")
    parser.add_argument("--minimum", type=int, default=30, metavar="N", help="points in every class; default: 30")
    parser.add_argument("--seed", type=int, default=0, metavar="S", help="another seed draws other points; default: 0")
    parser.add_argument("--blind", action="store_true", help="the points do not tell what the map says there")
    _common(parser)


def _add_accuracy(commands) -> None:  # type: ignore[no-untyped-def]
    parser = commands.add_parser("accuracy", help="a map against sample points (with intervals), a raster or polygons")
    parser.add_argument("classified", metavar="MAP", help="the land-cover map")
    parser.add_argument("--reference", required=True, metavar="R", help="labelled points of `sardino samplepoints`: "
                        "accuracy and areas with intervals; a raster or labelled polygons: agreement")  # fmt: skip
    parser.add_argument("--output", required=True, metavar="HTML", help="report; tables as CSV beside it")
    parser.add_argument("--mapping", type=_mapping, default={}, metavar="1=80,2=10", help="reference value = class of "
                        "the map, 0 leaves out; values not named here are classes already")  # fmt: skip
    parser.add_argument(
        "--field", default="reference", help="of points or polygons, with the class; default: reference"
    )
    _common(parser)


def _add_mergeclasses(commands) -> None:  # type: ignore[no-untyped-def]
    parser = commands.add_parser("mergeclasses", help="a map with classes merged, renamed, recoloured or left out")
    parser.add_argument("classified", metavar="MAP", help="the land-cover map")
    parser.add_argument("--classes", nargs="+", required=True, metavar="OLD=NEW", help="old values = new value, with "
                        "name and colour if wanted: 10,20=1:woodland:#1b7837; 0 makes nodata of a class; classes that "
                        "are not named stay")  # fmt: skip
    parser.add_argument("--output", required=True, metavar="TIF", help="GeoTIFF to write")
    parser.add_argument("--format", choices=["gtiff", "cog"], default="gtiff")
    _common(parser)


def _add_composite(commands) -> None:  # type: ignore[no-untyped-def]
    parser = commands.add_parser("composite", help="many dates to the mean of their power, per orbit and season")
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
    _common(parser)


def _add_change(commands) -> None:  # type: ignore[no-untyped-def]
    parser = commands.add_parser("change", help="where one date differs from reference dates, at a false-alarm rate")
    parser.add_argument("--before", nargs="+", required=True, metavar="INPUT", help="three dates or more, unchanged")
    parser.add_argument("--after", nargs="+", required=True, metavar="INPUT", help="one date of the same orbit")
    parser.add_argument("--model", required=True, metavar="M", help="a model file, or `starter`")
    parser.add_argument("--output", required=True, metavar="TIF", help="GeoTIFF: distance, p-value, change (1 or 0)")
    parser.add_argument("--false-alarm", type=float, default=0.01, metavar="P", help="share of unchanged patches that "
                        "are marked nevertheless; default: 0.01")  # fmt: skip
    _dates_and_reading(parser, "of --before, then of --after")
    _running(parser, CONTEXT_OVERLAP)
    _common(parser)


def _dates_and_reading(parser: ArgumentParser, whose: str) -> None:
    reading = parser.add_argument_group("how the inputs are read")
    reading.add_argument("--dates", nargs="+", default=(), metavar="DATE", help=f"{whose}, in their order, such as "
                         "2024-06-30; default: from tags and names")  # fmt: skip
    add_bands_and_units(reading)
    reading.add_argument("--extent", type=_extent, metavar="XMIN,YMIN,XMAX,YMAX", help="in the rasters' CRS")


def _add_check(commands) -> None:  # type: ignore[no-untyped-def]
    _common(commands.add_parser("check", help="Python, packages, devices, memory: what works, and the fix"))


def _add_worker(commands) -> None:  # type: ignore[no-untyped-def]
    parser = commands.add_parser(
        "worker", help="for programs: jobs on stdin, messages on stdout, one line of JSON each"
    )
    parser.add_argument("--idle", type=float, default=600.0, metavar="S", help="ends after S seconds; default: 600")


def _add_training(name: str, commands) -> None:  # type: ignore[no-untyped-def]
    _common(training_arguments.COMMANDS[name](commands))


def _raster_job(parser: ArgumentParser, overlap: float, *, report: bool = False) -> None:
    parser.add_argument("inputs", nargs="+", metavar="INPUT", help="Sentinel-1 rasters of one scene, or its folder")
    parser.add_argument("--model", required=True, metavar="M", help="a model file, or `starter`")
    if report:
        parser.add_argument("--output", metavar="HTML", help="also write a report")
    else:
        parser.add_argument("--output", required=True, metavar="TIF", help="GeoTIFF to write")
    scene = parser.add_argument_group("how the input is read")
    add_bands_and_units(scene)
    scene.add_argument("--extent", type=_extent, metavar="XMIN,YMIN,XMAX,YMAX", help="in the raster's CRS")
    scene.add_argument("--cutline", metavar="POLYGONS", help="only inside these polygons")
    scene.add_argument("--mask", metavar="RASTER_OR_POLYGONS", help="not where this covers (non-zero, or inside)")
    _running(parser, overlap)
    _common(parser)


def _running(parser: ArgumentParser, overlap: float) -> None:
    run = parser.add_argument_group("how the model is run")
    run.add_argument("--overlap", type=float, default=overlap, help="of windows, 0 to 0.75; default: %(default)s")
    run.add_argument(
        "--batch-size", type=_number_or_auto, default=0, metavar="N", help="windows at once; default: auto"
    )
    run.add_argument("--device", choices=["auto", "cpu", "cuda", "mps"], default="auto", help="cuda: NVIDIA; mps: "
                     "Apple; auto: the first GPU that works (with DirectML, too), or the CPU")  # fmt: skip
    run.add_argument("--precision", choices=["auto", "fp32", "bf16"], default="auto")
    run.add_argument("--format", choices=["gtiff", "cog"], default="gtiff")
    run.add_argument("--overviews", action="store_true", help="add overviews for quick display")


def _common(parser: ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="messages for programs: one JSON object per line")
    parser.add_argument("--log", metavar="FILE", help="GDAL's and the library's own messages")


def _features(text: str) -> tuple[str, ...]:
    names = tuple(part.strip().lower() for part in text.split(","))
    unknown = [name for name in names if name not in FEATURE_SETS]
    if unknown:
        raise ArgumentTypeError(f"{unknown[0]!r} is none of {', '.join(FEATURE_SETS)}")
    return names


def _mapping(text: str) -> dict[int, int]:
    try:
        pairs = [part.split("=") for part in text.split(",")]
        return {int(value): int(target) for value, target in pairs}
    except ValueError:
        raise ArgumentTypeError(f"{text!r} is not of the form 1=80,2=10") from None


def _band_list(text: str) -> tuple[str, ...]:
    return tuple(part.strip().upper() for part in text.split(","))


def _extent(text: str) -> tuple[float, float, float, float]:
    try:
        xmin, ymin, xmax, ymax = (float(part) for part in text.split(","))
    except ValueError:
        raise ArgumentTypeError(f"{text!r} is not xmin,ymin,xmax,ymax") from None
    return xmin, ymin, xmax, ymax


def _place(text: str) -> tuple[float, float]:
    try:
        x, y = (float(part) for part in text.split(","))
    except ValueError:
        raise ArgumentTypeError(f"{text!r} is not x,y") from None
    return x, y


def _number_or_auto(text: str) -> int:
    if text == "auto":
        return 0
    if not text.isdigit() or int(text) < 1:
        raise ArgumentTypeError(f"{text!r} is neither `auto` nor a number from 1")
    return int(text)


_COMMANDS: dict[str, Callable[[Any], None]] = {
    "segment": _add_segment,
    "attention": _add_attention,
    "embed": _add_embed,
    "explore": _add_explore,
    "classify": _add_classify,
    "cluster": _add_cluster,
    "similarity": _add_similarity,
    "simulate": _add_simulate,
    "model": _add_model,
    "preflight": _add_preflight,
    "samplepoints": _add_samplepoints,
    "accuracy": _add_accuracy,
    "mergeclasses": _add_mergeclasses,
    "composite": _add_composite,
    "change": _add_change,
    **{name: partial(_add_training, name) for name in training_arguments.COMMANDS},
    "check": _add_check,
    "worker": _add_worker,
}

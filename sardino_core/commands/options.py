"""Options that several commands share, and what of a job they make."""

from __future__ import annotations

from argparse import ArgumentParser, ArgumentTypeError, Namespace
from typing import TYPE_CHECKING, get_args

from sardino_core.contract.jobs import Device, Extent, Format, Precision, RunOptions, SceneOptions, Units

if TYPE_CHECKING:
    from argparse import _ActionsContainer  # a parser, or a group of it


def raster_options(parser: ArgumentParser, overlap: float, *, report: bool = False) -> None:
    """All that a job on one scene is told: input, model and output, how they are read and run; `--json`, `--log`."""
    parser.add_argument("inputs", nargs="+", metavar="INPUT", help="Sentinel-1 rasters of one scene, or its folder")
    parser.add_argument("--model", required=True, metavar="M", help="a model file, or `starter`")
    if report:
        parser.add_argument("--output", metavar="HTML", help="also write a report")
    else:
        parser.add_argument("--output", required=True, metavar="TIF", help="GeoTIFF to write")
    scene = parser.add_argument_group("how the input is read")
    bands_and_units(scene)
    scene.add_argument("--extent", type=extent, metavar="XMIN,YMIN,XMAX,YMAX", help="in the raster's CRS")
    scene.add_argument("--cutline", metavar="POLYGONS", help="only inside these polygons")
    scene.add_argument("--mask", metavar="RASTER_OR_POLYGONS", help="not where this covers (non-zero, or inside)")
    running_options(parser, overlap)
    common_options(parser)


def running_options(parser: ArgumentParser, overlap: float) -> None:
    """How the model is run."""
    run = parser.add_argument_group("how the model is run")
    run.add_argument("--overlap", type=float, default=overlap, help="of windows, 0 to 0.75; default: %(default)s")
    run.add_argument("--batch-size", type=number_or_auto, default=0, metavar="N", help="windows at once; default: auto")
    run.add_argument("--device", choices=get_args(Device), default="auto", help="cuda: NVIDIA; mps: "
                     "Apple; auto: the first GPU that works (with DirectML, too), or the CPU")  # fmt: skip
    run.add_argument("--precision", choices=get_args(Precision), default="auto")
    run.add_argument("--format", choices=get_args(Format), default="gtiff")
    run.add_argument("--overviews", action="store_true", help="add overviews for quick display")


def bands_and_units(parser: _ActionsContainer) -> None:
    """How images are read: recognised from the files where it is not given."""
    parser.add_argument(
        "--bands", type=_bands, default={}, metavar="VV=1,VH=2", help="band numbers; seasons: VV@summer=1"
    )
    parser.add_argument("--units", choices=get_args(Units), default="auto")


def common_options(parser: ArgumentParser) -> None:
    """What every command has."""
    parser.add_argument("--json", action="store_true", help="messages for programs: one JSON object per line")
    parser.add_argument("--log", metavar="FILE", help="GDAL's and the library's own messages")


def extent(text: str) -> Extent:
    """The type of `--extent`."""
    try:
        xmin, ymin, xmax, ymax = (float(part) for part in text.split(","))
    except ValueError:
        raise ArgumentTypeError(f"{text!r} is not xmin,ymin,xmax,ymax") from None
    return xmin, ymin, xmax, ymax


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


def number_or_auto(text: str) -> int:
    """A number from 1, or 0 for `auto`."""
    if text == "auto":
        return 0
    if not text.isdigit() or int(text) < 1:
        raise ArgumentTypeError(f"{text!r} is neither `auto` nor a number from 1")
    return int(text)


def scene_of(arguments: Namespace) -> SceneOptions:
    """How the input is read, as `raster_options` was told."""
    return SceneOptions(
        inputs=tuple(arguments.inputs),
        bands=arguments.bands,
        units=arguments.units,
        extent=arguments.extent,
        cutline=arguments.cutline,
        mask=arguments.mask,
    )


def run_of(arguments: Namespace) -> RunOptions:
    """How the model is run, as `running_options` was told."""
    return RunOptions(
        model=arguments.model,
        overlap=arguments.overlap,
        batch_size=arguments.batch_size,
        device=arguments.device,
        precision=arguments.precision,
        format=arguments.format,
        overviews=arguments.overviews,
    )

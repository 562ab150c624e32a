"""Scenes made by rule: `simulate`."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from sardino_core.commands.command import of_job, output_lines
from sardino_core.commands.options import common_options
from sardino_core.contract.jobs import SimulateJob
from sardino_core.contract.messages import Result


def _add_simulate(parser: ArgumentParser) -> None:
    parser.add_argument("--output", required=True, metavar="DIR", help="folder for scene.tif and labels.tif")
    parser.add_argument("--size", type=int, default=1024, metavar="N", help="pixels per side; default: 1024")
    parser.add_argument("--seed", type=int, default=0, metavar="S", help="another seed is another place; default: 0")
    parser.add_argument("--orbit", choices=["ascending", "descending"], default="descending")
    parser.add_argument("--season", choices=["winter", "spring", "summer", "fall"], default="summer")
    parser.add_argument("--all-seasons", action="store_true", help="eight bands: VV and VH of four seasons")
    parser.add_argument("--take", type=int, default=0, metavar="N", help="another pass: the same ground, other speckle")
    common_options(parser)


def _simulate_job(arguments: Namespace) -> SimulateJob:
    return SimulateJob(
        arguments.output,
        arguments.size,
        arguments.seed,
        arguments.orbit,
        arguments.season,
        arguments.all_seasons,
        arguments.take,
    )


def _simulate_lines(result: Result) -> list[str]:
    return [*output_lines(result), "simulated: for tests and demonstrations"]


COMMANDS = {
    "simulate": of_job(
        "a simulated scene with labels, for tests and demonstrations", _add_simulate, _simulate_job, _simulate_lines
    ),
}

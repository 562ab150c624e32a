"""The command line's grammar: all subcommands, and examples of them."""

from __future__ import annotations

import sys
from argparse import ArgumentParser, Namespace, RawDescriptionHelpFormatter
from collections.abc import Sequence

from sardino_core import __version__
from sardino_core.commands import dates, exploring, machine, maps, model_files, quality, simulation, training
from sardino_core.commands.command import Command

COMMANDS: dict[str, Command] = {  # in the order in which --help lists them
    **maps.COMMANDS,
    **exploring.COMMANDS,
    **simulation.COMMANDS,
    **model_files.COMMANDS,
    **quality.COMMANDS,
    **dates.COMMANDS,
    **training.COMMANDS,
    **machine.COMMANDS,
}
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


def parse(argv: Sequence[str] | None, prog: str = "sardino", only: Sequence[str] = ()) -> Namespace:
    """Parse the command line; wrong usage ends the process with status 2, as argparse does."""
    parser = ArgumentParser(
        prog=prog,
        description="Land cover, attention maps and token embeddings from Sentinel-1 (DINO vision transformers).",
        epilog="examples:\n" + ("" if only else _EXAMPLES) + training.EXAMPLES,
        formatter_class=RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"sardino {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name in only or COMMANDS:
        COMMANDS[name].add_to(commands, name)
    if not only:
        machine.add_worker(commands)
    given, overrides = training.split_overrides(sys.argv[1:] if argv is None else argv)
    arguments = parser.parse_args(given)
    for stray in getattr(arguments, "overrides", ()):
        parser.error(f"{stray} is neither an option nor key=value, as in optimiser.steps=200")
    arguments.overrides = overrides
    return arguments

"""The grammar of `pretrain`, `finetune`, `evaluate` and `probe`, shared by `sardino` and scripts/train.py."""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Sequence

from sardino_core.contract.jobs import SCRATCH
from sardino_core.scene_arguments import add_bands_and_units

EXAMPLES = """\
  sardino pretrain --config pretrain-tiny --images 'scenes/*.tif' --out backbone
  sardino finetune --config finetune-tiny --images place/scene.tif --labels place/labels.tif \\
      --init backbone/model.safetensors --out run optimiser.steps=200
  sardino evaluate --model run/model.safetensors --images place/scene.tif --labels place/labels.tif --out scores
  sardino probe --model starter --config finetune-tiny --images 'place_*/scene.tif' --labels 'place_*/labels.tif' \\
      --out probe
"""


def add_pretrain(commands) -> ArgumentParser:  # type: ignore[no-untyped-def]  # argparse's own type is private
    """`pretrain`, added to a parser's subcommands."""
    parser = _command(commands, "pretrain", "DINO: unlabelled rasters in, a backbone out")
    parser.add_argument(
        "--init", default=SCRATCH, metavar="MODEL", help=f"a model file to go on from; default: {SCRATCH}"
    )
    _run(parser)
    return parser


def add_finetune(commands) -> ArgumentParser:  # type: ignore[no-untyped-def]
    """`finetune`, added likewise."""
    parser = _command(commands, "finetune", "labelled rasters in, a land-cover model out")
    _labels(parser)
    parser.add_argument("--init", required=True, metavar="MODEL", help=f"a model file to start from, or `{SCRATCH}`")
    parser.add_argument(
        "--label-fraction", type=float, metavar="F", help="use this share of the training labels, in whole blocks"
    )
    _run(parser)
    return parser


def add_evaluate(commands) -> ArgumentParser:  # type: ignore[no-untyped-def]
    """`evaluate`, added likewise."""
    parser = _command(commands, "evaluate", "a model file against labels: metrics and confusion matrix")
    _labels(parser)
    parser.add_argument("--model", required=True, metavar="M", help="a model file, or `starter`")
    parser.add_argument("--config", help="for its label mapping and sources; default: labels are the classes' values")
    parser.add_argument("--held-out", action="store_true", help="only labels that the configuration holds out")
    return parser


def add_probe(commands) -> ArgumentParser:  # type: ignore[no-untyped-def]
    """`probe`, added likewise."""
    parser = _command(commands, "probe", "land cover in attention heads, tokens and backscatter: a report")
    _labels(parser)
    parser.add_argument("--model", required=True, metavar="M", help="a model file, or `starter`")
    parser.add_argument(
        "--config", help="for its classes, label mapping and sources; default: labels are the model's class values"
    )
    return parser


COMMANDS = {"pretrain": add_pretrain, "finetune": add_finetune, "evaluate": add_evaluate, "probe": add_probe}


def split_overrides(argv: Sequence[str]) -> tuple[list[str], tuple[str, ...]]:
    """The arguments without `key=value`, and those: they may stand anywhere, after globs too."""
    if not argv or argv[0] not in COMMANDS:
        return list(argv), ()
    given: list[str] = []
    overrides: list[str] = []
    for item in argv:
        (overrides if _is_override(item) and given[-1:] != ["--bands"] else given).append(item)
    return given, tuple(overrides)


def _is_override(item: str) -> bool:
    key, separator, _ = item.partition("=")
    return bool(separator) and all(part.isidentifier() or part.isdecimal() for part in key.split("."))


def _command(commands, name: str, text: str) -> ArgumentParser:  # type: ignore[no-untyped-def]
    parser: ArgumentParser = commands.add_parser(name, help=text, description=text)
    parser.add_argument("--images", nargs="+", default=[], metavar="GLOB", help="rasters in dB, power, amplitude or DN")
    add_bands_and_units(parser)
    parser.add_argument("--out", required=True, metavar="DIR", help="folder for what the run makes")
    parser.add_argument("overrides", nargs="*", metavar="key=value", help="such as optimiser.steps=200")
    return parser


def _labels(parser: ArgumentParser) -> None:
    parser.add_argument("--labels", nargs="+", default=[], metavar="GLOB", help="label rasters, on any grid")


def _run(parser: ArgumentParser) -> None:
    parser.add_argument("--config", required=True, help="a name under sardino_core/configs, or a YAML file")
    parser.add_argument("--epochs", type=float, metavar="N", help="passes over the data; default: the configured steps")
    parser.add_argument("--resume", action="store_true", help="go on from the run folder's checkpoint")
    parser.add_argument("--dry-run", action="store_true", help="say what would be used, and stop")

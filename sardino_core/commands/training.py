"""Models by `pretrain`, `finetune`, `evaluate` and `probe`, shared by `sardino` and scripts/train.py."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Sequence

from sardino_core.commands.command import Command, Lines, of_job, output_lines
from sardino_core.commands.options import bands_and_units, common_options
from sardino_core.contract.jobs import SCRATCH, EvaluateJob, FinetuneJob, Job, PretrainJob, ProbeJob
from sardino_core.contract.messages import Result

EXAMPLES = """\
  sardino pretrain --config pretrain-tiny --images 'scenes/*.tif' --out backbone
  sardino finetune --config finetune-tiny --images place/scene.tif --labels place/labels.tif \\
      --init backbone/model.safetensors --out run optimiser.steps=200
  sardino evaluate --model run/model.safetensors --images place/scene.tif --labels place/labels.tif --out scores
  sardino probe --model starter --config finetune-tiny --images 'place_*/scene.tif' --labels 'place_*/labels.tif' \\
      --out probe
"""


def _add_pretrain(parser: ArgumentParser) -> None:
    _images_and_output(parser)
    parser.add_argument(
        "--init", default=SCRATCH, metavar="MODEL", help=f"a model file to go on from; default: {SCRATCH}"
    )
    _run(parser)
    common_options(parser)


def _pretrain_job(arguments: Namespace) -> PretrainJob:
    return PretrainJob(
        arguments.out,
        tuple(arguments.images),
        arguments.config,
        arguments.init,
        arguments.epochs,
        arguments.resume,
        arguments.dry_run,
        arguments.overrides,
        arguments.bands,
        arguments.units,
    )


def _add_finetune(parser: ArgumentParser) -> None:
    _images_and_output(parser)
    _labels(parser)
    parser.add_argument("--init", required=True, metavar="MODEL", help=f"a model file to start from, or `{SCRATCH}`")
    parser.add_argument(
        "--label-fraction", type=float, metavar="F", help="use this share of the training labels, in whole blocks"
    )
    _run(parser)
    common_options(parser)


def _finetune_job(arguments: Namespace) -> FinetuneJob:
    return FinetuneJob(
        arguments.out,
        arguments.init,
        tuple(arguments.images),
        tuple(arguments.labels),
        arguments.config,
        arguments.epochs,
        arguments.label_fraction,
        arguments.resume,
        arguments.dry_run,
        arguments.overrides,
        arguments.bands,
        arguments.units,
    )


def _add_evaluate(parser: ArgumentParser) -> None:
    _images_and_output(parser)
    _labels(parser)
    parser.add_argument("--model", required=True, metavar="M", help="a model file, or `starter`")
    parser.add_argument("--config", help="for its label mapping and sources; default: labels are the classes' values")
    parser.add_argument("--held-out", action="store_true", help="only labels that the configuration holds out")
    common_options(parser)


def _evaluate_job(arguments: Namespace) -> EvaluateJob:
    return EvaluateJob(
        arguments.out,
        arguments.model,
        tuple(arguments.images),
        tuple(arguments.labels),
        arguments.config,
        arguments.held_out,
        arguments.overrides,
        arguments.bands,
        arguments.units,
    )


def _add_probe(parser: ArgumentParser) -> None:
    _images_and_output(parser)
    _labels(parser)
    parser.add_argument("--model", required=True, metavar="M", help="a model file, or `starter`")
    parser.add_argument(
        "--config", help="for its classes, label mapping and sources; default: labels are the model's class values"
    )
    common_options(parser)


def _probe_job(arguments: Namespace) -> ProbeJob:
    return ProbeJob(
        arguments.out,
        arguments.model,
        tuple(arguments.images),
        tuple(arguments.labels),
        arguments.config,
        arguments.overrides,
    )


def _images_and_output(parser: ArgumentParser) -> None:
    parser.add_argument("--images", nargs="+", default=[], metavar="GLOB", help="rasters in dB, power, amplitude or DN")
    bands_and_units(parser)
    parser.add_argument("--out", required=True, metavar="DIR", help="folder for what the run makes")
    parser.add_argument("overrides", nargs="*", metavar="key=value", help="such as optimiser.steps=200")


def _labels(parser: ArgumentParser) -> None:
    parser.add_argument("--labels", nargs="+", default=[], metavar="GLOB", help="label rasters, on any grid")


def _run(parser: ArgumentParser) -> None:
    parser.add_argument("--config", required=True, help="a name under sardino_core/configs, or a YAML file")
    parser.add_argument("--epochs", type=float, metavar="N", help="passes over the data; default: the configured steps")
    parser.add_argument("--resume", action="store_true", help="go on from the run folder's checkpoint")
    parser.add_argument("--dry-run", action="store_true", help="say what would be used, and stop")


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


def _training_lines(result: Result) -> list[str]:
    files = [f"{role}: {path}" for role, path in result.outputs.items()]
    return files + [f"  {name}: {value:.4g}" for name, value in result.values.items()]


def _probe_lines(result: Result) -> list[str]:
    return [*result.values["summary"], *output_lines(result)]


def _described(
    text: str, add: Callable[[ArgumentParser], None], job: Callable[[Namespace], Job], lines: Lines
) -> Command:
    return of_job(text, add, job, lines, description=text)


COMMANDS = {
    "pretrain": _described(
        "DINO: unlabelled rasters in, a backbone out", _add_pretrain, _pretrain_job, _training_lines
    ),
    "finetune": _described(
        "labelled rasters in, a land-cover model out", _add_finetune, _finetune_job, _training_lines
    ),
    "evaluate": _described(
        "a model file against labels: metrics and confusion matrix", _add_evaluate, _evaluate_job, _training_lines
    ),
    "probe": _described(
        "land cover in attention heads, tokens and backscatter: a report", _add_probe, _probe_job, _probe_lines
    ),
}

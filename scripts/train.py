"""Train and evaluate models: parses the command line, then calls `sardino_core.training`. See --help."""

from __future__ import annotations

import sys
from argparse import ArgumentParser, Namespace, RawDescriptionHelpFormatter
from collections.abc import Callable
from pathlib import Path

if __package__ in (None, ""):
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from sardino_core.contract.errors import SardinoError
from sardino_core.contract.messages import Result
from sardino_core.terminal import PlainVoice

_EXAMPLES = """\
examples:
  sardino simulate --output place --size 1024
  python scripts/train.py pretrain --config pretrain-tiny --images place/scene.tif --out backbone
  python scripts/train.py finetune --config finetune-tiny --images place/scene.tif --labels place/labels.tif \\
      --init backbone/model.safetensors --out run optimiser.steps=200
  python scripts/train.py evaluate --model run/model.safetensors --images place/scene.tif --labels place/labels.tif \\
      --out scores --config finetune-tiny
"""


def main(argv: list[str] | None = None) -> int:
    """Exit status: 0, 1 with one line on stderr, 2 for wrong usage."""
    arguments = _parse(argv)
    voice = PlainVoice()
    try:
        result = arguments.run(arguments, voice)
    except SardinoError as error:
        voice.failure(error)
        return 1
    except KeyboardInterrupt:
        print("error: The run was stopped.", file=sys.stderr)
        return 1
    for role, path in result.outputs.items():
        print(f"{role}: {path}")
    for name, value in result.values.items():
        print(f"  {name}: {value:.4g}")
    return 0


def _pretrain(arguments: Namespace, voice: PlainVoice) -> Result:
    from sardino_core.training.pretrain_config import load_pretrain_config, with_images

    config = with_images(load_pretrain_config(arguments.config, arguments.overrides), arguments.images)
    if arguments.dry_run:
        from sardino_core.training.planning import plan

        plan(config, voice)
        return Result()
    from sardino_core.training.pretrain import pretrain

    return pretrain(config, arguments.out, arguments.resume, voice)


def _finetune(arguments: Namespace, voice: PlainVoice) -> Result:
    from sardino_core.training.config import load_config, with_rasters

    config = with_rasters(load_config(arguments.config, arguments.overrides), arguments.images, arguments.labels)
    from sardino_core.training.finetune import finetune

    return finetune(config, arguments.init, arguments.out, voice)


def _evaluate(arguments: Namespace, voice: PlainVoice) -> Result:
    from sardino_core.models.model_file import resolve_model

    resolve_model(arguments.model)  # before torch is paid for
    from sardino_core.training.config import load_config, with_rasters
    from sardino_core.training.evaluate import evaluate, settings_for_evaluation

    if arguments.config is None:
        config = settings_for_evaluation(arguments.model, arguments.images, arguments.labels)
    else:
        config = with_rasters(load_config(arguments.config, arguments.overrides), arguments.images, arguments.labels)
    return evaluate(arguments.model, config, arguments.out, voice, all_labels=not arguments.held_out)


def _parse(argv: list[str] | None) -> Namespace:
    parser = ArgumentParser(
        prog="train.py", description=__doc__, epilog=_EXAMPLES, formatter_class=RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    pretrain = _command(commands, "pretrain", _pretrain, "unlabelled rasters in, a backbone out", labelled=False)
    pretrain.add_argument("--config", required=True, help="a name under sardino_core/configs, or a YAML file")
    pretrain.add_argument("--resume", action="store_true", help="go on from the run folder's checkpoint")
    pretrain.add_argument("--dry-run", action="store_true", help="say what would be used, and stop")
    finetune = _command(commands, "finetune", _finetune, "labelled rasters in, a model file out")
    finetune.add_argument("--config", required=True, help="a name under sardino_core/configs, or a YAML file")
    finetune.add_argument("--init", required=True, metavar="MODEL", help="a model file to start from, or `scratch`")
    evaluate = _command(commands, "evaluate", _evaluate, "a model file against labels")
    evaluate.add_argument("--model", required=True, help="a model file, or `starter`")
    evaluate.add_argument("--config", help="for its label mapping and sources; default: labels are the classes' values")
    evaluate.add_argument("--held-out", action="store_true", help="only labels that the configuration holds out")
    for command in (pretrain, finetune, evaluate):
        command.add_argument("overrides", nargs="*", metavar="key=value", help="such as optimiser.steps=200")
    # key=value may stand anywhere, after globs too, which would otherwise swallow it.
    given = sys.argv[1:] if argv is None else argv
    overrides = [item for item in given if _is_override(item)]
    arguments: Namespace = parser.parse_args([item for item in given if not _is_override(item)])
    arguments.overrides = overrides
    return arguments


def _is_override(item: str) -> bool:
    key, separator, _ = item.partition("=")
    return bool(separator) and all(part.isidentifier() or part.isdigit() for part in key.split("."))


def _command(  # type: ignore[no-untyped-def]  # argparse's own type is private
    commands, name: str, run: Callable[[Namespace, PlainVoice], Result], text: str, labelled: bool = True
) -> ArgumentParser:
    parser: ArgumentParser = commands.add_parser(name, help=text)
    parser.add_argument("--images", nargs="+", default=[], metavar="GLOB", help="rasters in dB, power, amplitude or DN")
    if labelled:
        parser.add_argument("--labels", nargs="+", default=[], metavar="GLOB", help="label rasters, on any grid")
    parser.add_argument("--out", required=True, metavar="DIR", help="folder for what the run makes")
    parser.set_defaults(run=run)
    return parser


if __name__ == "__main__":
    raise SystemExit(main())

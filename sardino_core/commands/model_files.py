"""Model files: `model info`, `model export`, `model import`."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from sardino_core.commands.command import Command
from sardino_core.commands.options import common_options
from sardino_core.contract.errors import DependencyMissing
from sardino_core.contract.messages import Result
from sardino_core.terminal import Voice

FORMATS_HELP = (
    "dino, dino-checkpoint, dinov2, dinov3 (RGB); torchgeo-s1, softcon-s1, dino-mm (Sentinel-1); default: auto, where "
    "only one fits"
)


def _add_info(parser: ArgumentParser) -> None:
    parser.add_argument("model", metavar="MODEL", help="a model file, or `starter`")
    common_options(parser)


def _info(arguments: Namespace, voice: Voice) -> None:
    from sardino_core.contract.serial import to_dict
    from sardino_core.model_card import card
    from sardino_core.models.model_file import read_spec, resolve_model

    path = resolve_model(arguments.model)
    spec = read_spec(path)
    voice.result(Result({}, to_dict(spec)), card(spec, path))


def _add_export(parser: ArgumentParser) -> None:
    parser.add_argument("model", metavar="MODEL", help="a model file; the export replaces an older one")
    common_options(parser)


def _export(arguments: Namespace, voice: Voice) -> None:
    from sardino_core.environment import require_packages
    from sardino_core.models.model_file import resolve_model

    path = resolve_model(arguments.model)
    require_packages("model export", "torch", ("torch", "timm", "onnx", "onnxscript"))
    from sardino_core.models.export import export_onnx

    export = str(export_onnx(path))
    voice.result(Result({"export": export}), [export])


def _add_import(parser: ArgumentParser) -> None:
    parser.add_argument("source", metavar="SOURCE", help=".pth, .pt or .safetensors")
    parser.add_argument("--format", default="auto", metavar="F", help=FORMATS_HELP)
    parser.add_argument(
        "--output", required=True, metavar="M", help="model file to write (.safetensors); .onnx beside it"
    )
    parser.add_argument("--bands", type=_band_list, default=("VV", "VH"), metavar="VV,VH,VV-VH", help="default: VV,VH")
    parser.add_argument("--window", type=int, default=0, metavar="N", help="pixels per side; default: the source's own")
    parser.add_argument(
        "--dtype", choices=["float16", "float32"], default="float16", help="stored as; default: float16"
    )
    parser.add_argument("--licence", metavar="TEXT", help="the weights' licence; default: unknown, see the source")
    common_options(parser)


def _import(arguments: Namespace, voice: Voice) -> None:
    from sardino_core.models.devices import has_torch

    if not has_torch():
        raise DependencyMissing("Importing weights needs torch and timm.", "Install the extra `sardino[torch]`.")
    from sardino_core.contract.serial import to_dict
    from sardino_core.model_card import card
    from sardino_core.models.importing.weights_import import UNKNOWN_LICENCE, ImportOptions, import_weights

    found = import_weights(
        ImportOptions(
            source=arguments.source,
            output=arguments.output,
            format=arguments.format,
            bands=arguments.bands,
            window=arguments.window,
            dtype=arguments.dtype,
            licence=arguments.licence or UNKNOWN_LICENCE,
        ),
        voice,
    )
    outputs = {"output": str(found.model), "export": str(found.export)}
    values = {"format": found.format.name, "report": found.report.values(), "model": to_dict(found.spec)}
    voice.result(Result(outputs, values), [*found.report.lines(), *card(found.spec, found.model), str(found.model)])


def _band_list(text: str) -> tuple[str, ...]:
    return tuple(part.strip().upper() for part in text.split(","))


_ACTIONS = {
    "info": Command("bands, units, classes, provenance, licence", _add_info, _info),
    "export": Command("the .onnx beside a model file, for machines without torch", _add_export, _export),
    "import": Command("a model file from another project's checkpoint, for fine-tuning", _add_import, _import),
}


def _add_model(parser: ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    for name, action in _ACTIONS.items():
        action.add_to(actions, name)


def _model(arguments: Namespace, voice: Voice) -> None:
    _ACTIONS[arguments.action].run(arguments, voice)


COMMANDS = {
    "model": Command("what a model file says about itself; its export; others' weights into one", _add_model, _model)
}

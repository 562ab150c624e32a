"""Make the starter model: simulate places, prepare the real tiles that may train it, pre-train, fine-tune, install.

    python scripts/starter/make_starter.py --data FOLDER --work build/starter
    python scripts/starter/make_starter.py --tiny --work build/starter-tiny

FOLDER holds the real tiles as described in the model card (sardino_core/starter/README.md). Without them everything
goes on simulation alone; that, and --tiny, shows that the recipe works, and its model stays in the work folder.
What is done is not done again, and training goes on where it was stopped.
"""

from __future__ import annotations

import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from recipe import require_same
from starter_data import FULL, SMALL, prepare

from sardino_core.contract.errors import InputMissing, SardinoError
from sardino_core.contract.model_spec import ModelSpec
from sardino_core.terminal import PlainVoice
from sardino_core.training.settings.finetune_config import FinetuneConfig, load_config
from sardino_core.training.settings.pretrain_config import PretrainConfig, load_pretrain_config

STARTER = Path(__file__).resolve().parents[2] / "sardino_core" / "starter"
BACKBONE, RUN = "backbone", "run"  # folders of the training runs
_TINY = ("model.backbone.width=48", "model.backbone.depth=2", "optimiser.precision=fp32", "optimiser.batch_size=4")
TINY_PRETRAIN = (*_TINY, "optimiser.steps=6", "optimiser.warm_up=2", "optimiser.freeze_last_layer=2")
TINY_FINETUNE = (*_TINY, "optimiser.steps=6", "optimiser.warm_up=2", "validation.every=6")
WATER_ALONE = "sen1floods11 held out"
HELD_OUT = ("simulated places held out", "terramesh", WATER_ALONE)
LABELS = {"accuracy": "accuracy", "miou": "mIoU", "binary_f1 water": "F1 of water against the rest"}
MARK_START, MARK_END = "<!-- numbers: written by scripts/starter/make_starter.py -->", "<!-- end of numbers -->"


def main() -> int:
    """Exit status 0, or 1 with one line on stderr."""
    given, voice = _parse(), PlainVoice()
    try:
        data = _existing(given.data, voice)
        pretraining, finetuning = recipe(data, given.work, given.tiny)
        size = SMALL if given.tiny else FULL
        require_same(given.work, pretraining, finetuning, f"{size}\n")
        prepare(data, given.work, size, voice)
        if not given.numbers:
            make(pretraining, finetuning, given.work, voice)
        if data and not given.tiny and not given.keep:
            if not given.numbers:
                install(given.work / RUN, finetuning, voice)
            write_numbers(finetuning, given.work / "numbers", STARTER / "README.md", voice)
    except SardinoError as error:
        voice.failure(error)
        return 1
    return 0


def recipe(data: Path | None, work: Path, tiny: bool) -> tuple[PretrainConfig, FinetuneConfig]:
    """The two configurations that ship; without real tiles, the simulated sources of them alone."""
    paths = [f"paths.work={work}", *([f"paths.real={data}"] if data else [])]
    pretraining = load_pretrain_config("pretrain-starter", [*paths, *(TINY_PRETRAIN if tiny else ())])
    finetuning = load_config("finetune-starter", [*paths, *(TINY_FINETUNE if tiny else ())])
    if data:
        return pretraining, finetuning
    images = tuple(source for source in pretraining.sources if _simulated(source.images))
    labelled = tuple(source for source in finetuning.sources if _simulated(source.images))
    return replace(pretraining, sources=images), replace(finetuning, sources=labelled)


def make(pretraining: PretrainConfig, finetuning: FinetuneConfig, work: Path, voice: PlainVoice) -> None:
    """Both runs; each goes on where it was stopped. Raises SardinoError, Cancelled when it is stopped again."""
    from sardino_core.training.finetune import finetune
    from sardino_core.training.pretrain import pretrain
    from sardino_core.training.running.run import finished

    backbone, run = work / BACKBONE, work / RUN
    if not (backbone / "model.safetensors").exists():
        finished(pretrain(pretraining, backbone, (backbone / "config.yaml").exists(), voice))
    if not (run / "model.safetensors").exists():
        init = str(backbone / "model.safetensors")
        result = finetune(finetuning, init, run, resume=(run / "config.yaml").exists(), listener=voice)
        finished(result)
        for name, value in result.values.items():
            voice.log("info", f"  {name}: {value:.4g}")


def _existing(data: Path | None, voice: PlainVoice) -> Path | None:
    """The folder of real tiles, or None when none is given. Raises InputMissing."""
    if data is None:
        voice.log("warning", "no real tiles are given (--data): the starter is made of simulation alone")
    elif not data.is_dir():
        raise InputMissing(f"{data} is no folder.", "Give the folder of real tiles, or leave --data out.")
    return data


def _simulated(patterns: Sequence[str]) -> bool:
    return all(pattern.startswith(("{work}/simulated/", "{work}/strange/")) for pattern in patterns)


def install(run: Path, config: FinetuneConfig, voice: PlainVoice) -> None:
    """Put the model, with the recipe's words about it, and its export where `--model starter` finds them."""
    from sardino_core.models.export import export_onnx
    from sardino_core.models.model_file import load_weights, read_spec, save_model

    trained = run / "model.safetensors"
    spec = read_spec(trained)
    told = replace(spec, licence=config.licence, attribution=config.attribution, limits=config.limits)
    told = replace(told, provenance=replace(spec.provenance, notes=config.notes))
    STARTER.mkdir(exist_ok=True)
    model = save_model(STARTER / "starter.safetensors", told, load_weights(trained))
    for path in (model, export_onnx(model)):
        voice.log("info", str(path))


def write_numbers(config: FinetuneConfig, out: Path, card: Path, voice: PlainVoice) -> None:
    """Put what the starter that ships reaches, and simple rules on the same labels, into the model card."""
    from sardino_core.models.model_file import read_spec, resolve_model
    from sardino_core.training.evaluate import evaluate
    from sardino_core.training.landcover.baselines import baselines
    from sardino_core.training.windows.sources import SceneStore

    metrics = evaluate("starter", config, out, voice, all_labels=False).values
    with SceneStore(config) as store:
        rules = baselines(store, water=80)
    text = card.read_text(encoding="utf-8")
    before, _, rest = text.partition(MARK_START)
    _, _, after = rest.partition(MARK_END)
    lines = [MARK_START, *_numbers(read_spec(resolve_model("starter")), metrics, rules), MARK_END]
    card.write_text(before + "\n".join(lines) + after, encoding="utf-8")


def _numbers(spec: ModelSpec, metrics: Mapping[str, float], rules: Mapping[str, float]) -> list[str]:
    lines = [
        f"{spec.provenance.steps} steps, seed {spec.provenance.seed}, on labels that did not train:",
        "",
        "    python scripts/starter/make_starter.py --data FOLDER --numbers",
        "",
        "| | simulated places | TerraMesh quarters | Sen1Floods11, India |",
        "|---|---|---|---|",
    ]
    wanted = ["accuracy", "miou", *(f"f1 {item.name}" for item in spec.classes), "binary_f1 water"]
    for name in wanted:
        row = [_cell(source, name, metrics) for source in HELD_OUT]
        lines.append(f"| {LABELS.get(name, name.replace('f1 ', 'F1 of '))} | {' | '.join(row)} |")
    for key, label in (
        ("majority", "accuracy of the commonest class"),
        ("gaussian accuracy", "accuracy of a Gaussian classifier of 5 x 5 mean VV, VH"),
        ("gaussian miou", "mIoU of the same"),
        ("gaussian binary_f1 water", "F1 of water against the rest, the same"),
        ("threshold binary_f1 water", f"F1 of water by VH < {rules['VH threshold for water in dB']:.1f} dB"),
    ):
        row = [_cell(source, key, rules) for source in HELD_OUT]
        lines.append(f"| {label} | {' | '.join(row)} |")
    limit = spec.calibration.unsure_below
    return [
        *lines,
        "",
        f"Below a confidence of {limit:.2f} a pixel is `unsure`: {metrics['unsure share']:.0%} of these pixels, all "
        f"three sources weighing the same; of the rest the label allows {metrics['agreement when sure']:.0%}. "
        "Temperature and threshold were fitted on such pixels: expect less elsewhere.",
    ]


def _cell(source: str, name: str, metrics: Mapping[str, float]) -> str:
    """Empty where a number would mislead: of water and "not water", only the one against the other says something."""
    value = metrics.get(f"{source}: {name}")
    return "" if value is None or (source == WATER_ALONE and "binary" not in name) else f"{value:.2f}"


def _parse() -> Namespace:
    parser = ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, help="folder of real tiles; without it on simulation alone")
    parser.add_argument("--work", default=Path("build/starter"), type=Path, help="folder for everything in between")
    parser.add_argument("--tiny", action="store_true", help="a very small model, for trying the recipe")
    parser.add_argument("--keep", action="store_true", help="leave the model in the work folder")
    parser.add_argument("--numbers", action="store_true", help="train nothing: the card's numbers of what ships")
    return parser.parse_args()


if __name__ == "__main__":
    raise SystemExit(main())

"""Make the starter model: simulate places, prepare the real tiles that may train it, pre-train, fine-tune, install.

    python scripts/starter/make_starter.py --data FOLDER --work build/starter
    python scripts/starter/make_starter.py --tiny --work build/starter-tiny

FOLDER holds the real tiles as described in the model card (sardino_core/starter/README.md). Without them everything
goes on simulation alone; that, and --tiny, shows that the recipe works, and its model stays in the work folder.
What is done is not done again, and training goes on where it was stopped.
"""

from __future__ import annotations

import shutil
import sys
from argparse import ArgumentParser
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from starter_data import FULL, SMALL, prepare

from sardino_core.contract.errors import InputMissing, SardinoError
from sardino_core.contract.model_spec import ModelSpec
from sardino_core.terminal import PlainVoice

STARTER = Path(__file__).resolve().parents[2] / "sardino_core" / "starter"
BACKBONE, RUN = "backbone", "run"  # folders of the training runs
_TINY = ("model.backbone.width=48", "model.backbone.depth=2", "optimiser.precision=fp32", "optimiser.batch_size=4")
TINY_PRETRAIN = (*_TINY, "optimiser.steps=6", "optimiser.warm_up=2", "optimiser.freeze_last_layer=2")
TINY_FINETUNE = (*_TINY, "optimiser.steps=6", "optimiser.warm_up=2", "validation.every=6")
HELD_OUT = ("simulated places held out", "terramesh", "sen1floods11 held out")
LABELS = {"accuracy": "accuracy", "miou": "mIoU", "binary_f1 water": "F1 of water against the rest"}
MARK_START, MARK_END = "<!-- numbers: written by scripts/starter/make_starter.py -->", "<!-- end of numbers -->"


def main() -> int:
    """Exit status 0, or 1 with one line on stderr."""
    parser = ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, help="folder of real tiles; without it on simulation alone")
    parser.add_argument("--work", default=Path("build/starter"), type=Path, help="folder for everything in between")
    parser.add_argument("--tiny", action="store_true", help="a very small model in a minute, for trying the recipe")
    parser.add_argument("--keep", action="store_true", help="leave the model in the work folder")
    given = parser.parse_args()
    voice = PlainVoice()
    try:
        data = _existing(given.data, voice)
        prepare(data, given.work, SMALL if given.tiny else FULL, voice)
        pretrain_backbone(data, given.work, given.tiny, voice)
        train(data, given.work, given.tiny, voice)
        if data and not given.tiny and not given.keep:
            install(given.work / RUN, voice)
            write_numbers(given.work / RUN, STARTER / "README.md")
    except SardinoError as error:
        voice.failure(error)
        return 1
    return 0


def pretrain_backbone(data: Path | None, work: Path, tiny: bool, voice: PlainVoice) -> None:
    """The pre-training run of configs/pretrain-starter.yaml; goes on where it was stopped."""
    from sardino_core.training.pretrain import pretrain
    from sardino_core.training.settings.pretrain_config import load_pretrain_config

    run = work / BACKBONE
    config = load_pretrain_config("pretrain-starter", [*_paths(data, work), *(TINY_PRETRAIN if tiny else ())])
    config = replace(config, sources=tuple(source for source in config.sources if data or _simulated(source.images)))
    if not (run / "model.safetensors").exists():
        pretrain(config, run, (run / "config.yaml").exists(), voice)


def train(data: Path | None, work: Path, tiny: bool, voice: PlainVoice) -> None:
    """The fine-tuning run of configs/finetune-starter.yaml; goes on where it was stopped."""
    from sardino_core.training.finetune import finetune
    from sardino_core.training.settings.finetune_config import load_config

    run, init = work / RUN, str(work / BACKBONE / "model.safetensors")
    config = load_config("finetune-starter", [*_paths(data, work), *(TINY_FINETUNE if tiny else ())])
    config = replace(config, sources=tuple(source for source in config.sources if data or _simulated(source.images)))
    if not (run / "model.safetensors").exists():
        result = finetune(config, init, run, resume=(run / "config.yaml").exists(), listener=voice)
        for name, value in result.values.items():
            voice.log("info", f"  {name}: {value:.4g}")


def _existing(data: Path | None, voice: PlainVoice) -> Path | None:
    """The folder of real tiles, or None when none is given. Raises InputMissing."""
    if data is None:
        voice.log("warning", "no real tiles are given (--data): the starter is made of simulation alone")
    elif not data.is_dir():
        raise InputMissing(f"{data} is no folder.", "Give the folder of real tiles, or leave --data out.")
    return data


def _paths(data: Path | None, work: Path) -> list[str]:
    return [f"paths.work={work}", *([f"paths.real={data}"] if data else [])]


def _simulated(patterns: Sequence[str]) -> bool:
    return all(pattern.startswith(("{work}/simulated/", "{work}/strange/")) for pattern in patterns)


def install(run: Path, voice: PlainVoice) -> None:
    """Copy the model and its export to where `--model starter` finds them."""
    STARTER.mkdir(exist_ok=True)
    for suffix in (".safetensors", ".onnx"):
        shutil.copyfile(run / f"model{suffix}", STARTER / f"starter{suffix}")
        voice.log("info", f"{STARTER / f'starter{suffix}'}")


def write_numbers(run: Path, card: Path) -> None:
    """Put what was measured, and what simple rules reach on the same labels, into the model card."""
    from sardino_core.models.model_file import read_spec
    from sardino_core.training.landcover.baselines import baselines
    from sardino_core.training.settings.finetune_config import load_config
    from sardino_core.training.windows.sources import SceneStore

    spec, config = read_spec(run / "model.safetensors"), load_config(run / "config.yaml")
    with SceneStore(config) as store:
        rules = baselines(store, water=80)
    text = card.read_text(encoding="utf-8")
    before, _, rest = text.partition(MARK_START)
    _, _, after = rest.partition(MARK_END)
    lines = [MARK_START, *_numbers(spec, rules), MARK_END]
    card.write_text(before + "\n".join(lines) + after, encoding="utf-8")


def _numbers(spec: ModelSpec, rules: dict[str, float]) -> list[str]:
    metrics, calibration = spec.provenance.metrics, spec.calibration
    lines = [
        f"{spec.provenance.steps} steps, seed {spec.provenance.seed}, on labels that did not train:",
        "",
        "    python scripts/starter/make_starter.py --data FOLDER --work build/starter",
        "    python scripts/train.py evaluate --model starter --config finetune-starter --held-out --out scores \\",
        "        paths.real=FOLDER paths.work=build/starter",
        "",
        "| | simulated places | TerraMesh quarters | Sen1Floods11, India |",
        "|---|---|---|---|",
    ]
    wanted = ["accuracy", "miou", *(f"f1 {item.name}" for item in spec.classes), "binary_f1 water"]
    for name in wanted:
        row = [_cell(metrics.get(f"{source}: {name}")) for source in HELD_OUT]
        lines.append(f"| {LABELS.get(name, name.replace('f1 ', 'F1 of '))} | {' | '.join(row)} |")
    for key, label in (
        ("majority", "accuracy of the commonest class"),
        ("gaussian accuracy", "accuracy of a Gaussian classifier of 5 x 5 mean VV, VH"),
        ("gaussian miou", "mIoU of the same"),
        ("gaussian binary_f1 water", "F1 of water against the rest, the same"),
        ("threshold binary_f1 water", f"F1 of water by VH < {rules['VH threshold for water in dB']:.1f} dB"),
    ):
        row = [_cell(rules.get(f"{source}: {key}")) for source in HELD_OUT]
        lines.append(f"| {label} | {' | '.join(row)} |")
    sure = {name.removeprefix("calibration: "): value for name, value in metrics.items() if "calibration: " in name}
    return [
        *lines,
        "",
        f"Probabilities are softmax(logits / {calibration.temperature:g}): expected calibration error "
        f"{sure['calibration error']:.3f} ({sure['calibration error before']:.3f} before). Below a confidence of "
        f"{calibration.unsure_below:.2f} a pixel is `unsure`: {sure['unsure share']:.0%} of the held-out pixels; the "
        f"rest are right in {sure['accuracy when sure']:.0%} (all three sources weighing the same). Fitted on these "
        "very pixels: expect less elsewhere.",
    ]


def _cell(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"


if __name__ == "__main__":
    raise SystemExit(main())

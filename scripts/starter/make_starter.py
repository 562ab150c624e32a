"""Make the starter model: simulate places, prepare the real tiles that may train it, pre-train, fine-tune, install.

    python scripts/starter/make_starter.py --data FOLDER --work build/starter

FOLDER holds the real tiles as described in the model card (sardino_core/starter/README.md).
"""

from __future__ import annotations

import shutil
import sys
from argparse import ArgumentParser
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from starter_data import prepare

from sardino_core.contract.errors import SardinoError
from sardino_core.contract.model_spec import ModelSpec
from sardino_core.terminal import PlainVoice

STARTER = Path(__file__).resolve().parents[2] / "sardino_core" / "starter"
BACKBONE = "backbone"  # folder of the pre-training run
HELD_OUT = ("simulated places held out", "terramesh", "sen1floods11 held out")
LABELS = {"accuracy": "accuracy", "miou": "mIoU", "binary_f1 water": "F1 of water against the rest"}
MARK_START, MARK_END = "<!-- numbers: written by scripts/starter/make_starter.py -->", "<!-- end of numbers -->"


def main() -> int:
    """Exit status 0, or 1 with one line on stderr."""
    parser = ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", required=True, type=Path, help="folder of real tiles")
    parser.add_argument("--work", default=Path("build/starter"), type=Path, help="folder for everything in between")
    parser.add_argument("--steps", type=int, default=0, help="default: as in configs/finetune-starter.yaml")
    parser.add_argument("--keep", action="store_true", help="leave the model in the work folder")
    arguments = parser.parse_args()
    voice = PlainVoice()
    try:
        prepare(arguments.data, arguments.work, voice)
        pretrain_backbone(arguments.data, arguments.work, voice)
        train(arguments.data, arguments.work, arguments.steps, voice)
        if not arguments.keep:
            install(arguments.work / "run", voice)
            write_numbers(arguments.work / "run", STARTER / "README.md")
    except SardinoError as error:
        voice.failure(error)
        return 1
    return 0


def pretrain_backbone(data: Path, work: Path, voice: PlainVoice) -> None:
    """The pre-training run of configs/pretrain-starter.yaml; goes on where it was stopped."""
    from sardino_core.training.pretrain import pretrain
    from sardino_core.training.settings.pretrain_config import load_pretrain_config

    config, run = (
        load_pretrain_config("pretrain-starter", [f"paths.real={data}", f"paths.work={work}"]),
        work / BACKBONE,
    )
    if not (run / "model.safetensors").exists():
        pretrain(config, run, (run / "config.yaml").exists(), voice)


def train(data: Path, work: Path, steps: int, voice: PlainVoice) -> None:
    """The fine-tuning run of configs/finetune-starter.yaml; goes on where it was stopped."""
    from sardino_core.training.finetune import finetune
    from sardino_core.training.settings.finetune_config import load_config

    overrides = [f"paths.real={data}", f"paths.work={work}"] + ([f"optimiser.steps={steps}"] if steps else [])
    config, run = load_config("finetune-starter", overrides), work / "run"
    init = str(work / BACKBONE / "model.safetensors")
    result = finetune(config, init, run, resume=(run / "config.yaml").exists(), listener=voice)
    for name, value in result.values.items():
        voice.log("info", f"  {name}: {value:.4g}")


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

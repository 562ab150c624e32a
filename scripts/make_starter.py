"""Make the starter model: simulate places, prepare the real tiles that may train it, fine-tune, and place the result.

    python scripts/make_starter.py --data FOLDER --work build/starter

FOLDER holds the real tiles as described in the model card (sardino_core/starter/README.md).
"""

from __future__ import annotations

import json
import shutil
import sys
from argparse import ArgumentParser
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from sardino_core.contract.errors import InputMissing, SardinoError
from sardino_core.contract.model_spec import ModelSpec
from sardino_core.terminal import PlainVoice

STARTER = Path(__file__).resolve().parent.parent / "sardino_core" / "starter"
TRAIN_SIZE, VALIDATION_SIZE = 768, 512
HELD_OUT = ("simulated places held out", "terramesh", "sen1floods11 held out")
LABELS = {"accuracy": "accuracy", "miou": "mIoU", "binary_f1 water": "F1 of water against the rest"}
MARK_START, MARK_END = "<!-- numbers: written by scripts/make_starter.py -->", "<!-- end of numbers -->"
TRAIN_SEEDS, VALIDATION_SEEDS = range(101, 125), range(901, 905)

# CORINE classes of BigEarthNet to what a pixel of the patch may be. Bits: water 1, trees 2, built-up 4, low vegetation
# 8, bare 16. CORINE maps nothing below 25 ha, so mixed classes allow what they usually hold.
CORINE_BITS = {
    "Arable land": 8,
    "Pastures": 8,
    "Permanent crops": 10,
    "Complex cultivation patterns": 14,
    "Land principally occupied by agriculture, with significant areas of natural vegetation": 10,
    "Agro-forestry areas": 10,
    "Broad-leaved forest": 2,
    "Coniferous forest": 2,
    "Mixed forest": 2,
    "Transitional woodland, shrub": 10,
    "Moors, heathland and sclerophyllous vegetation": 8,
    "Natural grassland and sparsely vegetated areas": 24,
    "Beaches, dunes, sands": 16,
    "Urban fabric": 14,
    "Industrial or commercial units": 14,
    "Inland waters": 1,
    "Inland wetlands": 9,
    "Coastal wetlands": 9,
    "Marine waters": 1,
}


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
        simulate_places(arguments.work / "simulated", voice)
        prepare_bigearthnet(arguments.data / "bigearthnet_v2", arguments.work / "bigearthnet")
        prepare_opera(arguments.data / "opera_rtc_10SGD", arguments.work / "opera")
        train(arguments.data, arguments.work, arguments.steps, voice)
        if not arguments.keep:
            install(arguments.work / "run", voice)
            write_numbers(arguments.work / "run", STARTER / "README.md")
    except SardinoError as error:
        voice.failure(error)
        return 1
    return 0


def simulate_places(folder: Path, voice: PlainVoice) -> None:
    """Twenty-four places to train on and four to validate, every orbit direction and season among them."""
    from sardino_core.simulate import simulate_missing, varied

    for kind, size, seeds in (("train", TRAIN_SIZE, TRAIN_SEEDS), ("val", VALIDATION_SIZE, VALIDATION_SEEDS)):
        voice.log("info", f"simulating the places {kind}_*, where they are missing")
        jobs = [varied(folder / f"{kind}_{seed}", size, seed, index) for index, seed in enumerate(seeds)]
        simulate_missing(jobs, voice)


def prepare_bigearthnet(source: Path, target: Path) -> None:
    """Patches as VV, VH rasters, and the list of their CORINE classes as a constant label raster of bits."""
    import numpy as np
    import rasterio

    target.mkdir(parents=True, exist_ok=True)
    for patch in json.loads(_existing(source / "labels.json").read_text(encoding="utf-8")):
        bits = 0
        for name in patch["labels"]:
            bits |= CORINE_BITS[name]
        name, folder = patch["patch_id"], source / "S1"
        if (folder / f"{name}_s1.tif").exists():
            with rasterio.open(folder / f"{name}_s1.tif") as dataset:
                vh, vv = dataset.read()  # this producer stores VH first
                profile = dataset.profile
        else:
            with rasterio.open(folder / f"{name}_VV.tif") as first, rasterio.open(folder / f"{name}_VH.tif") as second:
                vv, vh, profile = first.read(1), second.read(1), first.profile
        _write(target / f"{name}_image.tif", np.stack([vv, vh]), profile, ("VV", "VH"))
        _write(target / f"{name}_labels.tif", np.full((1, *vv.shape), bits, np.uint8), profile, ("classes",))


def prepare_opera(source: Path, target: Path) -> None:
    """Crops as VV, VH rasters in power, and their water mask as labels, 1 water and 2 land: each crop is all of one."""
    import numpy as np
    import rasterio

    from sardino_core.raster.grid import RasterGrid
    from sardino_core.raster.reading.labels import LabelRaster

    target.mkdir(parents=True, exist_ok=True)
    for path in sorted(_existing(source).glob("*/*_VV.tif")):
        with rasterio.open(path) as first, rasterio.open(path.with_name(path.name.replace("_VV", "_VH"))) as second:
            image, profile = np.stack([first.read(1), second.read(1)]), first.profile
            grid = RasterGrid(first.width, first.height, first.transform, first.crs)
        with LabelRaster([source / "water_mask_10SGD_large.tif"], grid) as mask:
            values, known = mask.read(grid.full)
        labels = np.where(known, np.where(values == 1, 1, 2), 0).astype(np.uint8)
        name = f"{path.parent.name}_{path.name.split('_')[3]}"
        _write(target / f"{name}_image.tif", image, profile, ("VV", "VH"))
        _write(target / f"{name}_labels.tif", labels[None], profile, ("classes",))


def train(data: Path, work: Path, steps: int, voice: PlainVoice) -> None:
    """The fine-tuning run of configs/finetune-starter.yaml; goes on where it was stopped."""
    from sardino_core.training.finetune import finetune
    from sardino_core.training.settings.finetune_config import load_config

    overrides = [f"paths.real={data}", f"paths.work={work}"] + ([f"optimiser.steps={steps}"] if steps else [])
    config, run = load_config("finetune-starter", overrides), work / "run"
    result = finetune(config, "scratch", run, resume=(run / "config.yaml").exists(), listener=voice)
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
        "    python scripts/make_starter.py --data FOLDER --work build/starter",
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


def _write(path: Path, values, profile, names: tuple[str, ...]) -> None:  # type: ignore[no-untyped-def]
    import rasterio

    profile = {key: profile[key] for key in ("width", "height", "crs", "transform")}
    nodata = 0 if values.dtype == "uint8" else None
    with rasterio.open(
        path, "w", driver="GTiff", count=len(values), dtype=values.dtype, nodata=nodata, compress="deflate", **profile
    ) as dataset:
        dataset.write(values)
        for index, name in enumerate(names, start=1):
            dataset.set_band_description(index, name)


def _existing(path: Path) -> Path:
    if not path.exists():
        raise InputMissing(f"{path} does not exist.", "Give the folder of real tiles with --data.")
    return path


if __name__ == "__main__":
    raise SystemExit(main())

"""Which SAR views help: pre-training with each view left out in turn, probed on other places; docs/views.md.

    python scripts/experiments/view_ablation.py --work build/views --output docs

Simulates places in two seasons and two orbits, and twice in one season under independent speckle. Each variant is
pre-trained with every seed; a linear probe and nearest neighbours on the tokens are fitted on the training places and
scored on others. Differences to the variant with all views are paired by seed and place; their intervals come from
drawing the test places again. Work that is done is not done again. Simulated scenes are evidence for the machinery.
"""

from __future__ import annotations

import json
import sys
from argparse import ArgumentParser
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import numpy as np
import rasterio
import torch
from probe_pretraining import read
from torch import Tensor

from sardino_core.contract.jobs import SimulateJob
from sardino_core.models.model_file import load_weights, read_spec
from sardino_core.models.network import build, random_network
from sardino_core.simulate import simulate_missing
from sardino_core.study.bootstrap import Interval, drawn, estimate, miou
from sardino_core.terminal import PlainVoice
from sardino_core.training.dino.token_probe import linear, nearest, table_of, tokens_of
from sardino_core.training.pretrain import pretrain
from sardino_core.training.running.run import finished
from sardino_core.training.settings.pretrain_config import PretrainConfig, load_pretrain_config, with_images

CLASSES = 5
SIZE = 512
FIT = 2  # every so many windows of the training places fit the probes
RESAMPLES = 2000
# Days on which the passes are said to be: apart by whole cycles of twelve days, so that the track is the same.
PASSES = {
    "scene": ("descending", "summer", 0, "2021-07-03"),
    "take": ("descending", "summer", 1, "2021-07-15"),
    "fall": ("descending", "fall", 0, "2021-10-07"),
    "ascending": ("ascending", "fall", 0, "2021-10-10"),
}
ALL, CROPS = "all views", "crops alone"
_NO_GAIN = ("views.gain_db=0", "views.band_gain_db=0")
_OFF = {
    "speckle": ("views.speckle=0",),
    "multi-look": ("views.multilook=0",),
    "gain": _NO_GAIN,
    "date pairs": ("views.dates=off",),
    "east-west flip": ("views.flip_east_west=0",),
    "north-south flip": ("views.flip_north_south=0",),
}
_BARE = (*(word for words in _OFF.values() for word in words), "views.drop_band=0", "views.invalid=0")


@dataclass(frozen=True)
class Variant:
    """What is pre-trained with: passes of each place, and overrides of the configuration."""

    name: str
    passes: tuple[str, ...]
    overrides: tuple[str, ...] = ()


EVERYTHING = ("scene", "fall", "ascending")
VARIANTS = (
    Variant(ALL, EVERYTHING),
    *(Variant(f"without {name}", EVERYTHING, words) for name, words in _OFF.items()),
    Variant("date pairs of any orbit", EVERYTHING, ("views.dates=any",)),
    Variant(CROPS, EVERYTHING, _BARE),
)
# One season only: what is left to be matched when both views hold the same speckle, and when they do not.
SPECKLE = (
    Variant("one pass: both views share their speckle", ("scene",), _BARE),
    Variant("one pass, speckle added to each view", ("scene",), (*_BARE, "views.speckle=1")),
    Variant("two passes: independent speckle", ("scene", "take"), (*_BARE, "views.dates=same-orbit")),
)


@dataclass(frozen=True)
class Plan:
    """Where everything lies, and how much of it there is."""

    work: Path
    config: str
    seeds: tuple[int, ...]
    overrides: tuple[str, ...]
    train: int
    test: int

    def place(self, kind: str, number: int) -> Path:
        """The folder of one place."""
        return self.work / "data" / f"{kind}_{number}"

    def folders(self, kind: str) -> list[Path]:
        """The first pass of every training or test place."""
        count, first = (self.train, 301) if kind == "train" else (self.test, 951)
        return [self.place(kind, number) for number in range(first, first + count)]

    def settings(self, variant: Variant, seed: int) -> PretrainConfig:
        """What a run is told."""
        words = (*self.overrides, *variant.overrides, f"seed={seed}")
        images = [str(self.work / "data" / "train_*" / name / "scene.tif") for name in variant.passes]
        return with_images(load_pretrain_config(self.config, words), images)

    def run(self, variant: Variant, seed: int) -> Path:
        """Its folder."""
        return self.work / f"{variant.name.replace(' ', '-').replace(':', '')}_{seed}"


def main() -> int:
    """Simulate, train, probe, write."""
    plan, output = _parse()
    simulate(plan)
    spec = plan.settings(VARIANTS[0], 0).spec()
    fit = read(str(plan.work / "data" / "train_*" / "scene"), spec, FIT)
    held = [read(str(folder / "scene"), spec, 1) for folder in plan.folders("test")]
    counts = {}
    for variant in (*VARIANTS, *SPECKLE):
        for seed in plan.seeds:
            counts[variant.name, seed] = _counts(plan, variant, seed, fit, held)
    counts |= {("random weights", seed): _probed(random_network(spec, seed), fit, held) for seed in plan.seeds}
    output.mkdir(parents=True, exist_ok=True)
    (output / "views.md").write_text(page(plan, counts), encoding="utf-8")
    print(output / "views.md")
    return 0


def simulate(plan: Plan) -> None:
    """Training places in every pass, test places in the first alone."""
    for kind in ("train", "test"):
        for folder in plan.folders(kind):
            for name in PASSES if kind == "train" else ("scene",):
                orbit, season, take, day = PASSES[name]
                seed = int(folder.name.rpartition("_")[2])
                simulate_missing([SimulateJob(str(folder / name), SIZE, seed, orbit, season, take=take)], PlainVoice())
                _date(folder / name / "scene.tif", day)


def _date(path: Path, day: str) -> None:
    with rasterio.open(path) as dataset:
        dated = dataset.tags().get("ACQUISITION_DATE") == day
    if not dated:
        with rasterio.open(path, "r+") as dataset:
            dataset.update_tags(ACQUISITION_DATE=day)


def _counts(plan: Plan, variant: Variant, seed: int, fit: object, held: list) -> dict[str, np.ndarray]:
    """Confusion matrices of each probe, (places, K, K); kept beside the run."""
    run = plan.run(variant, seed)
    kept = run / "confusion.json"
    if not kept.exists():
        if not (run / "model.safetensors").exists():
            print(f"{variant.name}, seed {seed}", flush=True)
            resume = (run / "config.yaml").exists()
            finished(pretrain(plan.settings(variant, seed), run, resume, PlainVoice()))
        model = run / "model.safetensors"
        found = _probed(build(read_spec(model), load_weights(model)), fit, held)
        kept.write_text(json.dumps({name: values.tolist() for name, values in found.items()}), encoding="utf-8")
    return {name: np.array(values) for name, values in json.loads(kept.read_text(encoding="utf-8")).items()}


def _probed(network: torch.nn.Module, fit: object, held: list) -> dict[str, np.ndarray]:
    features = tokens_of(network)
    x, y = table_of(fit, features)
    mean, std = x.mean(0), x.std(0) + 1e-6
    places = [table_of(samples, features) for samples in held]
    tokens = torch.cat([(z - mean) / std for z, _ in places])
    kinds: dict[str, Callable[..., Tensor]] = {"linear": linear, "kNN": nearest}
    found = {}
    for name, probe in kinds.items():
        predicted = probe((x - mean) / std, y, tokens, CLASSES).split([len(truth) for _, truth in places])
        pairs = zip(places, predicted, strict=True)
        matrices = [torch.bincount(t * CLASSES + p, minlength=CLASSES**2).view(CLASSES, CLASSES) for (_, t), p in pairs]
        found[name] = torch.stack(matrices).numpy()
    return found


def page(plan: Plan, counts: dict[tuple[str, int], dict[str, np.ndarray]]) -> str:
    """docs/views.md."""
    weights = drawn(plan.test, RESAMPLES)

    def stacked(name: str, probe: str) -> np.ndarray:
        return np.stack([counts[name, seed][probe] for seed in plan.seeds])

    def row(name: str, base: str) -> str:
        cells = []
        for probe in ("linear", "kNN"):
            own = stacked(name, probe)
            cells.append(f"{estimate(own, miou, weights).value:.3f}")
            cells.append("" if name == base else _told(estimate(own, miou, weights, less=stacked(base, probe))))
        return f"| {name} | {' | '.join(cells)} |"

    head = "| pre-trained with | linear mIoU | difference | kNN mIoU | difference |\n| --- | --- | --- | --- | --- |"
    first = [row(variant.name, ALL) for variant in VARIANTS] + [row("random weights", ALL)]
    second = [row(variant.name, SPECKLE[0].name) for variant in SPECKLE]
    settings = plan.settings(VARIANTS[0], plan.seeds[0])
    backbone, newline = settings.model.backbone, "\n"
    return f"""# Which SAR views help

Made by `python scripts/experiments/view_ablation.py`; the command replaces this page.
Land cover that probes find in tokens of backbones that were pre-trained with one view left out. Scenes are simulated: a
guide for defaults, no evidence about any place.

- network: {backbone.architecture}/{backbone.patch}, width {backbone.width}, depth {backbone.depth}; configuration \
`{plan.config}`, {settings.optimiser.steps} steps of {settings.optimiser.batch_size} windows
- data: {plan.train} places of {SIZE} x {SIZE} pixels, each in summer and fall from one orbit and in fall from the
  other; {plan.test} other places score; seeds {", ".join(map(str, plan.seeds))}
- differences: to the first row, paired by seed and place, with 95 % intervals from drawing the test places again

{head}
{newline.join(first)}

## Speckle on top of speckle

One pass gives both views the same speckle, under whatever is added: its pattern can be matched between them, which says
nothing of the ground. Two passes over the same ground in the same season have none in common. Only crops otherwise.

{head}
{newline.join(second)}
"""


def _told(found: Interval) -> str:
    return f"{found.value:+.3f} ({found.low:+.3f} to {found.high:+.3f})"


def _parse() -> tuple[Plan, Path]:
    parser = ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--work", type=Path, default=Path("build/views"), help="folder for scenes and runs")
    parser.add_argument("--output", type=Path, default=Path("docs"), help="folder for views.md")
    parser.add_argument("--config", default="pretrain-tiny")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--train", type=int, default=12, metavar="N", help="training places")
    parser.add_argument("--test", type=int, default=12, metavar="N", help="places that score")
    parser.add_argument("overrides", nargs="*", metavar="key=value", help="of the configuration")
    given = parser.parse_args()
    plan = Plan(given.work.resolve(), given.config, tuple(given.seeds), tuple(given.overrides), given.train, given.test)
    return plan, given.output


if __name__ == "__main__":
    raise SystemExit(main())

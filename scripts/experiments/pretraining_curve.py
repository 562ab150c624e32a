"""How a backbone's tokens learn land cover while DINO trains it, without labels: docs/pretraining.md and its curve.

    python scripts/experiments/pretraining_curve.py --work build/curve --output docs

Simulates places for training and others for scoring, pre-trains one backbone per seed, keeps the teacher at every
checkpoint, and probes each with `probe_pretraining`. Work that is done is not done again, so a stopped run goes on.
Simulated scenes are evidence for the machinery alone.
"""

from __future__ import annotations

import sys
from argparse import ArgumentParser, Namespace
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import torch
from probe_pretraining import NAMES, Samples, probe, read, statistics, tokens_of

from sardino_core.contract.jobs import SimulateJob
from sardino_core.contract.model_spec import ModelSpec
from sardino_core.models.model_file import load_weights, read_spec, save_model
from sardino_core.models.network import build, random_network
from sardino_core.simulate import simulate_missing
from sardino_core.terminal import PlainVoice
from sardino_core.training.pretrain import pretrain
from sardino_core.training.running.run import finished
from sardino_core.training.settings.pretrain_config import PretrainConfig, load_pretrain_config, with_images

TRAIN, TEST = "train_*", "test_*"
METRICS = ("linear mIoU", "kNN mIoU")
FIT = 24  # every so many windows of the training places fit the probes
Scores = dict[str, float]


@dataclass(frozen=True)
class Plan:
    """Where everything lies, and how much of it there is."""

    work: Path
    seeds: tuple[int, ...]
    places: int
    overrides: tuple[str, ...]
    config: str
    every: int

    def run(self, seed: int) -> Path:
        """One seed's run folder."""
        return self.work / f"seed-{seed}"

    def kept(self, seed: int) -> dict[int, Path]:
        """The teachers of one run by step."""
        return {
            int(path.stem.removeprefix("step-")): path for path in sorted(self.run(seed).glob("step-*.safetensors"))
        }


class Keeper(PlainVoice):
    """Shows progress, and keeps the teacher of every new checkpoint as a model file."""

    def __init__(self, run: Path, spec: ModelSpec) -> None:
        super().__init__()
        self._run, self._spec, self._seen = run, spec, 0.0

    def progress(self, fraction: float, message: str) -> None:
        """Called every few steps, after the previous step's checkpoint was written."""
        super().progress(fraction, message)
        path = self._run / "checkpoint.pt"
        if path.exists() and path.stat().st_mtime > self._seen:
            self._seen = path.stat().st_mtime
            state = torch.load(path, map_location="cpu", weights_only=True)["state"]
            prefix = "network."
            teacher = {name[len(prefix) :]: x for name, x in state["teacher"].items() if name.startswith(prefix)}
            save_model(self._run / f"step-{state['step']:06d}.safetensors", self._spec, teacher)


def main() -> int:
    """Simulate, train, probe, write."""
    arguments = _parse()
    plan = _plan(arguments)
    simulate(plan)
    for seed in plan.seeds:
        train(plan, seed)
    backscatter, curves = score(plan)
    arguments.output.mkdir(parents=True, exist_ok=True)
    draw(curves, backscatter, arguments.output / "pretraining.png")
    (arguments.output / "pretraining.md").write_text(page(plan, curves, backscatter), encoding="utf-8")
    print(arguments.output / "pretraining.md")
    return 0


def simulate(plan: Plan) -> None:
    """Places to train on, 32 MB of backscatter each, and smaller ones, elsewhere, to score on."""
    for pattern, count, size, first in ((TRAIN, plan.places, 2048, 101), (TEST, 6, 1024, 901)):
        folders = {seed: plan.work / "data" / pattern.replace("*", str(seed)) for seed in range(first, first + count)}
        simulate_missing([SimulateJob(str(folder), size, seed) for seed, folder in folders.items()], PlainVoice())


def train(plan: Plan, seed: int) -> None:
    """One run; goes on where it was stopped."""
    run = plan.run(seed)
    if (run / "model.safetensors").exists():
        return
    settings = _config(plan, seed)
    finished(pretrain(settings, run, (run / "config.yaml").exists(), Keeper(run, settings.spec())))


def score(plan: Plan) -> tuple[Scores, dict[int, dict[int, Scores]]]:
    """What backscatter statistics score, and each seed's backbone by step; step 0 is the random one of that seed."""
    spec = _config(plan, plan.seeds[0]).spec()
    fit, held = (read(str(plan.work / "data" / pattern), spec, every) for pattern, every in ((TRAIN, FIT), (TEST, 1)))
    curves: dict[int, dict[int, Scores]] = {}
    for seed in plan.seeds:
        teachers = {step: path for step, path in plan.kept(seed).items() if step % plan.every == 0}
        teachers[_config(plan, seed).optimiser.steps] = plan.run(seed) / "model.safetensors"
        curves[seed] = {0: probe(fit, held, tokens_of(random_network(spec, seed)))}
        curves[seed] |= {step: _probed(path, fit, held) for step, path in teachers.items()}
        for step, values in curves[seed].items():
            print(
                f"seed {seed} step {step}: " + ", ".join(f"{name} {values[name]:.3f}" for name in METRICS), flush=True
            )
    return probe(fit, held, lambda x: statistics(x, spec.backbone.patch)), curves


def draw(curves: dict[int, dict[int, Scores]], backscatter: Scores, path: Path) -> None:
    """One panel per probe: a line per seed, and what backscatter alone gives."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, panels = pyplot.subplots(1, len(METRICS), figsize=(9, 3.4), sharey=True, layout="constrained")
    for panel, metric in zip(panels, METRICS, strict=True):
        for seed, curve in curves.items():
            panel.plot(
                list(curve), [values[metric] for values in curve.values()], marker="o", ms=3, label=f"seed {seed}"
            )
        panel.axhline(backscatter[metric], color="grey", ls="--", lw=1, label="backscatter statistics")
        panel.set(title=metric, xlabel="steps of DINO (0: random weights)")
        panel.grid(alpha=0.3)
    panels[0].set_ylabel("mIoU on other places")
    panels[-1].legend(fontsize=8)
    figure.savefig(path, dpi=130)


def page(plan: Plan, curves: dict[int, dict[int, Scores]], backscatter: Scores) -> str:
    """docs/pretraining.md."""
    settings = _config(plan, plan.seeds[0])
    last = settings.optimiser.steps
    rows = ["| features | " + " | ".join(METRICS) + " |", "| --- |" + " --- |" * len(METRICS)]
    rows.append("| mean and deviation of backscatter | " + " | ".join(f"{backscatter[m]:.3f}" for m in METRICS) + " |")
    for name, step in (("tokens, random weights", 0), (f"tokens after {last} steps", last)):
        cells = [_spread([curve[step][metric] for curve in curves.values()]) for metric in METRICS]
        rows.append(f"| {name} | " + " | ".join(cells) + " |")
    gains = [_spread([curve[last][metric] - curve[0][metric] for curve in curves.values()], "+") for metric in METRICS]
    rows.append("| gain, seed by seed | " + " | ".join(gains) + " |")
    views, backbone = settings.views, settings.model.backbone
    return f"""# What pre-training learns

Made by `python scripts/experiments/pretraining_curve.py`; the command replaces this page.
Land cover that a probe finds in patch
tokens of a backbone, before and while DINO trains it without labels. Scenes are simulated: evidence that the machinery
learns, none about any place.

- network: {backbone.architecture}/{backbone.patch}, width {backbone.width}, depth {backbone.depth}; global crops of \
{settings.model.window} pixels, {views.local_crops} local ones of {views.local_size}; configuration `{plan.config}`
- data: {plan.places} places of 32 MB; {last} steps of {settings.optimiser.batch_size} windows; seeds \
{", ".join(map(str, plan.seeds))}
- probes: labels of the training places fit a linear probe and k nearest neighbours; six other places score them
- classes: {", ".join(NAMES)}

{chr(10).join(rows)}

Means over the seeds, in brackets the lowest and the highest.

![mIoU over the steps](pretraining.png)
"""


def _spread(values: list[float], sign: str = "") -> str:
    return f"{sum(values) / len(values):{sign}.3f} ({min(values):{sign}.3f} to {max(values):{sign}.3f})"


def _probed(path: Path, fit: Samples, held: Samples) -> Scores:
    return probe(fit, held, tokens_of(build(read_spec(path), load_weights(path))))


def _config(plan: Plan, seed: int) -> PretrainConfig:
    config = load_pretrain_config(plan.config, (*plan.overrides, f"seed={seed}"))
    return with_images(config, [str(plan.work / "data" / TRAIN / "scene.tif")])


def _plan(arguments: Namespace) -> Plan:
    return Plan(
        arguments.work.resolve(),
        tuple(arguments.seeds),
        arguments.places,
        tuple(arguments.overrides),
        arguments.config,
        arguments.every,
    )


def _parse() -> Namespace:
    parser = ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--work", type=Path, default=Path("build/curve"), help="folder for scenes and runs")
    parser.add_argument("--output", type=Path, default=Path("docs"), help="folder for pretraining.md and its picture")
    parser.add_argument("--config", default="pretrain-laptop")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--places", type=int, default=16, help="training places of 32 MB each")
    parser.add_argument("--every", type=int, default=100, help="probe the checkpoints of every so many steps")
    parser.add_argument("overrides", nargs="*", metavar="key=value", help="of the configuration")
    return parser.parse_args()


if __name__ == "__main__":
    raise SystemExit(main())

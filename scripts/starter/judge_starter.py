"""Judge the starter's recipe on real places that it has not seen, beside simpler methods; docs/starter.md.

    python scripts/starter/judge_starter.py --data FOLDER --work build/starter --output docs

After make_starter.py, whose backbone and prepared data it takes. For each fold the recipe is fine-tuned again without
the fold's places, and so are a U-Net and a random forest on the same labels; all are counted in blocks of the places
left out. What is done is not done again.
"""

from __future__ import annotations

import json
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from itertools import product
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import numpy as np
from doubts import PlaceDoubt
from gap import gap
from judged_places import FOLDS, JudgedPlace, only, without
from judgement import Judgement
from make_starter import BACKBONE, RUN
from numpy.typing import NDArray
from recipe import require_same
from robustness import robustness
from starter_figures import Picture, draw_gallery, look
from starter_page import write_page

from sardino_core.contract.errors import SardinoError
from sardino_core.contract.listener import Listener
from sardino_core.models.model_file import load_weights, read_spec, resolve_model, weights_hash, write_aside
from sardino_core.models.network import build
from sardino_core.simulate import simulate_missing, varied
from sardino_core.study.arms.asking import Ask, Fit, Judged
from sardino_core.study.arms.forest import fit_forest
from sardino_core.study.arms.networks import asking, fit_network
from sardino_core.study.cells import Cell, CellJob
from sardino_core.study.config import ArmConfig, ForestConfig, UNetConfig
from sardino_core.terminal import PlainVoice
from sardino_core.training.finetune import finetune
from sardino_core.training.landcover.baselines import Rules, neighbourhood
from sardino_core.training.landcover.plan import SCRATCH, gather
from sardino_core.training.landcover.scores import Confusion
from sardino_core.training.running.run import finished
from sardino_core.training.settings.finetune_config import FinetuneConfig, load_config
from sardino_core.training.windows.sources import SceneStore

BLOCK_PX = 64
TEST_SEEDS, TEST_PX = range(951, 963), 384
WATER = 80
UNET = ArmConfig("U-Net", (1e-3,), kind="unet")
FOREST = ArmConfig("random forest", (5,), kind="forest")
RULES = {"gaussian": "Gaussian", "threshold": "VH threshold", "majority": "commonest class"}


def main() -> int:
    """Exit status 0, or 1 with one line on stderr."""
    given, voice = _parse(), PlainVoice()
    try:
        voice.log("info", str(judge(given, voice)))
    except SardinoError as error:
        voice.failure(error)
        return 1
    return 0


def judge(given: Namespace, voice: Listener) -> Path:
    """Fit what is missing, count, write the page. Raises SardinoError."""
    config, work, backbone = settings(given)
    starter = str(resolve_model(str(given.work / RUN / "model.safetensors")))
    found: list[Judgement] = []
    pictures: list[Picture] = []
    doubts: list[PlaceDoubt] = []
    short = True
    for number, places in enumerate(FOLDS):
        folder = work / f"fold_{number}"
        found += judge_fold(config, places, folder, backbone, voice)
        seen, doubt = look(folder / RUN / "model.safetensors", Path(starter), only(config, places))
        pictures += seen
        doubts += doubt
        short &= short_of_target(folder / RUN / "model.safetensors", config)
    gallery = draw_gallery(pictures, {item.name: item.colour for item in config.classes})
    simulated = simulate_test_places(work / "simulated", voice)
    far = gap(starter, simulated, given.data)
    changed = robustness(starter, simulated, work / "changed", voice)
    return write_page(found, config, doubts, short, gallery, far, changed, given.output)


def settings(given: Namespace) -> tuple[FinetuneConfig, Path, str]:
    """The recipe, the folder of its folds, the backbone. Raises SardinoError where the folder is another recipe's."""
    words = (f"paths.real={given.data}", f"paths.work={given.work}", *given.overrides)
    config, work = load_config("finetune-starter", words), given.work / "judged"
    backbone = str(resolve_model(str(given.work / BACKBONE / "model.safetensors")))
    require_same(work, config, f"backbone: {weights_hash(backbone)}\n")
    return config, work, backbone


def short_of_target(model: Path, config: FinetuneConfig) -> bool:
    """Whether calibration stopped at the most that may be unsure, before it reached the accuracy that was wanted."""
    reached = read_spec(model).provenance.metrics.get("calibration: accuracy when sure", 1.0)
    return reached < config.validation.target_accuracy


def simulate_test_places(folder: Path, voice: Listener) -> list[Path]:
    """Places that neither train nor calibrate anything."""
    jobs = [varied(folder / f"test_{seed}", TEST_PX, seed, index) for index, seed in enumerate(TEST_SEEDS)]
    simulate_missing(jobs, voice)
    return [Path(job.output) for job in jobs]


def judge_fold(
    config: FinetuneConfig, places: tuple[JudgedPlace, ...], folder: Path, backbone: str, voice: Listener
) -> list[Judgement]:
    """What each method makes of the fold's places, trained without them; kept in `folder`."""
    recipe, held_out = without(config, places), only(config, places)
    folder.mkdir(parents=True, exist_ok=True)
    fits: dict[str, Callable[[], dict[str, Ask]]] = {
        "starter": lambda: {"starter": _starter(recipe, backbone, folder / RUN, voice)},
        "unet": lambda: {"U-Net": _arm(recipe, UNET, fit_network, voice)},
        "forest": lambda: {"random forest": _arm(recipe, FOREST, fit_forest, voice)},
        "rules": lambda: _rules(recipe),
    }
    found = []
    for name, fit in fits.items():
        kept = folder / f"{name}.json"
        if not kept.exists():
            voice.log("info", f"{name} without {' and '.join(place.name for place in places)}")
            counted = [item for method, ask in fit().items() for item in count(method, ask, held_out)]
            write_aside(kept, json.dumps([asdict(item) for item in counted]).encode())
        found += [Judgement(**item) for item in json.loads(kept.read_text(encoding="utf-8"))]
    return found


def count(method: str, ask: Ask, config: FinetuneConfig) -> list[Judgement]:
    """Ask for every held-out label and count the answers by place and block."""
    tallies: dict[tuple[str, str], Confusion] = {}
    with SceneStore(config) as store:
        for piece in ask(store, config):
            for block, target, predicted in _by_block(piece):
                key = piece.scene.source.name, f"{piece.scene.name} {block}"
                tallies.setdefault(key, Confusion.empty(store.sets)).add(target, predicted)
        members = [sorted(allowed) for allowed in store.sets.members]
    classes = [item.value for item in config.classes]
    return [
        Judgement(method, place, block, classes, members, tally.counts.tolist())
        for (place, block), tally in tallies.items()
        if tally.counts.any()
    ]


def _by_block(piece: Judged) -> Iterator[tuple[str, NDArray[np.int64], NDArray[np.int64]]]:
    """A piece cut along the lines of the scene's blocks."""
    height, width = piece.target.shape
    rows = range(piece.row // BLOCK_PX, (piece.row + height - 1) // BLOCK_PX + 1)
    cols = range(piece.col // BLOCK_PX, (piece.col + width - 1) // BLOCK_PX + 1)
    for row, col in product(rows, cols):
        top, left = row * BLOCK_PX - piece.row, col * BLOCK_PX - piece.col
        area = slice(max(0, top), top + BLOCK_PX), slice(max(0, left), left + BLOCK_PX)
        yield f"{row},{col}", piece.target[area], piece.predicted[area]


def _starter(recipe: FinetuneConfig, backbone: str, run: Path, voice: Listener) -> Ask:
    model = run / "model.safetensors"
    if not model.exists():
        finished(finetune(recipe, backbone, run, resume=(run / "config.yaml").exists(), listener=voice))
    return asking(build(read_spec(model), load_weights(model)).eval(), voice)


def _arm(recipe: FinetuneConfig, arm: ArmConfig, fit: Fit, voice: Listener) -> Ask:
    """One of the study's, on the same labels with the same steps; what it is tried with is taken from the study."""
    value = arm.tried[0]
    config = replace(recipe, optimiser=replace(recipe.optimiser, lr=value)) if arm.kind == "unet" else recipe
    cell = Cell(arm.name, 1.0, recipe.seed)
    job = CellJob(cell, arm, value, config, (), UNetConfig(), ForestConfig(samples=100_000), SCRATCH)
    with gather(config, SCRATCH, voice) as found:
        return fit(job, found, voice)


def _rules(recipe: FinetuneConfig) -> dict[str, Ask]:
    with SceneStore(recipe) as store:
        rules = Rules.fit(store, WATER)

    def following(name: str) -> Ask:
        def ask(store: SceneStore, config: FinetuneConfig) -> Iterator[Judged]:
            for scene in store.scenes:
                features, target = neighbourhood(store, scene)
                yield Judged(scene, 0, 0, target, rules.predict(features)[name])

        return ask

    return {label: following(name) for name, label in RULES.items()}


def _parse() -> Namespace:
    parser = ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", required=True, type=Path, help="folder of real tiles")
    parser.add_argument("--work", default=Path("build/starter"), type=Path, help="make_starter.py's folder")
    parser.add_argument("--output", default=Path("docs"), type=Path, help="folder for starter.md and its pictures")
    parser.add_argument("overrides", nargs="*", metavar="key=value", help="of configs/finetune-starter.yaml")
    return parser.parse_args()


if __name__ == "__main__":
    raise SystemExit(main())

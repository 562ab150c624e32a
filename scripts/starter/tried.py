"""What might bring the starter closer to simpler methods on real places, tried on judge_starter.py's models.

    python scripts/starter/tried.py --data FOLDER --work build/starter --output docs

After judge_starter.py. Nothing is trained: each fold's network is asked again with class offsets fitted to the fold's
own held-out labels, with the mean of mirrored looks, or with other gains. Writes starter_tried.md.
"""

from __future__ import annotations

import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import numpy as np
import torch
from judge_starter import BLOCK_PX, WATER, settings
from judged_places import FOLDS, only, without
from judgement import Board, Judgement, f1, right
from make_starter import RUN
from numpy.typing import NDArray
from robustness import SOURCE as SIMULATED
from starter_page import LEAST_WATER, told
from torch import Tensor, nn

from sardino_core.contract.errors import SardinoError
from sardino_core.models.model_file import load_weights, read_spec, resolve_model, write_aside
from sardino_core.models.network import build
from sardino_core.study.bootstrap import miou
from sardino_core.terminal import PlainVoice
from sardino_core.training.evaluate import predictions
from sardino_core.training.landcover.scores import Confusion
from sardino_core.training.settings.finetune_config import FinetuneConfig
from sardino_core.training.windows.patches import ValidationWindow
from sardino_core.training.windows.sources import SceneStore
from sardino_core.training.windows.targets import ClassSets

PLAIN, MIRRORED = "as it is", "mean of four mirrored looks"
REAL_SHARES = (0.0, 0.25, 0.5, 1.0)
GAINS_DB = (-2.0, -1.0, 1.0)
_EVERY = 3  # pixel of a fold's validation labels is fitted to
_MOST = 40_000  # of them of each source
Look = Callable[[nn.Module, Tensor], Tensor]  # windows (B, C, S, S) to logits (B, K, S, S)


@dataclass(frozen=True)
class Pixels:
    """Labelled pixels of one source."""

    sets: ClassSets
    logits: NDArray[np.float32]  # (M, K)
    label: NDArray[np.int64]  # (M,) numbers of sets
    block: NDArray[np.str_]  # (M,)

    @property
    def allowed(self) -> NDArray[np.bool_]:
        """(M, K): the classes that each label allows."""
        return self.sets.table[self.label]

    def counted(self, offsets: NDArray[np.float64] | float = 0.0) -> Confusion:
        """Pixels by label and class given."""
        found = Confusion.empty(self.sets)
        found.add(self.label, (self.logits + offsets).argmax(axis=1))
        return found

    def judged(self, method: str, place: str, offsets: NDArray[np.float64] | float = 0.0) -> list[Judgement]:
        """Block by block."""
        classes = [item.value for item in self.sets.classes]
        members = [sorted(allowed) for allowed in self.sets.members]
        found = []
        for block in np.unique(self.block):
            mine = self.block == block
            part = Pixels(self.sets, self.logits[mine], self.label[mine], self.block[mine])
            found.append(Judgement(method, place, str(block), classes, members, part.counted(offsets).counts.tolist()))
        return found


Asked = Mapping[str, Pixels]  # by source


@dataclass(frozen=True)
class Tried:
    """All judgements, and what each row with offsets reaches on simulated places that nobody trained on."""

    found: list[Judgement]
    simulated: dict[str, float]  # mean mIoU of the folds


def main() -> int:
    """Exit status 0, or 1 with one line on stderr."""
    given, voice = _parse(), PlainVoice()
    try:
        voice.log("info", str(write(given)))
    except SardinoError as error:
        voice.failure(error)
        return 1
    return 0


def write(given: Namespace) -> Path:
    """Ask, count, write the page. Raises SardinoError."""
    config, work, _ = settings(given)
    models = [resolve_model(work / f"fold_{number}" / RUN / "model.safetensors") for number in range(len(FOLDS))]
    lines = page(attempts(models, config))
    given.output.mkdir(parents=True, exist_ok=True)
    write_aside(given.output / "starter_tried.md", "\n".join(lines).encode())
    return Path(given.output / "starter_tried.md")


def attempts(models: Sequence[Path], config: FinetuneConfig) -> Tried:
    """Every row, fold by fold."""
    found: list[Judgement] = []
    simulated: dict[str, list[float]] = {}
    for model, places in zip(models, FOLDS, strict=True):
        held_out, own = only(config, places), without(config, places)
        validation = ask(model, own, plain, _EVERY)
        offsets: dict[str, NDArray[np.float64] | float] = {PLAIN: 0.0}
        offsets |= {_offsets_name(share): fit_offsets(validation, share) for share in REAL_SHARES}
        asked = ask(model, held_out, plain)
        for name, added in offsets.items():
            found += _judged(name, asked, added)
            simulated.setdefault(name, []).append(float(miou(validation[SIMULATED].counted(added).matrix)))
        found += _judged(MIRRORED, ask(model, held_out, mirrored))
        for gain in GAINS_DB:
            found += _judged(_gain_name(gain), ask(model, brighter(held_out, gain), plain))
    return Tried(found, {name: float(np.mean(values)) for name, values in simulated.items()})


def ask(model: Path, config: FinetuneConfig, look: Look, every: int = 1) -> Asked:
    """Every source's held-out labels with the network's logits."""
    spec = read_spec(model)
    network = _Looking(build(spec, load_weights(model)).eval(), look)
    parts: dict[str, list[tuple[NDArray[np.float32], NDArray[np.int64], NDArray[np.str_]]]] = {}
    with SceneStore(config) as store:
        for window, logits in predictions(network, store, config):
            known = np.flatnonzero(window.target)[::every]
            flat = logits.reshape(len(logits), -1)[:, known].T
            part = flat, window.target.ravel()[known], _blocks(window)[known]
            parts.setdefault(window.scene.source.name, []).append(part)
        return {
            name: Pixels(store.sets, *(np.concatenate(column) for column in zip(*items, strict=True)))
            for name, items in parts.items()
        }


def brighter(config: FinetuneConfig, gain_db: float) -> FinetuneConfig:
    """As if every valid pixel were so much brighter: (clip(x + g) - mean) / std, with g in the clip and the mean."""
    inputs = config.model.inputs
    bands = tuple(replace(band, mean_db=band.mean_db - gain_db) for band in inputs.bands)
    low, high = inputs.clip_db
    moved = replace(inputs, bands=bands, clip_db=(low - gain_db, high - gain_db))
    return replace(config, model=replace(config.model, inputs=moved))


def fit_offsets(validation: Asked, real: float) -> NDArray[np.float64]:
    """(K,) added to the logits: least negative log-likelihood of the allowed classes, with a temperature beside them.

    Bias-corrected temperature scaling (Alexandari et al. 2020, arXiv 1901.06852); the real sources share the weight
    `real`.
    """
    parts, random = [], np.random.default_rng(0)
    for name, pixels in validation.items():
        chosen = random.permutation(len(pixels.logits))[:_MOST]
        weight = (1 - real) if name == SIMULATED else real / (len(validation) - 1)
        parts.append((pixels.logits[chosen], pixels.allowed[chosen], np.full(len(chosen), weight / len(chosen))))
    logits, allowed, weights = (torch.from_numpy(np.concatenate(part)).double() for part in zip(*parts, strict=True))
    scale, offsets = torch.zeros((), dtype=torch.double), torch.zeros(logits.shape[1], dtype=torch.double)
    optimiser = torch.optim.LBFGS(
        [scale.requires_grad_(), offsets.requires_grad_()], max_iter=200, line_search_fn="strong_wolfe"
    )

    def closure() -> Tensor:
        optimiser.zero_grad()
        likelihood = torch.log_softmax(scale.exp() * logits + offsets, dim=1).masked_fill(allowed == 0, -torch.inf)
        loss = -(weights * torch.logsumexp(likelihood, dim=1)).sum()
        loss.backward()
        return loss

    optimiser.step(closure)
    return (offsets / scale.exp()).detach().numpy()


def plain(network: nn.Module, windows: Tensor) -> Tensor:
    """The network as it is."""
    found: Tensor = network(windows)
    return found


def mirrored(network: nn.Module, windows: Tensor) -> Tensor:
    """Mean log-probability of four looks: as it is, mirrored both ways, transposed."""
    turns = (lambda x: x, lambda x: x.flip(-1), lambda x: x.flip(-2), lambda x: x.transpose(-1, -2))
    return torch.stack([torch.log_softmax(turn(network(turn(windows))), dim=1) for turn in turns]).mean(dim=0)


def page(tried: Tried) -> list[str]:
    """docs/starter_tried.md."""
    board = Board(tried.found, WATER)
    wet = board.holding(LEAST_WATER)
    head = ["tried", *board.places, "mean", "less as it is", "F1 of water", "less as it is", "simulated mIoU"]
    rows = []
    for name in board.methods:
        less = [
            "" if name == PLAIN else told(board.mean(name, places, score, less=PLAIN), sign="+")
            for places, score in ((board.places, right), (wet, f1))
        ]
        of_places = [f"{board.score(name, place, right):.3f}" for place in board.places]
        means = [f"{board.mean(name, places, score).value:.3f}" for places, score in ((board.places, right), (wet, f1))]
        simulated = f"{tried.simulated[name]:.3f}" if name in tried.simulated else "not asked"
        rows.append([name, *of_places, means[0], less[0], means[1], less[1], simulated])
    return [
        "# What was tried on the starter",
        "",
        "Made by `python scripts/starter/tried.py --data FOLDER`; the command replaces this page.",
        "[The judgement](starter.md) has the recipe behind simpler methods in mean accuracy over real places.",
        "This was tried on its networks, each on the places that its weights have not seen: offsets added to the",
        "classes' logits, fitted with a temperature to the labels that each fold held out of its own places",
        "(bias-corrected temperature scaling, Alexandari et al. 2020, arXiv 1901.06852); the mean of four looks, as it",
        "is, mirrored both ways and transposed; and all bands brighter or darker. Shares of the labelled pixels whose",
        f"label allows the class; F1 of water against the rest is the mean of {', '.join(wet)}.",
        "",
        *["| " + " | ".join(row) + " |" for row in (head, ["---"] * len(head), *rows)],
        "",
        "Intervals: 95 %, from drawing the blocks of 64 x 64 pixels of each place again, the same for both rows; too",
        "narrow, since neighbouring blocks are not independent, and blind to other places and other trainings.",
        "",
        *conclusions(board),
        "",
        "Nothing of this went into the starter: to choose among these rows by the places that judge them would be to",
        "tune on the test.",
        "",
    ]


def conclusions(board: Board) -> list[str]:
    """What follows from the numbers."""
    mixed = {share: board.mean(_offsets_name(share), board.places, right, less=PLAIN) for share in REAL_SHARES}
    real = mixed.pop(1.0)
    values = [item.value for item in mixed.values()]
    lines = [
        "Offsets fitted to the folds' own labels, simulated ones among them, changed the mean by "
        f"{min(values):+.3f} to {max(values):+.3f}."
    ]
    alone = board.per_place(_offsets_name(1.0), PLAIN, right)
    lines.append(f"Fitted to real labels alone they changed it by {told(real, '+')}: {_moved(alone)}.")
    name = _gain_name(GAINS_DB[0])
    whole, moved = board.mean(name, board.places, right, less=PLAIN), _moved(board.per_place(name, PLAIN, right))
    lines.append(f"Input darker by {-GAINS_DB[0]:g} dB changed it by {told(whole, '+')}: {moved}.")
    look = board.mean(MIRRORED, board.places, right, less=PLAIN)
    lines.append(f"Mirrored looks, at four times the work, gave {told(look, '+')}.")
    return lines


def _moved(differences: Mapping[str, float], least: float = 0.01) -> str:
    """The places that moved by a point or more, the one that gained most first."""
    order = sorted(differences, key=lambda place: -differences[place])
    told_of = [f"{place} {differences[place]:+.3f}" for place in order if abs(differences[place]) >= least]
    return ", ".join(told_of) or "no place by 0.01 or more"


def _judged(name: str, asked: Asked, offsets: NDArray[np.float64] | float = 0.0) -> list[Judgement]:
    return [item for place, pixels in asked.items() for item in pixels.judged(name, place, offsets)]


def _blocks(window: ValidationWindow) -> NDArray[np.str_]:
    """(pixels,) of the window's labels: the block that each lies in, as judge_starter.py names it."""
    height, width = window.target.shape
    rows, cols = (window.row + np.arange(height)) // BLOCK_PX, (window.col + np.arange(width)) // BLOCK_PX
    names = np.array(
        [[f"{window.scene.name} {row},{col}" for col in range(cols[-1] + 1)] for row in range(rows[-1] + 1)]
    )
    return names[rows[:, None], cols[None, :]].ravel()


def _offsets_name(share: float) -> str:
    return f"class offsets, {share:.0%} of the weight real"


def _gain_name(gain_db: float) -> str:
    return f"all bands {gain_db:+g} dB"


class _Looking(nn.Module):
    def __init__(self, network: nn.Module, look: Look) -> None:
        super().__init__()
        self.network, self.look = network, look

    def forward(self, windows: Tensor) -> Tensor:
        return self.look(self.network, windows)


def _parse() -> Namespace:
    parser = ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", required=True, type=Path, help="folder of real tiles")
    parser.add_argument("--work", default=Path("build/starter"), type=Path, help="judge_starter.py's folder")
    parser.add_argument("--output", default=Path("docs"), type=Path, help="folder for starter_tried.md")
    parser.add_argument("overrides", nargs="*", metavar="key=value", help="of configs/finetune-starter.yaml")
    return parser.parse_args()


if __name__ == "__main__":
    raise SystemExit(main())

"""What might bring the starter closer to simpler methods on real places, tried on judge_starter.py's models.

    python scripts/starter/tried.py --data FOLDER --work build/starter --output docs

After judge_starter.py. Nothing is trained: each fold's network is asked again with class offsets fitted to the fold's
own held-out labels, with the mean of mirrored looks, or with other gains. Writes starter_tried.md.
"""

from __future__ import annotations

import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import numpy as np
import torch
from judged_places import FOLDS, only, without
from make_starter import RUN
from numpy.typing import NDArray
from torch import Tensor, nn

from sardino_core.models.model_file import load_weights, read_spec, write_aside
from sardino_core.models.network import build
from sardino_core.training.evaluate import predictions
from sardino_core.training.settings.finetune_config import FinetuneConfig, load_config
from sardino_core.training.windows.sources import SceneStore

SIMULATED, WATER, WET = "simulated places held out", 0, ("Spain", "Chile", "India")
REAL_SHARES = (0.0, 0.25, 0.5, 1.0)
GAINS_DB = (-2.0, -1.0, 1.0)
_EVERY = 3  # pixel of a fold's validation labels is fitted to
_MOST = 40_000  # of them of each source
Look = Callable[[nn.Module, Tensor], Tensor]  # windows (B, C, S, S) to logits (B, K, S, S)


@dataclass(frozen=True)
class Pixels:
    """Labelled pixels of one source."""

    logits: NDArray[np.float32]  # (M, K)
    allowed: NDArray[np.bool_]  # (M, K): the classes that the label allows

    def right(self, offsets: NDArray[np.float64]) -> float:
        """Share whose label allows the class that is given."""
        return float(self.allowed[np.arange(len(self.logits)), self._given(offsets)].mean())

    def water_f1(self, offsets: NDArray[np.float64]) -> float:
        """F1 of water against the rest."""
        given, wet = self._given(offsets) == WATER, self.allowed[:, WATER] & (self.allowed.sum(axis=1) == 1)
        return float(2 * (given & wet).sum() / max(1, given.sum() + wet.sum()))

    def miou(self, offsets: NDArray[np.float64]) -> float:
        """Over the pixels whose label is a single class."""
        single = self.allowed.sum(axis=1) == 1
        label, given = self.allowed[single].argmax(axis=1), self._given(offsets)[single]
        both = [((label == k) & (given == k)).sum() / max(1, ((label == k) | (given == k)).sum()) for k in range(5)]
        return float(np.mean(both))

    def _given(self, offsets: NDArray[np.float64]) -> NDArray[np.int64]:
        return np.asarray((self.logits + offsets).argmax(axis=1))


def main() -> int:
    """Ask, count, write."""
    given = _parse()
    config = load_config("finetune-starter", (f"paths.real={given.data}", f"paths.work={given.work}"))
    models = [given.work / "judged" / f"fold_{number}" / RUN / "model.safetensors" for number in range(len(FOLDS))]
    held_out = [only(config, places) for places in FOLDS]
    plain = [ask(model, fold, _plain) for model, fold in zip(models, held_out, strict=True)]
    validation = [
        ask(model, without(config, places), _plain, _EVERY) for model, places in zip(models, FOLDS, strict=True)
    ]
    rows = [_row("as it is", plain, [np.zeros(5)] * len(plain), validation)]
    for share in REAL_SHARES:
        offsets = [fit_offsets(pixels, share) for pixels in validation]
        rows.append(_row(f"class offsets, {share:.0%} of the weight real", plain, offsets, validation))
    looks: dict[str, Look] = {"mean of four mirrored looks": _mirrored}
    looks |= {f"all bands {gain:+g} dB": _gain(gain, config) for gain in GAINS_DB}
    for name, look in looks.items():
        found = [ask(model, fold, look) for model, fold in zip(models, held_out, strict=True)]
        rows.append(_row(name, found, [np.zeros(5)] * len(found), None))
    given.output.mkdir(parents=True, exist_ok=True)
    write_aside(given.output / "starter_tried.md", _page(rows).encode())
    return 0


def ask(model: Path, config: FinetuneConfig, look: Look, every: int = 1) -> dict[str, Pixels]:
    """Every source's held-out labels with the network's logits."""
    spec = read_spec(model)
    network = _Looking(build(spec, load_weights(model)).eval(), look)
    found: dict[str, list[tuple[NDArray[np.float32], NDArray[np.bool_]]]] = {}
    with SceneStore(config) as store:
        for window, logits in predictions(network, store, config):
            known = np.flatnonzero(window.target)[::every]
            allowed = store.sets.table[window.target.ravel()[known]]
            found.setdefault(window.scene.source.name, []).append(
                (logits.reshape(len(logits), -1)[:, known].T, allowed)
            )
    return {name: Pixels(*(np.concatenate(part) for part in zip(*parts, strict=True))) for name, parts in found.items()}


def fit_offsets(validation: Mapping[str, Pixels], real: float) -> NDArray[np.float64]:
    """(K,) added to the logits: least negative log-likelihood of the allowed classes, with a temperature beside them.

    Vector scaling of Guo et al. 2017 (arXiv 1706.04599) with one scale; the real sources share the weight `real`.
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


class _Looking(nn.Module):
    def __init__(self, network: nn.Module, look: Look) -> None:
        super().__init__()
        self.network, self.look = network, look

    def forward(self, windows: Tensor) -> Tensor:
        return self.look(self.network, windows)


def _plain(network: nn.Module, windows: Tensor) -> Tensor:
    return network(windows)


def _mirrored(network: nn.Module, windows: Tensor) -> Tensor:
    turns = (lambda x: x, lambda x: x.flip(-1), lambda x: x.flip(-2), lambda x: x.transpose(-1, -2))
    return torch.stack([torch.log_softmax(turn(network(turn(windows))), dim=1) for turn in turns]).mean(dim=0)


def _gain(gain_db: float, config: FinetuneConfig) -> Look:
    step = gain_db / torch.tensor([band.std_db for band in config.model.inputs.bands])[:, None, None]
    return lambda network, windows: network(windows + step)


def _row(
    name: str,
    asked: list[dict[str, Pixels]],
    offsets: list[NDArray[np.float64]],
    validation: list[dict[str, Pixels]] | None,
) -> list[str]:
    right = {
        place: pixels.right(add) for found, add in zip(asked, offsets, strict=True) for place, pixels in found.items()
    }
    wet = [
        found[place].water_f1(add) for place in WET for found, add in zip(asked, offsets, strict=True) if place in found
    ]
    cells = [
        name,
        *(f"{right[place]:.3f}" for place in _names()),
        f"{np.mean([*right.values()]):.3f}",
        f"{np.mean(wet):.3f}",
    ]
    if validation is None:
        return [*cells, "not asked"]
    pairs = zip(validation, offsets, strict=True)
    return [*cells, f"{np.mean([found[SIMULATED].miou(add) for found, add in pairs]):.3f}"]


def _names() -> list[str]:
    return [place.name for fold in FOLDS for place in fold]


def _page(rows: list[list[str]]) -> str:
    head = ["tried", *_names(), "mean", "mean F1 of water", "simulated mIoU"]
    table = ["| " + " | ".join(row) + " |" for row in (head, ["---"] * len(head), *rows)]
    return "\n".join(
        [
            "# What was tried on the starter",
            "",
            "Made by `python scripts/starter/tried.py --data FOLDER`; the command replaces this page.",
            "[The judgement](starter.md) has the recipe behind simpler methods in mean accuracy over real places.",
            "This was tried on its networks, each on the places that it has not seen: offsets added to the",
            "classes' logits, fitted to the labels that each fold held out of its own places; the mean of four",
            "looks, as it is, mirrored both ways and transposed; and all bands brighter or darker. Shares of the",
            "labelled pixels whose label allows the class.",
            "",
            *table,
            "",
        ]
    )


def _parse() -> Namespace:
    parser = ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", required=True, type=Path, help="folder of real tiles")
    parser.add_argument("--work", default=Path("build/starter"), type=Path, help="judge_starter.py's folder")
    parser.add_argument("--output", default=Path("docs"), type=Path, help="folder for starter_tried.md")
    return parser.parse_args()


if __name__ == "__main__":
    raise SystemExit(main())

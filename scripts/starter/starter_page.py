"""docs/starter.md: what the judgements of judge_starter.py come to, in tables and sentences that follow from them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from doubts import Doubt, PlaceDoubt, doubt_lines
from judgement import Board, Judgement, Score, f1, right
from starter_figures import draw_doubt

from sardino_core.models.model_file import write_aside
from sardino_core.study.bootstrap import Interval
from sardino_core.training.settings.finetune_config import FinetuneConfig

STARTER = "starter"
WATER, LEAST_WATER = 80, 0.01  # of a place's pixels, or its F1 says little


def write_page(
    found: Sequence[Judgement],
    config: FinetuneConfig,
    doubts: Sequence[PlaceDoubt],
    short: bool,
    gallery: bytes,
    gap: tuple[Sequence[str], bytes],
    changed: Sequence[str],
    output: Path,
) -> Path:
    """The page and its pictures; `gap` and `changed` are what the modules gap and robustness say.

    `short`: calibration reached the accuracy that was wanted in none of the folds.
    """
    output.mkdir(parents=True, exist_ok=True)
    board = Board(found, WATER)
    wet = board.holding(LEAST_WATER)
    lines = [
        *_head(config),
        "## Places that the weights have not seen",
        "",
        "Share of the labelled pixels whose label allows the class that is given; `unsure` is not used here. Each",
        "pixel is answered by one window, as in training's validation; the map that a user gets blends its",
        "windows.",
        "",
        *_table(board, board.places, right),
        "",
        f"F1 of water against the rest, where at least {LEAST_WATER:.0%} of the labels are water:",
        "",
        *_table(board, wet, f1),
        "",
        "Intervals: 95 %, from drawing the blocks of 64 x 64 pixels of each place again, the same for both",
        "methods: how sure the numbers of these places are, not what other places would give. Each method was",
        "trained once per fold, so chance in training is not in them, and neighbouring blocks, often of one",
        "window, are not independent: both make the intervals too narrow.",
        "",
        "## What is taken for what",
        "",
        *_confusions(found, {item.value: item.name for item in config.classes}),
        "## Doubt",
        "",
        "Here and in the pictures below the map is the one that a user gets: `sardino segment` on the whole tile,",
        'its windows blended, by the fold that has not seen the place. A label of several classes ("not water") counts',
        "as right where it allows the class, which is easier than naming the one: the two kinds are told apart. Left:",
        "how often the map is right at each confidence; on the diagonal it claims the truth. Right: what is right",
        "among the pixels that are kept when the least sure are left `unsure`; the crosses are the thresholds in",
        "the model files.",
        "",
        "![Reliability, and accuracy over coverage](starter_doubt.png)",
        "",
        "The confidence is that of the one class that is given, so beside labels of several classes it has to look too",
        "low. The model that ships has trained on labels of all these places but India.",
        "",
        *doubt_lines(doubts),
        "",
        *_threshold(config, short),
        "",
        "## Every place, and where it fails",
        "",
        "The same maps. Red: the label does not allow the class, and the map is not `unsure`.",
        "",
        "![Backscatter, labels, map and errors of every place](starter_places.png)",
        "",
        "## Simulation and reality",
        "",
        "Of the model made by make_starter.py; simulated places are such as have trained nothing.",
        "",
        *gap[0],
        "",
        "![Histograms of VV and VH](starter_gap.png)",
        "",
        "## When the input changes and the ground does not",
        "",
        "The same model on the same simulated places.",
        "",
        *changed,
        "",
    ]
    write_aside(output / "starter_gap.png", gap[1])
    write_aside(output / "starter_doubt.png", draw_doubt(Doubt.together([item.labelled for item in doubts])))
    write_aside(output / "starter_places.png", gallery)
    write_aside(output / "starter.md", "\n".join(lines).encode())
    return output / "starter.md"


def _head(config: FinetuneConfig) -> list[str]:
    steps, batch = config.optimiser.steps, config.optimiser.batch_size
    return [
        "# The starter, judged",
        "",
        "Made by `python scripts/starter/judge_starter.py --data FOLDER`; the command replaces this page.",
        "",
        "The starter's recipe (configs/finetune-starter.yaml) is trained again three times, each time without two of",
        "the places below; its backbone has seen none of them. Beside it, on the same labels: a U-Net with the same",
        "windows, steps and augmentation, a random forest on backscatter of neighbourhoods, a Gaussian classifier, a",
        "threshold on VH for water (the rest is the commonest other class of the training labels), and the commonest",
        f"class of the training labels for everything. {steps} steps of {batch} windows.",
        "",
        "No weight has seen these places, but the recipe's settings were chosen after looking at such places (the",
        "model card says so), while the settings of the methods beside it were not tuned.",
        "",
    ]


def _table(board: Board, places: Sequence[str], score: Score) -> list[str]:
    rows = [f"| | {' | '.join(places)} | mean | starter less it |", "|---" * (len(places) + 3) + "|"]
    for method in board.methods:
        cells = [f"{board.score(method, place, score):.3f}" for place in places]
        less = "" if method == STARTER else told(board.mean(STARTER, places, score, less=method), sign="+")
        rows.append(f"| {method} | {' | '.join(cells)} | {told(board.mean(method, places, score))} | {less} |")
    return rows


def told(found: Interval, sign: str = "") -> str:
    """A value and its interval."""
    return f"{found.value:{sign}.3f} ({found.low:{sign}.3f} to {found.high:{sign}.3f})"


def _confusions(found: Sequence[Judgement], names: dict[int, str]) -> list[str]:
    """Of every place what the starter takes its labels for, in % of each label's pixels."""
    lines = []
    for place in dict.fromkeys(item.place for item in found):
        blocks = [item for item in found if (item.method, item.place) == (STARTER, place)]
        total = np.sum([np.array(item.counts) for item in blocks], axis=0)
        lines += [
            f"**{place}**",
            "",
            f"| label | pixels | {' | '.join(names.values())} |",
            "|---" * (len(names) + 2) + "|",
        ]
        for members, row in zip(blocks[0].members, total, strict=True):
            if row.sum():
                label = " or ".join(names[value] for value in names if value in members)
                lines.append(f"| {label} | {row.sum():,} | {' | '.join(f'{share:.0%}' for share in row / row.sum())} |")
        lines.append("")
    return lines


def _threshold(config: FinetuneConfig, short: bool) -> list[str]:
    """Where the threshold comes from."""
    wanted, most = config.validation.target_accuracy, config.validation.most_unsure
    lines = [
        "Calibration sets the threshold on labels that each fold held out of its own places, mostly simulated ones:",
        f"the lowest confidence at which {wanted:.0%} are right, but so that at most {most:.0%} of those pixels are",
    ]
    if short:
        return [*lines, f"`unsure`. No fold reached {wanted:.0%}: that cap alone has set the thresholds."]
    return [*lines, f"`unsure`. Where {wanted:.0%} is not reached, that cap sets the threshold."]

"""How often `sardino change` marks what has not changed, and how much of a known change it finds; docs/change_rate.md.

    python scripts/experiments/change_rate.py --work build/change --output docs [--model starter]

Simulated places are seen several times under independent speckle. The new date is one more take (any mark is a false
alarm), a take with squares of another place pasted in (marks inside are detections), and a take of another season (no
cover has changed, but the plants have). For comparison the same test is made on the mean VV and VH of a patch in dB.
"""

from __future__ import annotations

import shutil
import sys
from argparse import ArgumentParser
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import numpy as np
import rasterio
from numpy.typing import NDArray

from sardino_core.change import change
from sardino_core.contract.jobs import CONTEXT_OVERLAP, ChangeJob, RunOptions, SimulateJob
from sardino_core.simulate import simulate_missing
from sardino_core.terminal import PlainVoice

SEEDS, OTHER, SIZE = range(501, 509), 100, 384
RATES = (0.05, 0.01, 0.001)
SQUARES, APART = (8, 16, 32), 96  # pixels: sides of what is pasted, and the distance from one to the next
REFERENCES = 3
NEW, PATCH = 9, 8  # the new date's take; pixels of a patch of the starter
COVERS = {80: "water", 10: "trees", 50: "built-up", 60: "bare"}  # all others are low vegetation, as for the starter
Map = NDArray[np.float64]


def main() -> int:
    """Simulate, compare, count, write the page."""
    parser = ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--work", type=Path, default=Path("build/change"))
    parser.add_argument("--output", type=Path, default=Path("docs"), help="folder for change_rate.md")
    parser.add_argument("--model", default="starter")
    given = parser.parse_args()
    given.work.mkdir(parents=True, exist_ok=True)
    places = [Place(given.work, seed, given.model) for seed in SEEDS]
    given.output.mkdir(parents=True, exist_ok=True)
    (given.output / "change_rate.md").write_text(page(places, given.model), encoding="utf-8")
    print(given.output / "change_rate.md")
    return 0


class Place:
    """One place: p-values of every kind of new date, by tokens and by backscatter, patch by patch."""

    def __init__(self, work: Path, seed: int, model: str) -> None:
        """Simulate it and run `change`."""
        self.work, self.seed, self.model = work, seed, model
        references = [self.scene(take) for take in range(REFERENCES)]
        unchanged = self.scene(NEW)
        self.changed, self.pasted = self.paste(unchanged)
        autumn = self.scene(NEW, "fall")
        self.p_values = {
            "unchanged take": self.compare(references, unchanged, "unchanged"),
            "other season": self.compare(references, autumn, "season"),
            "pasted": self.compare(references, self.changed, "pasted"),
        }
        levels = [backscatter(path) for path in references]
        self.by_backscatter = {
            name: backscatter_p(levels, backscatter(path))
            for name, path in (("unchanged take", unchanged), ("other season", autumn), ("pasted", self.changed))
        }
        self.before, self.after = covers(labels(unchanged)), covers(self.pasted_labels())

    def scene(self, take: int, season: str = "summer", other: int = 0) -> Path:
        """A scene of the place, or of the other one."""
        folder = self.work / f"{self.seed + other}_{season}_{take}"
        job = SimulateJob(str(folder), SIZE, self.seed + other, season=season, take=take)  # type: ignore[arg-type]
        simulate_missing([job], PlainVoice())
        return folder / "scene.tif"

    def paste(self, unchanged: Path) -> tuple[Path, NDArray[np.int64]]:
        """The new date with squares of another place, and the side of the square that each patch lies in (0: none)."""
        side = np.zeros((SIZE, SIZE), np.int64)
        for row, top in enumerate(range(APART // 3, SIZE - max(SQUARES), APART)):
            for col, left in enumerate(range(APART // 3, SIZE - max(SQUARES), APART)):
                square = SQUARES[(row + col) % len(SQUARES)]
                side[top : top + square, left : left + square] = square
        target = self.work / f"{self.seed}_pasted.tif"
        shutil.copy(unchanged, target)
        with rasterio.open(self.scene(NEW, other=OTHER)) as other, rasterio.open(target, "r+") as own:
            own.write(np.where(side > 0, other.read(), own.read()))
        self._side = side
        return target, side[PATCH // 2 :: PATCH, PATCH // 2 :: PATCH]

    def pasted_labels(self) -> NDArray[np.uint8]:
        """The labels after the change."""
        own, other = labels(self.scene(NEW)), labels(self.scene(NEW, other=OTHER))
        return np.where(self._side > 0, other, own).astype(np.uint8)

    def compare(self, before: Sequence[Path], after: Path, name: str) -> Map:
        """p-values (patches a side, patches a side)."""
        output = self.work / f"{self.seed}_change_{name}.tif"
        run = RunOptions(self.model, CONTEXT_OVERLAP)
        days = tuple(f"2024-{month:02d}-01" for month in range(1, len(before) + 2))
        if not output.exists():  # as with scenes: what the work folder holds is not made again
            change(ChangeJob(tuple(map(str, before)), (str(after),), run, str(output), dates=days))
        with rasterio.open(output) as dataset:
            return np.asarray(dataset.read(2), np.float64)


def labels(scene: Path) -> NDArray[np.uint8]:
    """The labels of a scene."""
    with rasterio.open(scene.parent / "labels.tif") as dataset:
        return np.asarray(dataset.read(1))


def covers(values: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The starter's class of every patch: 0 where it holds more than one."""
    coarse = np.where(np.isin(values, list(COVERS)), values, 30)
    blocks = (
        coarse.reshape(SIZE // PATCH, PATCH, SIZE // PATCH, PATCH).swapaxes(1, 2).reshape(SIZE // PATCH, -1, PATCH**2)
    )
    return np.where((blocks == blocks[..., :1]).all(axis=2), blocks[..., 0], 0).astype(np.uint8)


def backscatter(scene: Path) -> Map:
    """(2, n, n): mean VV and VH of every patch, in dB."""
    with rasterio.open(scene) as dataset:
        power = 10 ** (dataset.read().astype(np.float64) / 10)
    return 10 * np.log10(power.reshape(2, SIZE // PATCH, PATCH, SIZE // PATCH, PATCH).mean(axis=(2, 4)))


def backscatter_p(before: Sequence[Map], after: Map) -> Map:
    """The same test, leave-one-out and pooled, on the distance in dB."""
    references = np.stack(before)
    others = (references.sum(axis=0) - references) / (len(before) - 1)
    null = np.sort(np.sqrt(((references - others) ** 2).sum(axis=1)).ravel())
    distance = np.sqrt(((after - others) ** 2).sum(axis=1)).mean(axis=0)
    return np.asarray((1 + null.size - np.searchsorted(null, distance)) / (1 + null.size))


def page(places: Sequence[Place], model: str) -> str:
    """docs/change_rate.md."""
    return "\n".join(
        [
            "# The false alarms of `change`, measured",
            "",
            "Made by `python scripts/experiments/change_rate.py`; the command replaces this page. "
            f"{len(places)} simulated places of {SIZE} x {SIZE} pixels,",
            f"`{model}`, {REFERENCES} reference dates, all takes of the same ground under "
            "independent speckle. [How to use and read `change`](change.md).",
            "",
            "## Marked although nothing changed",
            "",
            "Share of the patches with a p-value up to the stated rate; in brackets the lowest and highest place.",
            "",
            "| new date | by | " + " | ".join(f"stated {rate:g}" for rate in RATES) + " |",
            "|---|---|" + "---|" * len(RATES),
            rate_row("unchanged take", "tokens", [place.p_values["unchanged take"] for place in places]),
            rate_row("unchanged take", "backscatter", [place.by_backscatter["unchanged take"] for place in places]),
            rate_row("other season", "tokens", [place.p_values["other season"] for place in places]),
            rate_row("other season", "backscatter", [place.by_backscatter["other season"] for place in places]),
            "",
            "The rate holds over a whole scene, not in every cover. Unchanged take, tokens, at a stated 0.01:",
            "",
            "| patches of | patches | marked |",
            "|---|---|---|",
            *cover_rows(places),
            "",
            "## Found of a known change",
            "",
            f"Squares of another place, pasted into the new date; stated rate {RATES[1]:g}. A patch counts when it "
            "lies wholly in a square and in one cover before and after.",
            "",
            "| change | square | patches | found by tokens | found by backscatter |",
            "|---|---|---|---|---|",
            *detection_rows(places),
            "",
        ]
    )  # fmt: skip


def rate_row(title: str, by: str, found: Sequence[Map]) -> str:
    """Shares at every rate, over all places."""
    cells = []
    for rate in RATES:
        shares = [float((p_values <= rate).mean()) for p_values in found]
        cells.append(f"{np.mean(shares):.4f} ({min(shares):.4f} to {max(shares):.4f})")
    return f"| {title} | {by} | {' | '.join(cells)} |"


def cover_rows(places: Sequence[Place]) -> list[str]:
    """False alarms of every cover."""
    p_values = np.stack([place.p_values["unchanged take"] for place in places])
    cover = np.stack([place.before for place in places])
    rows = []
    for value, name in (*COVERS.items(), (30, "low vegetation"), (0, "several covers")):
        inside = cover == value
        if inside.any():
            rows.append(f"| {name} | {inside.sum()} | {(p_values[inside] <= RATES[1]).mean():.4f} |")
    return rows


def detection_rows(places: Sequence[Place]) -> list[str]:
    """Detections by kind of change, in the largest squares; and of all changed covers by the size of the square."""
    side = np.stack([place.pasted for place in places])
    before, after = (np.stack([getattr(place, name) for place in places]) for name in ("before", "after"))
    tokens = np.stack([place.p_values["pasted"] for place in places]) <= RATES[1]
    levels = np.stack([place.by_backscatter["pasted"] for place in places]) <= RATES[1]
    pure, other = (before > 0) & (after > 0), before != after

    def row(name: str, square: str, inside: NDArray[np.bool_]) -> str:
        return f"| {name} | {square} | {inside.sum()} | {tokens[inside].mean():.0%} | {levels[inside].mean():.0%} |"

    names = {**COVERS, 30: "low vegetation"}
    rows = [row("any other cover", f"{size} px", pure & other & (side == size)) for size in SQUARES]
    rows.append(row("another ground of the same cover", "all", pure & ~other & (side > 0)))
    for one, first in names.items():
        for two, second in names.items():
            inside = pure & (side > 0) & (before == one) & (after == two)
            if one != two and inside.sum() >= 20:
                rows.append(row(f"{first} to {second}", "all", inside))
    return rows


if __name__ == "__main__":
    sys.exit(main())

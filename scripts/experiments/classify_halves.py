"""Ten polygons of one half of a tile, tested on the other half: what attention and tokens add; writes docs/classify.md.

    python scripts/experiments/classify_halves.py --data FOLDER [--model starter] [--output docs]

For every tile, both halves and several draws: squares that lie within one class are drawn from the labels of one half,
as an analyst draws polygons; a classifier is trained on them and asked about the other half. All feature sets get the
same squares, the same estimator and the same test pixels.
"""

from __future__ import annotations

import sys
from argparse import ArgumentParser
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import product
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import numpy as np
import rasterio
from numpy.typing import NDArray

from sardino_core.analysis.classify.estimators import fitted, probabilities
from sardino_core.analysis.classify.features import columns
from sardino_core.contract.jobs import (
    CONTEXT_OVERLAP,
    FEATURE_SETS,
    METHODS,
    FeatureSet,
    Method,
    RunOptions,
    SceneOptions,
)
from sardino_core.contract.listener import Listener
from sardino_core.contract.model_reader import read_spec, resolve_model
from sardino_core.contract.model_spec import ModelSpec
from sardino_core.feature_stream import open_features, with_components
from sardino_core.study.bootstrap import Interval, drawn, estimate, miou, placewise

LAND = {1: 0, 2: 1, 3: 2, 4: 2, 5: 3, 6: 4, 9: 2}  # TerraMesh: water, trees, low vegetation, built-up, bare
WATER = {0: 5, 1: 0}  # Sen1Floods11: not water, water
CLASSES = 6
POLYGONS, SIDE_PX, PURE = 10, 12, 0.95
DRAWS = 3
BORDER_PX = 16  # on each side of the halves' border: what the filters mix there is not tested
EVERY_PX = 2  # of the test pixels, in both directions
LEFT_OUT = ("609U",)  # its label is all snow
SAME_PLACE = {"Spain_6860600": "Spain", "Spain_7370579": "Spain", "Ghana_53713": "Ghana", "Ghana_97059": "Ghana"}
ARMS: dict[str, tuple[FeatureSet, ...]] = {
    "bands": ("bands",),
    "filtered": ("filtered",),
    "bands + filtered": ("bands", "filtered"),
    "attention + tokens": ("attention", "tokens"),
    "filtered + attention": ("filtered", "attention"),
    "filtered + tokens": ("filtered", "tokens"),
    "all four": FEATURE_SETS,
}
BASE = "filtered"
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Tile:
    """A real tile: its features, and its classes on the same grid."""

    name: str
    place: str
    known: bool  # the model was trained with labels of it
    x: NDArray[np.float32]  # (h, w, F), every feature set
    valid: NDArray[np.bool_]
    classes: Ints  # -1 where nothing is known


def main() -> int:
    """See every tile, draw, train, ask; write the page and its figure."""
    parser = ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder with terramind/ and sen1floods11/")
    parser.add_argument("--model", default="starter")
    parser.add_argument("--output", type=Path, default=Path("docs"), help="folder of classify.md")
    given = parser.parse_args()
    spec = read_spec(resolve_model(given.model))
    cells: dict[tuple[str, Method], list[Ints]] = {}
    tiles = []
    for image, labels, mapping in pairs(given.data):
        tile = read_tile(image, labels, mapping, given.model, spec)
        found = judged(tile, spec)
        if any(counts.any() for counts in found.values()):
            tiles.append(tile)
            for key, counts in found.items():
                cells.setdefault(key, []).append(counts)
            print(tile.name, {name: f"{score(found[name, 'forest']):.2f}" for name in ARMS}, flush=True)
    counts = {key: by_place(values, tiles) for key, values in cells.items()}
    write(given.output, spec, given.model, tiles, cells, counts)
    return 0


def wanted() -> list[tuple[str, Method]]:
    """Every arm with the forest, and two of them with the other methods."""
    return [(name, "forest") for name in ARMS] + [(name, m) for m in METHODS[1:] for name in (BASE, "all four")]


def pairs(data: Path) -> list[tuple[Path, Path, Mapping[int, int]]]:
    """Images, their labels, and what the labels' values are."""
    found: list[tuple[Path, Path, Mapping[int, int]]] = [
        (image, data / "terramind" / "LULC" / image.name, LAND)
        for image in sorted((data / "terramind" / "S1RTC").glob("*.tif"))
        if not image.name.startswith(LEFT_OUT)
    ]
    for image in sorted((data / "sen1floods11" / "S1").glob("*.tif")):
        with rasterio.open(image) as dataset:
            empty = not np.isfinite(dataset.read(1)).any()
        if not empty:
            labels = data / "sen1floods11" / "Labels" / image.name.replace("_S1Hand", "_LabelHand")
            found.append((image, labels, WATER))
    return found


def read_tile(image: Path, labels: Path, mapping: Mapping[int, int], model: str, spec: ModelSpec) -> Tile:
    """All features of a tile, as `sardino classify` sees them."""
    scene = SceneOptions((str(image),), bands={"VV": 1, "VH": 2}, units="db")
    with open_features(scene, RunOptions(model, CONTEXT_OVERLAP), FEATURE_SETS, Listener()) as opened:
        stream = with_components(opened)
        with closing(stream.rows(Listener())) as rows:
            strips = list(rows)
    x = np.concatenate([strip.values for strip in strips], axis=1).transpose(1, 2, 0)
    with rasterio.open(labels) as dataset:
        values = dataset.read(1)
    classes = np.full(values.shape, -1, np.int64)
    for value, index in mapping.items():
        classes[values == value] = index
    place = next((place for begins, place in SAME_PLACE.items() if image.name.startswith(begins)), image.stem)
    known = any(image.name in line for line in spec.provenance.data)
    return Tile(image.stem, place, known, x, np.concatenate([strip.valid for strip in strips]), classes)


def judged(tile: Tile, spec: ModelSpec) -> dict[tuple[str, Method], Ints]:
    """(draws, K, K) reference by prediction of every arm, both halves together."""
    counts = {key: np.zeros((DRAWS, CLASSES, CLASSES), np.int64) for key in wanted()}
    seen, middle = np.where(tile.valid, tile.classes, -1), tile.classes.shape[1] // 2
    for draw, half in product(range(DRAWS), (0, 1)):
        train = slice(0, middle) if half == 0 else slice(middle, None)
        test = slice(middle + BORDER_PX, None, EVERY_PX) if half == 0 else slice(0, middle - BORDER_PX, EVERY_PX)
        x, label = polygons(tile.x[:, train], seen[:, train], np.random.default_rng([draw, half]))
        offered, number = np.unique(label, return_inverse=True)
        if len(offered) < 2:
            continue
        truth = seen[::EVERY_PX, test]
        there = np.isin(truth, offered)
        asked = tile.x[::EVERY_PX, test][there]
        for arm, method in counts:
            own = [index for index, (name, _) in enumerate(named(spec)) if name in ARMS[arm]]
            model = fitted(method, x[:, own], number, draw)
            said = offered[probabilities(model, asked[:, own]).argmax(axis=1)]
            np.add.at(counts[arm, method][draw], (truth[there], said), 1)
    return counts


def named(spec: ModelSpec) -> list[tuple[str, str]]:
    """Set and name of every column."""
    return [(name, column) for name in FEATURE_SETS for column in columns([name], spec)]


def polygons(x: NDArray[np.float32], classes: Ints, random: np.random.Generator) -> tuple[NDArray[np.float32], Ints]:
    """Training pixels (n, F) and classes of ten squares, shared out evenly among the classes that have two or more."""
    free = classes.copy()
    found: dict[int, list[tuple[int, int]]] = {}
    order = random.permutation((free.shape[0] - SIDE_PX) * (free.shape[1] - SIDE_PX))
    places = [divmod(int(index), free.shape[1] - SIDE_PX) for index in order]
    for value in np.unique(free[free >= 0]).tolist():
        for row, col in places:
            square = free[row : row + SIDE_PX, col : col + SIDE_PX]
            if (square == value).mean() >= PURE:
                found.setdefault(value, []).append((row, col))
                square[:] = -1
                if len(found[value]) == POLYGONS // 2:
                    break
    squares = {value: corners for value, corners in found.items() if len(corners) >= 2}
    taken = [(value, corners[turn]) for turn in range(POLYGONS // 2) for value, corners in squares.items()
             if turn < len(corners)][:POLYGONS]  # fmt: skip
    parts = [x[row : row + SIDE_PX, col : col + SIDE_PX].reshape(-1, x.shape[2]) for _, (row, col) in taken]
    label = np.repeat([value for value, _ in taken], SIDE_PX**2)
    return (np.concatenate(parts), label) if parts else (np.empty((0, x.shape[2]), np.float32), label)


def by_place(values: Sequence[Ints], tiles: Sequence[Tile]) -> Ints:
    """(draws, P, K, K): tiles of one place are no independent evidence."""
    places = list(dict.fromkeys(tile.place for tile in tiles))
    return np.stack(
        [sum(counts for counts, tile in zip(values, tiles, strict=True) if tile.place == place) for place in places],
        axis=1,
    )


def score(counts: Ints) -> float:
    """Mean IoU, averaged over the draws."""
    return float(np.nanmean(miou(counts)))


def write(
    output: Path,
    spec: ModelSpec,
    model: str,
    tiles: Sequence[Tile],
    cells: Mapping[tuple[str, Method], Sequence[Ints]],
    counts: Mapping[tuple[str, Method], Ints],
) -> None:
    """The page, from its template, and the figure."""
    weights = drawn(next(iter(counts.values())).shape[1], 2000)
    base = counts[BASE, "forest"]
    rows = []
    for (name, method), values in counts.items():
        whole = estimate(values, miou, weights, average=placewise)
        less = None if (name, method) == (BASE, "forest") else estimate(values, miou, weights, base, placewise)
        rows.append(f"| {name} | {method} | {text(whole)} | {'' if less is None else text(less, '+')} |")
    head = f"| tile | {' | '.join(ARMS)} |\n|---|{' --- |' * len(ARMS)}\n"
    each = [
        f"| {tile.name}{' *' if tile.known else ''} | "
        + " | ".join(f"{score(cells[arm, 'forest'][index]):.2f}" for arm in ARMS) + " |"
        for index, tile in enumerate(tiles)
    ]  # fmt: skip
    figure(output / "classify_halves.png", tiles, cells)
    path = output / "classify.md"
    before = path.read_text(encoding="utf-8").partition(BEGIN)[0]
    own = [tile for tile in tiles if tile.known]
    told = (
        f"Model: {model} ({spec.name}). Tiles with * are among those whose labels it was trained with ({len(own)} of "
        f"{len(tiles)}): there its attention and tokens have an advantage that they will not have on your scene."
    )
    table = "| features | method | mIoU | less the filtered bands |\n|---|---|---|---|\n" + "\n".join(rows)
    path.write_text(
        f"{before}{BEGIN}\n{told}\n\n{meaning(counts, weights)}\n\n{table}\n\n"
        f"Mean IoU by tile, with the forest:\n\n{head}" + "\n".join(each) + "\n\n"
        "![Mean IoU of each feature set, tile by tile](classify_halves.png)\n",
        encoding="utf-8",
    )
    print(path)


BEGIN = "<!-- below: written by scripts/experiments/classify_halves.py -->"


def meaning(counts: Mapping[tuple[str, Method], Ints], weights: Ints) -> str:
    """What the forest's differences allow to say."""
    said = []
    for name in ("filtered + attention", "filtered + tokens", "all four"):
        less = estimate(counts[name, "forest"], miou, weights, counts[BASE, "forest"], placewise)
        word = "better" if less.low > 0 else "worse" if less.high < 0 else "neither better nor worse for certain"
        said.append(f"{name}: {word} ({less.value:+.3f})")
    return f"With the forest, against the filtered bands alone, over these places: {'; '.join(said)}."


def text(found: Interval, sign: str = "") -> str:
    """A value with its interval."""
    return f"{found.value:{sign}.3f} ({found.low:{sign}.3f} to {found.high:{sign}.3f})"


def figure(path: Path, tiles: Sequence[Tile], cells: Mapping[tuple[str, Method], Sequence[Ints]]) -> None:
    """One line of points per tile."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    drawing, axes = plt.subplots(figsize=(8, 4.2), dpi=150)
    for index, tile in enumerate(tiles):
        values = [score(cells[arm, "forest"][index]) for arm in ARMS]
        axes.plot(values, marker="o" if tile.known else "s", label=tile.name + (" *" if tile.known else ""), lw=1)
    axes.set_xticks(range(len(ARMS)), list(ARMS), rotation=20, ha="right")
    axes.set_ylabel("mean IoU on the other half")
    axes.grid(axis="y", alpha=0.3)
    axes.legend(fontsize=7, loc="center left", bbox_to_anchor=(1.0, 0.5))
    drawing.tight_layout()
    drawing.savefig(path)


if __name__ == "__main__":
    raise SystemExit(main())

"""What clusters and similarity are worth in which space of tokens, on simulated places; docs/token_space.md.

    python scripts/experiments/token_space.py --work build/token_space --output docs

Plain tokens, centred tokens and the steady space of `analysis/explore` on the same blended tokens. For similarity the
patch deepest inside each cover is the mark, and the number is the chance that a patch of that cover is more alike than
one of the rest (area under the ROC curve). For clusters it is the adjusted mutual information of six with the covers.
"""

from __future__ import annotations

import json
import sys
from argparse import ArgumentParser
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
import rasterio
from numpy.typing import NDArray
from overview import GAP, PANEL, TITLE, Rgb, backscatter, ramp, simulated_labels
from PIL import Image, ImageDraw, ImageFont
from scipy.ndimage import distance_transform_edt
from sklearn.metrics import adjusted_mutual_info_score, roc_auc_score

from sardino_core.analysis.explore.kmeans import fit_clusters, nearest
from sardino_core.analysis.explore.likeness import cosines
from sardino_core.analysis.explore.steady import SteadySpace
from sardino_core.cluster import cluster
from sardino_core.contract.jobs import ClusterJob, RunOptions, SceneOptions, SimilarityJob, SimulateJob
from sardino_core.contract.listener import Listener
from sardino_core.models.model_file import read_spec, resolve_model
from sardino_core.pipeline import open_session
from sardino_core.products import token_embeddings
from sardino_core.similarity import similarity
from sardino_core.simulate import simulate_missing
from sardino_core.terminal import PlainVoice
from sardino_core.token_space import sample_patches

SEEDS = (7, 11)
COVERS = {"trees": (10, 20), "fields": (30, 40, 60), "built-up": (50,), "water": (80,)}
_SIZE = 1024
_CLUSTERS = 6
_LEAST = 40  # patches of a cover that is measured
Values = NDArray[np.float32]


def main() -> int:
    """Simulate, measure, draw, write."""
    parser = ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--work", default=Path("build/token_space"), type=Path)
    parser.add_argument("--output", default=Path("docs"), type=Path, metavar="DIR")
    given = parser.parse_args()
    places = [given.work / str(seed) for seed in SEEDS]
    simulate_missing(
        [SimulateJob(str(place), _SIZE, seed) for seed, place in zip(SEEDS, places, strict=True)], PlainVoice()
    )
    found = [measure(place) for place in places]
    (given.output / "token_space.md").write_text(page(found), encoding="utf-8")
    draw(places[0], given.work, given.output)
    return 0


def measure(place: Path) -> tuple[float, dict[str, tuple[dict[str, float], float]]]:
    """The windows' share of the variance, and for each space: the areas by cover, and the information of clusters."""
    with open_session(SceneOptions((str(place / "scene.tif"),)), RunOptions("starter"), Listener()) as session:
        rows = session.rows(token_embeddings(session.predictor, None))
        tokens = np.concatenate([item.values for item in rows], axis=1)  # (D, h, w)
        space = sample_patches(session).space
    covers = patch_covers(place, tokens.shape[1:])
    spaces = {"plain tokens": tokens, "centred tokens": tokens - space.mean[:, None, None]}
    for components in (4, 8, space.basis.shape[1]):
        part = SteadySpace(space.mean, space.basis[:, :components], space.moved)
        spaces[f"steady space, {components} dimensions"] = np.moveaxis(part.apply(np.moveaxis(tokens, 0, 2)), 2, 0)
    return space.moved, {name: (areas(points, covers), information(points, covers)) for name, points in spaces.items()}


def patch_covers(place: Path, shape: Sequence[int]) -> NDArray[np.int64]:
    """(h, w): index into COVERS of what covers most of a patch, -1 for other covers."""
    with rasterio.open(place / "labels.tif") as dataset:
        labels = dataset.read(1)
    height, width = shape
    side = labels.shape[0] // height
    cells = labels.reshape(height, side, width, side)
    counts = [np.isin(cells, values).sum(axis=(1, 3)) for values in COVERS.values()]
    best = np.argmax(counts, axis=0)
    return np.where(np.max(counts, axis=0) * 2 > side * side, best, -1)


def areas(points: Values, covers: NDArray[np.int64]) -> dict[str, float]:
    """Area under the ROC curve of each cover's similarity to its deepest patch."""
    found = {}
    for index, name in enumerate(COVERS):
        inside = covers == index
        if inside.sum() >= _LEAST:
            row, col = deepest(inside)
            found[name] = float(roc_auc_score(inside.ravel(), cosines(points, points[:, row, col][None])[0].ravel()))
    return found


def deepest(inside: NDArray[np.bool_]) -> tuple[int, int]:
    """(row, col) of the patch farthest from the edge of the area."""
    row, col = np.unravel_index(distance_transform_edt(inside).argmax(), inside.shape)
    return int(row), int(col)


def information(points: Values, covers: NDArray[np.int64]) -> float:
    """Adjusted mutual information of clusters of the points with the covers."""
    flat = points.reshape(len(points), -1).T
    names = nearest(flat, fit_clusters(flat, _CLUSTERS))
    known = covers.ravel() >= 0
    return float(adjusted_mutual_info_score(covers.ravel()[known], names[known]))


def page(found: Sequence[tuple[float, dict[str, tuple[dict[str, float], float]]]]) -> str:
    """The page, as Markdown."""
    moved = ", ".join(f"{share:.0%}" for share, _ in found)
    lines = [
        "# What of a token belongs to its place", "",
        "Made by `python scripts/experiments/token_space.py`; the command replaces this page. Scenes are simulated: a",
        "guide for what the tools do, no evidence about any place.", "",
        "A transformer's token tells of its patch and of its whole window. Of the starter's tokens, the share of the",
        f"variance that changes when the window is moved is {moved} (seeds {', '.join(map(str, SEEDS))}). `sardino",
        "cluster` and `similarity` measure in the directions that stay, the steady space.", "",
        "Similarity: area under the ROC curve for finding a cover from the patch deepest inside it (0.5 is chance).",
        f"Clusters: adjusted mutual information of {_CLUSTERS} clusters with the covers (0 is chance).", "",
        "| seed | space | " + " | ".join(COVERS) + " | clusters |",
        "| --- | --- | " + " | ".join("---" for _ in COVERS) + " | --- |",
    ]  # fmt: skip
    for seed, (_, spaces) in zip(SEEDS, found, strict=True):
        for name, (by_cover, shared) in spaces.items():
            cells = [f"{by_cover[cover]:.2f}" if cover in by_cover else "not measured" for cover in COVERS]
            lines.append(f"| {seed} | {name} | {' | '.join(cells)} | {shared:.2f} |")
    return "\n".join(lines) + "\n"


def draw(place: Path, work: Path, output: Path) -> None:
    """Two figures: clusters, coarse and refined, and similarity to a town and to water."""
    scene, options = place / "scene.tif", SceneOptions((str(place / "scene.tif"),))
    spec = read_spec(resolve_model("starter"))
    seen = [
        ("Sentinel-1: VV, VH, VV-VH", backscatter(scene, spec)),
        ("what was simulated", simulated_labels(place / "labels.tif")),
    ]
    book = str(work / "codebook.json")
    run = RunOptions("starter")
    cluster(ClusterJob(options, run, str(work / "coarse.tif"), _CLUSTERS, save_codebook=book))
    cluster(ClusterJob(options, run, str(work / "fine.tif"), codebook=book, refine=True))
    sheet([*seen, (f"{_CLUSTERS} clusters, from dark to bright", simulated_labels(work / "coarse.tif")),
           ("the same, --refine", simulated_labels(work / "fine.tif"))], output / "explore_cluster.png")  # fmt: skip
    names = write_marks(place, work / "marks.geojson")
    path = work / "similarity.tif"
    similarity(SimilarityJob(options, run, str(path), str(work / "marks.geojson"), name_field="cover"))
    shown = [(f"similarity to a patch of {name}", ramp(path, names.index(name) + 1, (-1.0, 1.0)))
             for name in ("built-up", "water")]  # fmt: skip
    sheet([*seen, *shown], output / "explore_similarity.png")


def write_marks(place: Path, path: Path) -> list[str]:
    """A point in the patch deepest inside each cover, as GeoJSON; returns the covers in order."""
    with rasterio.open(place / "labels.tif") as dataset:
        transform, crs, side = dataset.transform, dataset.crs, dataset.width // (_SIZE // 8)
    covers = patch_covers(place, (_SIZE // side, _SIZE // side))
    features = []
    for index, name in enumerate(COVERS):
        row, col = deepest(covers == index)
        xy = list(transform @ ((col + 0.5) * side, (row + 0.5) * side))
        features.append({"type": "Feature", "properties": {"cover": name},
                         "geometry": {"type": "Point", "coordinates": xy}})  # fmt: skip
    member = {"type": "name", "properties": {"name": crs.to_string()}}
    path.write_text(json.dumps({"type": "FeatureCollection", "crs": member, "features": features}), encoding="utf-8")
    return list(COVERS)


def sheet(panels: Sequence[tuple[str, Rgb]], path: Path) -> None:
    """Panels side by side under their titles."""
    picture = Image.new("RGB", (len(panels) * (PANEL + GAP) + GAP, PANEL + TITLE + 2 * GAP), "white")
    pen, font = ImageDraw.Draw(picture), ImageFont.load_default(15)
    for index, (title, pixels) in enumerate(panels):
        x = GAP + index * (PANEL + GAP)
        pen.text((x, GAP), title, "black", font)
        picture.paste(Image.fromarray(pixels).resize((PANEL, PANEL), Image.Resampling.NEAREST), (x, GAP + TITLE))
    picture.save(path, optimize=True)


if __name__ == "__main__":
    raise SystemExit(main())

"""What the heads of a model look at on real tiles, as pictures and as numbers; docs/attention.md.

    python scripts/experiments/attention_pictures.py --data FOLDER --work build/attention --output docs --model starter

Attention of the last layer by `sardino attention`, every head beside the backscatter. Where a tile has labels, the
number is the chance that a pixel of the class is looked at more than one of the rest (area under the ROC curve): 0.5 is
no relation, below it the head looks away.
"""

from __future__ import annotations

import io
import sys
from argparse import ArgumentParser
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import numpy as np
import rasterio
from matplotlib.figure import Figure
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

from sardino_core.contract.jobs import AttentionJob, RunOptions, SceneOptions
from sardino_core.inference import attention
from sardino_core.models.model_file import read_spec, resolve_model, write_aside
from sardino_core.raster.false_colour import false_colour
from sardino_core.raster.reading.scene import open_scene
from sardino_core.training.landcover.baselines import box_mean, to_db

_LEAST = 0.01  # of a tile's pixels that a class must have to be measured
_SMOOTH = 5  # pixels: backscatter in which boundaries are sought
_SHARPEST = 0.9  # quantile of the gradient from which on a pixel is a boundary
_LULC = {"water": 1, "trees": 2, "built-up": 5}
Values = NDArray[np.float32]
Picture = NDArray[np.uint8]


@dataclass(frozen=True)
class Tile:
    """A real tile: its files, and its labels with what their values mean."""

    name: str
    images: tuple[str, ...]  # relative to the data folder
    options: dict[str, object] = field(default_factory=dict)  # of SceneOptions
    labels: str = ""
    classes: dict[str, int] = field(default_factory=dict)


_TERRAMIND = {"units": "db", "bands": {"VV": 1, "VH": 2}}
_SSL4EO = "ssl4eo_s12/s1/0000200/S1A_IW_GRDH_1SDV_20200607T010800_20200607T010825_032904_03CFBA_D457"
TILES = (
    *(
        Tile(name, (f"terramind/S1RTC/{file}.tif",), _TERRAMIND, f"terramind/LULC/{file}.tif", _LULC)
        for name, file in (("Chile", "433D_629L_3_1"), ("Denmark", "637U_59R_1_3"), ("Tanzania", "38D_378R_2_3"))
    ),
    *(
        Tile(
            name, (f"sen1floods11/S1/{file}_S1Hand.tif",), {}, f"sen1floods11/Labels/{file}_LabelHand.tif", {"water": 1}
        )
        for name, file in (("Spain", "Spain_7370579"), ("India", "India_900498"))
    ),
    Tile("Kenya", ("kenya_wlt/sentinel1_vv.tif", "kenya_wlt/sentinel1_vh.tif")),
    Tile("SSL4EO", (f"{_SSL4EO}/VV.tif", f"{_SSL4EO}/VH.tif")),
)


def main() -> int:
    """Run, measure, draw, write."""
    parser = ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", required=True, type=Path, help="folder of real tiles")
    parser.add_argument("--work", default=Path("build/attention"), type=Path)
    parser.add_argument("--output", default=Path("docs"), type=Path, help="folder for attention.md and attention.png")
    parser.add_argument("--model", default="starter")
    given = parser.parse_args()
    given.work.mkdir(parents=True, exist_ok=True)
    seen = [(tile, *look(tile, given.data, given.model, given.work)) for tile in TILES]
    write_aside(given.output / "attention.png", draw([(tile.name, shown, heads) for tile, shown, heads, _ in seen]))
    rows = [row for tile, _, heads, masks in seen for row in measured(tile.name, heads, masks)]
    write_aside(given.output / "attention.md", page(given.model, len(seen[0][2]), rows).encode())
    print(given.output / "attention.md")
    return 0


def look(tile: Tile, data: Path, model: str, work: Path) -> tuple[Picture, Values, dict[str, NDArray[np.bool_]]]:
    """The tile as a picture (h, w, 3), its heads (H, h, w), and masks (h, w) of what they may follow."""
    scene = SceneOptions(tuple(str(data / image) for image in tile.images), **tile.options)  # type: ignore[arg-type]
    output = work / f"{tile.name}.tif"
    attention(AttentionJob(scene, RunOptions(model), str(output)))
    with rasterio.open(output) as dataset:
        heads = dataset.read()
    with open_scene(scene, read_spec(resolve_model(model)).inputs.bands) as opened:
        db, valid = opened.read(opened.grid.full)
    masks = {"boundaries": boundaries(db, valid)}
    if tile.labels:
        with rasterio.open(data / tile.labels) as dataset:
            labels = dataset.read(1)
        masks |= {name: labels == value for name, value in tile.classes.items()}
    return false_colour(db, valid), heads, masks


def boundaries(db: Values, valid: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Where smoothed backscatter, the sum of VV and VH in dB, changes most: a tenth of the pixels."""
    smooth = to_db(box_mean(np.power(10.0, db.astype(np.float64) / 10) * valid, valid, _SMOOTH)).sum(axis=0)
    steep = np.hypot(*np.gradient(smooth))
    sharp: NDArray[np.bool_] = steep > np.quantile(steep[valid], _SHARPEST)
    return sharp & valid


def measured(name: str, heads: Values, masks: dict[str, NDArray[np.bool_]]) -> list[str]:
    """A table row per class that the tile holds enough of."""
    rows = []
    known = np.isfinite(heads).all(axis=0)
    for kind, mask in masks.items():
        share = mask[known].mean()
        if _LEAST <= share <= 1 - _LEAST:
            cells = " | ".join(f"{roc_auc_score(mask[known], head[known]):.2f}" for head in heads)
            rows.append(f"| {name} | {kind} | {share:.0%} | {cells} |")
    return rows


def draw(rows: Sequence[tuple[str, Picture, Values]]) -> bytes:
    """A row per tile: backscatter, then each head between its 2nd and 98th percentile; as PNG."""
    columns = 1 + len(rows[0][2])
    figure = Figure(figsize=(2.6 * columns, 2.7 * len(rows)), layout="constrained")
    for axes, (name, picture, heads) in zip(figure.subplots(len(rows), columns, squeeze=False), rows, strict=True):
        axes[0].imshow(picture)
        axes[0].set_title(name, size=9)
        for number, (axis, head) in enumerate(zip(axes[1:], heads, strict=True), start=1):
            low, high = np.nanpercentile(head, [2, 98])
            axis.imshow(head, cmap="inferno", vmin=low, vmax=high)
            axis.set_title(f"head {number}", size=9)
        for axis in axes:
            axis.set(xticks=[], yticks=[])
    target = io.BytesIO()
    figure.savefig(target, dpi=72, format="png")
    return target.getvalue()


def page(model: str, heads: int, rows: Sequence[str]) -> str:
    """docs/attention.md, but for what somebody has to say who looked at the pictures."""
    newline = "\n"
    return f"""# What attention follows

Made by `python scripts/experiments/attention_pictures.py --data FOLDER`; the command replaces this page.

Attention of the class token in the last layer of `{model}`, on real tiles. Numbers are the chance that a pixel of the
class is looked at more than one of the rest: 0.5 is no relation, 1 always, 0 never. Boundaries are the tenth of the
pixels where backscatter, smoothed over {_SMOOTH} x {_SMOOTH} pixels, changes most.

| tile | what | of the pixels | {" | ".join(f"head {number}" for number in range(1, heads + 1))} |
|---|---|---|{"---|" * heads}
{newline.join(rows)}

![Backscatter (VV, VH, VV-VH as red, green, blue) and every head](attention.png)

Contains modified Copernicus Sentinel data. Tiles: TerraMesh (CC-BY-SA-4.0, Blumenstiel et al. 2025) with land cover by
Esri and Impact Observatory (CC-BY-4.0); Sen1Floods11 (CC-BY-4.0, Bonafilia et al. 2020); SSL4EO-S12 (CC-BY-4.0, Wang et
al. 2023); Kenya (MIT).
"""


if __name__ == "__main__":
    raise SystemExit(main())

"""SAR metamers: do attention and tokens see arrangement that no pixel statistic can? docs/metamers.md.

    python scripts/experiments/metamers.py --work build/metamers --output docs --models starter backbone.safetensors

Writes places of five textures that hold the very same pixels (sardino_core/simulate/metamers.py), a block of a window's
size each, and runs `sardino probe` on them for every model.
"""

from __future__ import annotations

import json
import sys
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import numpy as np
import rasterio
from affine import Affine

from sardino_core.contract.jobs import ProbeJob
from sardino_core.contract.model_reader import read_spec, resolve_model
from sardino_core.probe import probe
from sardino_core.simulate.metamers import KINDS, metamer
from sardino_core.terminal import PlainVoice

PLACES, BLOCKS = 8, 4  # each place has BLOCKS x BLOCKS blocks
COLOURS = ("#1b9e77", "#d95f02", "#7570b3", "#e7298a", "#66a61e")
SETS = (
    "brightness alone",
    "best SAR statistic",
    "SAR in context",
    "best head",
    "best head, random weights",
    "all heads",
    "all heads, random weights",
    "tokens",
    "tokens, random weights",
)


def main() -> int:
    """Write places, probe, and write the page."""
    parser = ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--work", type=Path, default=Path("build/metamers"))
    parser.add_argument("--output", type=Path, default=Path("docs"), help="folder for metamers.md")
    parser.add_argument("--models", nargs="+", default=["starter"])
    given = parser.parse_args()
    found = {}
    for model in given.models:
        side = read_spec(resolve_model(model)).window
        write_places(given.work / f"places-{side}", side)
        found[model] = probed(model, given.work, side)
    given.output.mkdir(parents=True, exist_ok=True)
    (given.output / "metamers.md").write_text(page(found), encoding="utf-8")
    print(given.output / "metamers.md")
    return 0


def write_places(folder: Path, side_px: int) -> None:
    """Rasters of blocks as large as a window, so that a window holds one kind; their order differs from place to place.

    The kinds come in turn, and every place begins with another.
    """
    for place in range(PLACES):
        target = folder / f"place_{place}"
        target.mkdir(parents=True, exist_ok=True)
        numbers = (np.arange(BLOCKS**2) * 2 + place) % len(KINDS)
        blocks = [metamer(KINDS[kind], side_px, 100 * place + index) for index, kind in enumerate(numbers)]
        rows = [np.concatenate(blocks[start : start + BLOCKS], axis=2) for start in range(0, BLOCKS**2, BLOCKS)]
        labels = np.kron(numbers.reshape(BLOCKS, BLOCKS) + 1, np.ones((side_px, side_px))).astype(np.uint8)
        transform = Affine(10, 0, 500_000, 0, -10, 1_000_000 + 100_000 * place)
        for name, values in (("scene", np.concatenate(rows, axis=1)), ("labels", labels[None])):
            profile = {"width": values.shape[2], "height": values.shape[1], "crs": "EPSG:32633", "transform": transform}
            with rasterio.open(
                target / f"{name}.tif", "w", driver="GTiff", count=len(values), dtype=values.dtype, **profile
            ) as dataset:
                dataset.write(values)
                if name == "scene":
                    dataset.descriptions = ("VV", "VH")
                    dataset.update_tags(SARDINO_UNITS="dB", SARDINO_SIMULATED="YES")


def probed(model: str, work: Path, side_px: int) -> dict[str, Any]:
    """What `sardino probe` says of one model; its report stays in the work folder."""
    classes = [{"value": i + 1, "name": kind, "colour": COLOURS[i]} for i, kind in enumerate(KINDS)]
    mapping = ", ".join(f"{i + 1}: [{i + 1}]" for i in range(len(KINDS)))
    settings = (f"classes={json.dumps(classes)}", f"sources.0.mapping={{{mapping}}}", "sources.0.ignore=[0]")
    folder = str(work / f"places-{side_px}" / "place_*")
    name = Path(model).parent.name if Path(model).exists() else model
    job = ProbeJob(
        str(work / f"report-{name}"),
        model,
        (f"{folder}/scene.tif",),
        (f"{folder}/labels.tif",),
        "finetune-tiny",
        settings,
    )
    return dict(probe(job, PlainVoice()).values)


def page(found: dict[str, dict[str, Any]]) -> str:
    """docs/metamers.md."""
    tables = "\n\n".join(_table(model, values) for model, values in found.items())
    return f"""# SAR metamers

Made by `python scripts/experiments/metamers.py`; the command replaces this page.
Five textures ({", ".join(KINDS)}) hold
the very same pixels, pairs of VV and VH, in every block of a window's size: their histograms are equal to the last
pixel, and whatever counts pixels of a block guesses one of five, a mean IoU of about 0.11. What differs is which pixels
lie side by side. Probes are fitted on all places but one and scored on that, in turn ({PLACES} places); features are of
single patches, so that statistics of a patch and of its surroundings do see a part of the arrangement.

{tables}

mIoU over held-out places, linear probe and forest, features as they are (not brought to one size).
"""


def _table(model: str, values: dict[str, Any]) -> str:
    miou = {(item["features"], item["probe"]): item["miou"] for item in values["miou"] if item["dims"] == 0}
    rows = [f"| {name} | {miou[name, 'linear']:.2f} | {miou[name, 'forest']:.2f} |" for name in SETS]
    head = "| features | linear | forest |\n| --- | --- | --- |\n"
    return f"## {model}\n\n{values['patches']} patches.\n\n" + head + "\n".join(rows)


if __name__ == "__main__":
    raise SystemExit(main())

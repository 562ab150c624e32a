"""SAR metamers: do attention and tokens see arrangement that no pixel statistic can? docs/metamers.md.

    python scripts/experiments/metamers.py --work build/metamers --output docs --models starter backbone.safetensors

Writes places of five textures that hold the very same pixels (sardino_core/simulate/metamers.py), a block of a window's
size each, and runs `sardino probe` on them for every model.
"""

from __future__ import annotations

import csv
import json
import sys
from argparse import ArgumentParser
from pathlib import Path

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
SETS = (  # of the probe
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
PAIRS = (
    ("tokens", "SAR in context"),
    ("all heads", "SAR in context"),
    ("best head", "best SAR statistic"),
    ("tokens", "tokens, random weights"),
    ("all heads", "all heads, random weights"),
    ("all heads", "tokens"),
)
PROBES = ("linear", "forest")
Found = tuple[int, list[dict[str, str]], list[dict[str, str]]]  # patches; rows of scores.csv and differences.csv


def main() -> int:
    """Write places, probe, and write the page."""
    parser = ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--work", type=Path, default=Path("build/metamers"))
    parser.add_argument("--output", type=Path, default=Path("docs"), help="folder for metamers.md")
    parser.add_argument("--models", nargs="+", default=["starter"])
    parser.add_argument("--kept", action="store_true", help="probe nothing: the page anew from the reports of --work")
    given = parser.parse_args()
    found = {}
    for model in given.models:
        if not given.kept:
            side = read_spec(resolve_model(model)).window
            write_places(given.work / f"places-{side}", side)
            probed(model, given.work, side)
        found[model] = report(folder_of(model, given.work))
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


def folder_of(model: str, work: Path) -> Path:
    """Of a model's report."""
    return work / f"report-{Path(model).parent.name if Path(model).exists() else model}"


def report(folder: Path) -> Found:
    """What `sardino probe` left there."""
    tables = {}
    for name in ("scores", "differences", "places"):
        with (folder / f"{name}.csv").open(encoding="utf-8", newline="") as file:
            tables[name] = list(csv.DictReader(file))
    patches = sum(int(row["patches"]) for row in tables["places"] if row["features"] == "commonest class")
    return patches, tables["scores"], tables["differences"]


def probed(model: str, work: Path, side_px: int) -> None:
    """Run `sardino probe` on one model; its report stays in the work folder."""
    classes = [{"value": i + 1, "name": kind, "colour": COLOURS[i]} for i, kind in enumerate(KINDS)]
    mapping = ", ".join(f"{i + 1}: [{i + 1}]" for i in range(len(KINDS)))
    settings = (f"classes={json.dumps(classes)}", f"sources.0.mapping={{{mapping}}}", "sources.0.ignore=[0]")
    folder = str(work / f"places-{side_px}" / "place_*")
    job = ProbeJob(
        str(folder_of(model, work)),
        model,
        (f"{folder}/scene.tif",),
        (f"{folder}/labels.tif",),
        "finetune-tiny",
        settings,
    )
    probe(job, PlainVoice())


def page(found: dict[str, Found]) -> str:
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

mIoU over held-out places, linear probe and forest, features as they are (not brought to one size), and the 95 %
interval from drawing the {PLACES} places again, the same ones for both features of a difference. The probes are not
fitted anew for each draw, and the places differ by chance alone: the intervals are about this model on such textures.
"""


def _table(model: str, found: Found) -> str:
    patches, scores, differences = found
    of = {(row["features"], row["probe"]): row for row in scores if row["dims"] == "free"}
    rows = [f"| {name} | {' | '.join(_cell(of[name, probe], 'miou') for probe in PROBES)} |" for name in SETS]
    less = {(row["first"], row["second"], row["probe"]): row for row in differences if row["dims"] == "free"}
    paired = [
        f"| {one} less {two} | {' | '.join(_cell(less[one, two, p], 'difference_miou', '+') for p in PROBES)} |"
        for one, two in PAIRS
    ]
    table = "\n".join(["| features | linear | forest |", "| --- | --- | --- |", *rows])
    second = "\n".join(["| difference | linear | forest |", "| --- | --- | --- |", *paired])
    return f"## {model}\n\n{patches} patches.\n\n{table}\n\n{second}\n\n{_answer(less)}"


def _cell(row: dict[str, str], column: str, sign: str = "") -> str:
    value, low, high = (f"{float(row[key]):{sign}.2f}" for key in (column, "low", "high"))
    return f"{value} ({low} to {high})"


def _answer(less: dict[tuple[str, str, str], dict[str, str]]) -> str:
    """Whether tokens and heads hold more than the statistics of pixels around them."""
    lines = []
    for name in ("tokens", "all heads"):
        linear, forest = (_verdict(less[name, "SAR in context", probe]) for probe in PROBES)
        told = (
            f"{linear}, by both probes" if linear == forest else f"{linear} by the linear probe, {forest} by the forest"
        )
        lines.append(f"Beside SAR in context, {name} tell {told}.")
    return "\n".join(lines)


def _verdict(row: dict[str, str]) -> str:
    if float(row["low"]) > 0:
        return "more"
    return "less" if float(row["high"]) < 0 else "not clearly more or less"


if __name__ == "__main__":
    raise SystemExit(main())

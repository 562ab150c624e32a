"""What an analyst would bring to the tools whose pages have a picture: dates, labelled areas, marks. All simulated.

For screenshots.py. At the last of the four dates an ellipse has become water: its pixels are those of the lake.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import rasterio
from affine import Affine
from numpy.typing import NDArray

_ROOT = Path(__file__).resolve().parents[2]
_SIZE = 640  # pixels of each side
_TAKES = 4
_SIDE = 14  # pixels of an area
_EACH = 3  # areas of a class
_NAMES = {80: "water", 10: "trees", 50: "built-up", 30: "grass", 90: "wetland"}
_FLOOD = (460, 80, 32, 38)  # row and column of the ellipse's middle, half its height and width
_LAKE = (120, 435)  # a place in the lake


def tutorial_places(folder: Path) -> dict[str, object]:
    """Write the files into `folder`, and return their paths: `dates`, `areas` and `marks`."""
    takes = [folder / str(take) for take in range(_TAKES)]
    for number, take in enumerate(takes):
        command = ["simulate", "--output", str(take), "--size", str(_SIZE), "--seed", "6", "--take", str(number)]
        subprocess.run([sys.executable, "-m", "sardino_core", *command], check=True, cwd=_ROOT)
    dates = [folder / f"S1_2024{day}.tif" for day in ("0606", "0618", "0630", "0712")]
    for take, date in zip(takes, dates, strict=True):
        shutil.copy(take / "scene.tif", date)
    _flood(dates[-1])
    with rasterio.open(takes[0] / "labels.tif") as dataset:
        labels, transform, crs = dataset.read(1), dataset.transform, dataset.crs.to_string()
    squares = _squares(labels)
    areas, marks = folder / "areas.geojson", folder / "marks.geojson"
    _write(
        areas, crs, [(name, _ring(place, transform)) for name, places in squares.items() for place in places[:_EACH]]
    )
    _write(marks, crs, [(name, _middle(squares[name][-1], transform)) for name in ("built-up", "water")])
    return {"dates": [str(date) for date in dates], "areas": str(areas), "marks": str(marks)}


def _flood(path: Path) -> None:
    """Lay a part of the lake over an ellipse."""
    row, col, height, width = _FLOOD
    rows, cols = np.mgrid[:_SIZE, :_SIZE]
    inside = ((rows - row) / height) ** 2 + ((cols - col) / width) ** 2 < 1
    with rasterio.open(path, "r+") as dataset:
        values = dataset.read()
        values[:, inside] = values[:, rows[inside] + _LAKE[0] - row, cols[inside] + _LAKE[1] - col]
        dataset.write(values)


def _squares(labels: NDArray[np.uint8]) -> dict[str, list[tuple[int, int]]]:
    """By class the corners (row, col) of squares of that class alone, in a random order."""
    found: dict[str, list[tuple[int, int]]] = {name: [] for name in _NAMES.values()}
    for row in range(_SIDE, _SIZE - 2 * _SIDE, _SIDE // 2):
        for col in range(_SIDE, _SIZE - 2 * _SIDE, _SIDE // 2):
            values = np.unique(labels[row - 2 : row + _SIDE + 2, col - 2 : col + _SIDE + 2])
            if len(values) == 1 and values[0] in _NAMES:
                found[_NAMES[values[0]]].append((row, col))
    random = np.random.default_rng(0)
    for places in found.values():
        random.shuffle(places)
    return {name: _apart(places) for name, places in found.items() if places}


def _apart(places: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Without those that touch an earlier one."""
    kept: list[tuple[int, int]] = []
    for row, col in places:
        if all(max(abs(row - other), abs(col - beside)) > 3 * _SIDE for other, beside in kept):
            kept.append((row, col))
    return kept


def _ring(place: tuple[int, int], transform: Affine) -> dict[str, object]:
    row, col = place
    corners = [(0, 0), (_SIDE, 0), (_SIDE, _SIDE), (0, _SIDE), (0, 0)]
    return {"type": "Polygon", "coordinates": [[list(transform @ (col + x, row + y)) for x, y in corners]]}


def _middle(place: tuple[int, int], transform: Affine) -> dict[str, object]:
    row, col = place
    return {"type": "Point", "coordinates": list(transform @ (col + _SIDE / 2, row + _SIDE / 2))}


def _write(path: Path, crs: str, named: list[tuple[str, dict[str, object]]]) -> None:
    features = [{"type": "Feature", "properties": {"class": name}, "geometry": shape} for name, shape in named]
    member = {"type": "name", "properties": {"name": crs}}
    path.write_text(json.dumps({"type": "FeatureCollection", "crs": member, "features": features}), encoding="utf-8")

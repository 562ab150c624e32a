"""Small class maps, references and sample points for the analysis tests: real files."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from affine import Affine
from numpy.typing import NDArray
from rasterio.crs import CRS

from sardino_core.contract.model_spec import UNSURE_COLOUR, UNSURE_NAME, ClassSpec
from sardino_core.raster.writing.class_legend import write_aux_xml

UTM = CRS.from_epsg(32633)
ORIGIN = Affine(10, 0, 500_000, 0, -10, 5_400_000)
WATER, TREES, LOW = (
    ClassSpec(80, "water", "#0064c8"),
    ClassSpec(10, "trees", "#006400"),
    ClassSpec(30, "low", "#ffe14c"),
)
UNSURE = ClassSpec(254, UNSURE_NAME, UNSURE_COLOUR)
LEGEND = (TREES, LOW, WATER, UNSURE)


def write_map(
    path: Path,
    values: NDArray[Any],
    legend: Sequence[ClassSpec] = LEGEND,
    *,
    transform: Affine = ORIGIN,
    crs: CRS | None = UTM,
    nodata: float | None = 0,
    **profile: Any,
) -> str:
    """A class map (h, w) with its legend beside it."""
    height, width = values.shape
    grid = {"height": height, "width": width, "transform": transform, "crs": crs}
    with rasterio.open(path, "w", driver="GTiff", count=1, dtype=values.dtype, nodata=nodata, **grid, **profile) as out:
        out.write(values, 1)
    if legend:
        write_aux_xml(Path(f"{path}.aux.xml"), legend)
    return str(path)


def patchwork(height: int = 90, width: int = 100, seed: int = 0) -> NDArray[np.uint8]:
    """Classes in blocks: much low vegetation, some trees and unsure, little water, and a border of nodata."""
    rng = np.random.default_rng(seed)
    cells = rng.choice([30, 10, 254, 80], (-(-height // 5), -(-width // 5)), p=[0.6, 0.2, 0.15, 0.05])
    values = np.kron(cells, np.ones((5, 5)))[:height, :width].astype(np.uint8)
    values[:2] = 0
    return values


def label(path: str | Path, target: Path, reference: Mapping[tuple[int, int], Any] | Any, **changes: Any) -> str:
    """Fill in the points of `path`: `reference` is (h, w) labels in the map's pixels (ORIGIN), or one label for all."""
    document = json.loads(Path(path).read_text(encoding="utf-8"))
    for feature in document["features"]:
        x, y = feature["geometry"]["coordinates"]
        row, col = int((5_400_000 - y) // 10), int((x - 500_000) // 10)
        value = reference[row, col].item() if isinstance(reference, np.ndarray) else reference
        feature["properties"]["reference"] = value
        feature["properties"] |= changes
    target.write_text(json.dumps(document), encoding="utf-8")
    return str(target)

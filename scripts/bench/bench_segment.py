"""The throughput section of `make bench`: `segment` beside other ways to the same map, in turn (ways.py)."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
from pathlib import Path

import numpy as np
import rasterio
from measure import ROOT, spread, table, tell, whole_process, write_tall
from numpy.typing import NDArray

from sardino_core.contract.jobs import SEGMENT_OVERLAP
from sardino_core.models.model_file import read_spec, resolve_model

PEERS = ROOT / "build" / "peers" / "bin" / "python"
OURS, BARE = "segment", "bare"
NAMES = {
    OURS: "`segment`, model loading to closed files",
    BARE: "bare forward pass over the windows",
    "onnxruntime": "ONNX Runtime alone over the windows",
    "loop": "a plain loop with rasterio and torch",
    "torchgeo": "TorchGeo: GridGeoSampler, torch",
    "terratorch": "TerraTorch: tiled_inference, torch",
    "monai": "MONAI: sliding_window_inference, torch",
}
WITHOUT_MAP = (BARE, "onnxruntime")
PEER_WAYS = ("torchgeo", "terratorch", "monai")


def throughput(
    work: Path, block: NDArray[np.float32], model: str, repeats: int, peers: Path = PEERS, seam_px: int = 768
) -> str:
    """All ways over the whole block; the seam error on two views of `seam_px` pixels a side of it."""
    raster = write_tall(work / "square.tif", block, block.shape[1])
    pythons = {way: _python(way, peers) for way in NAMES}
    ways = [way for way, python in pythons.items() if python]
    seconds: dict[str, list[float]] = {way: [] for way in ways}
    peaks: dict[str, float] = {}
    for turn in range(repeats):
        for way in ways:
            tell(f"throughput, {way}, {turn + 1} of {repeats}")
            took, peaks[way] = run_way(pythons[way], way, model, raster, work)
            seconds[way].append(took)
    seams = {way: _seam(pythons[way], way, model, block, seam_px, work) for way in ways if way not in WITHOUT_MAP}
    megapixels = block.shape[1] * block.shape[2] / 1e6
    rows = [
        _row(NAMES[way], megapixels, seconds[way], seconds[OURS], peaks[way], seams.get(way))
        if way in ways
        else (NAMES[way], *["not installed"] * 4)
        for way in NAMES
    ]
    shares = [bare / ours for bare, ours in zip(seconds[BARE], seconds[OURS], strict=True)]
    head = ("", "Mpixel/s", "rate to `segment`", "peak memory", "seam error")
    spec = read_spec(resolve_model(model))
    return (
        f"## Throughput\n\n{block.shape[2]} x {block.shape[1]} pixels, windows of {spec.window} pixels, overlap "
        f"{SEGMENT_OVERLAP:g}, map and confidence written; each way in its own process, {repeats} rounds in turn, "
        "medians (lowest to highest). Imports are not counted; of `segment` the loading of the model is. Peers are "
        "those of `scripts/bench/peers.txt`, each with the same network, batch and stride. Seam error: "
        f"share of the pixels that change class when the windows are moved by half a stride (on {seam_px} x {seam_px} "
        f"pixels, half a window from the edges).\n\n{table(head, rows)}\n\n"
        f"Share of the bare forward pass: median **{statistics.median(shares):.2f}** "
        f"({min(shares):.2f} to {max(shares):.2f}); at least 0.90 is wanted."
    )


def run_way(python: str, way: str, model: str, raster: Path, work: Path) -> tuple[float, float]:
    """Its seconds, and its peak memory in MB; the map is left in `map_of`."""
    report = work / "seconds.json"
    script = str(Path(__file__).with_name("ways.py"))
    run = whole_process([python, script, way, model, str(raster), str(map_of(work, way)), str(report)])
    return json.loads(report.read_text(encoding="utf-8")), run.peak_mb


def map_of(work: Path, way: str) -> Path:
    """Where a way writes its map."""
    return work / f"map_{way}.tif"


def moved_views(block: NDArray[np.float32], side: int, shift: int) -> list[NDArray[np.float32]]:
    """Two views (2, side, side) of a block, `shift` pixels apart in both directions: equal plans, moved windows."""
    return [block[:, start : start + side, start : start + side] for start in (0, shift)]


def changed(first: NDArray[np.uint8], second: NDArray[np.uint8], shift: int, margin: int) -> float:
    """Share of the ground that both maps show, `margin` pixels from every edge, on which they differ."""
    inside = slice(shift + margin, first.shape[0] - margin)
    outside = slice(margin, first.shape[0] - margin - shift)
    return float((first[inside, inside] != second[outside, outside]).mean())


def _seam(python: str, way: str, model: str, block: NDArray[np.float32], side: int, work: Path) -> float:
    spec = read_spec(resolve_model(model))
    patch = spec.backbone.patch
    shift = round(spec.window * (1 - SEGMENT_OVERLAP) / 2 / patch) * patch
    maps = []
    for view in moved_views(block, side, shift):
        tell(f"seam error, {way}")
        run_way(python, way, model, write_tall(work / "view.tif", view, side), work)
        with rasterio.open(map_of(work, way)) as dataset:
            maps.append(dataset.read(1))
    return changed(*maps, shift, spec.window // 2)


def _python(way: str, peers: Path) -> str:
    """The interpreter of a way; empty where the library is not installed."""
    if way not in PEER_WAYS:
        return sys.executable
    if not peers.exists():
        return ""
    found = f"import importlib.util, sys; sys.exit(importlib.util.find_spec({way!r}) is None)"
    return "" if subprocess.run([str(peers), "-c", found], check=False).returncode else str(peers)


def _row(
    name: str, megapixels: float, seconds: list[float], ours: list[float], peak_mb: float, seam: float | None
) -> tuple[str, ...]:
    ratios = [mine / its for mine, its in zip(ours, seconds, strict=True)]
    rate = f"{megapixels / statistics.median(seconds):.3f}"
    return name, rate, spread(ratios), f"{peak_mb:.0f} MB", "no map" if seam is None else f"{seam:.2%}"

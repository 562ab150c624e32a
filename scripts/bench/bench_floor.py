"""The floor section of `make bench`: a raster's windows as arithmetic, at the rate of a matrix multiply."""

from __future__ import annotations

import math
import statistics
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from arithmetic import flops_of, measured
from bench_segment import OURS, run_way
from measure import spread, table, tell, write_tall
from numpy.typing import NDArray

from sardino_core.contract.jobs import SEGMENT_OVERLAP
from sardino_core.contract.model_spec import BackboneSpec, ModelSpec
from sardino_core.models.export import export_onnx
from sardino_core.models.model_file import read_spec, resolve_model, save_model
from sardino_core.models.network import random_network
from sardino_core.raster.tiles import plan_axis

VIT_S = BackboneSpec("vit_small", patch=16, width=384, depth=12, heads=6)


def floor(work: Path, block: NDArray[np.float32], repeats: int, small: BackboneSpec = VIT_S, window: int = 224) -> str:
    """The starter, and a ViT-S/16 at 224 pixels with random weights: time does not depend on them."""
    starter = resolve_model("starter")
    spec = replace(read_spec(starter), name="vit-s", backbone=small, window=window)
    other = Path(save_model(work / "vit-s.safetensors", spec, random_network(spec, 0).state_dict(), "float32"))
    export_onnx(other)
    raster = write_tall(work / "floor.tif", block, block.shape[1])
    rows, rates = [], []
    for model in (starter, other):
        tell(f"floor, {model.stem}")
        spec = read_spec(model)
        windows, each = _windows(spec, block.shape[1:]), _flops(spec)
        floors, took = [], []
        for _ in range(repeats):
            rates.append(measured(torch.device("cpu"), torch.float32).rate)
            floors.append(windows * each / rates[-1])
            took.append(run_way(sys.executable, OURS, str(model), raster, work)[0])
        shares = [least / seconds for least, seconds in zip(floors, took, strict=True)]
        name = f"{spec.backbone.architecture}/{spec.backbone.patch} at {spec.window}, {spec.head} head"
        seconds = f"{statistics.median(floors):.2f} s", f"{statistics.median(took):.2f} s"
        rows.append((name, f"{each / 1e9:.2f} GFLOP", str(windows), *seconds, spread(shares)))
    head = ("", "a window", "windows", "floor", "`segment`", "floor / `segment`")
    return (
        f"## Floor\n\nMultiplications and additions of the windows, attention and head counted, at the rate of the "
        f"matrix multiply measured beside each run (median {statistics.median(rates) / 1e9:.0f} GFLOP/s in float32), "
        f"against `segment` from loading the model to closed files; {repeats} pairs in turn.\n\n{table(head, rows)}\n\n"
        "At least 0.75 is wanted of the ViT-S/16."
    )


def _windows(spec: ModelSpec, shape: tuple[int, ...]) -> int:
    cells = (-(-length // spec.backbone.patch) for length in shape)
    return math.prod(plan_axis(length, spec.tokens_per_side, SEGMENT_OVERLAP).count for length in cells)


def _flops(spec: ModelSpec) -> int:
    """Of one window."""
    network = random_network(spec, 0).eval()
    window = torch.zeros(1, len(spec.inputs.bands), spec.window, spec.window)
    with torch.inference_mode():
        return flops_of(lambda: network(window))

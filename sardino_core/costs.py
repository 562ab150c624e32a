"""What a run will take, before it starts or soon after: windows, time, memory, disk space. Arithmetic alone."""

from __future__ import annotations

from dataclasses import dataclass

from sardino_core.contract.model_spec import ModelSpec
from sardino_core.raster.tiles import TilePlan

_OVERHEAD = 1.2  # a run takes this many times the bare forward passes (docs/benchmarks.md: 0.86 of a run are those)
_START_S = 0.6  # imports, the model's loading, opening and closing files
_STRIPS = 3  # of input alive at once: the one in use, the next one, and the copy that joins them
_BLOCK_ROWS = 256  # of an output; three strips of them wait for compression, one fills
_MB = 1e6


@dataclass(frozen=True)
class Costs:
    """Estimates for a whole run; disk space is before compression, which usually leaves a fraction."""

    windows: int
    seconds: float
    memory_mb: float
    disk_mb: dict[str, float]  # by output


def costs(plan: TilePlan, spec: ModelSpec, *, seconds_per_window: float, filled: float, resident_mb: float) -> Costs:
    """Estimate from the plan and from what was measured.

    `filled`: share of the windows that hold data (0..1; the others are not computed); `resident_mb`: memory of the
    process with the model loaded, a batch computed, and GDAL's cache filled by looking around in the scene.
    """
    channels, classes = len(spec.inputs.bands), max(1, len(spec.classes))
    strip_px = plan.window_px * max(plan.width_px, plan.window_px)
    input_bytes = _STRIPS * strip_px * (4 * channels + 1)
    blending_bytes = 2 * strip_px * 4 * (classes + 1)
    output_bytes = 4 * _BLOCK_ROWS * plan.width_px * 5  # map and confidence
    streams_mb = (input_bytes + blending_bytes + output_bytes) / _MB
    pixels, cells = plan.width_px * plan.height_px, plan.rows.length * plan.cols.length
    disk = {
        "map": pixels,
        "confidence": 4 * pixels,
        "probabilities": 4 * pixels * len(spec.classes),
        "attention": 4 * pixels * spec.backbone.heads,
        "embeddings": 4 * cells * spec.backbone.width,
    }
    if not spec.classes:
        disk = {name: disk[name] for name in ("attention", "embeddings")}
    return Costs(
        windows=plan.count,
        seconds=_START_S + _OVERHEAD * plan.count * filled * seconds_per_window,
        memory_mb=resident_mb + streams_mb,
        disk_mb={name: size / _MB for name, size in disk.items()},
    )


def duration(seconds: float) -> str:
    """For a person."""
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"

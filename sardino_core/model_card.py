"""A model file's description as lines for a person."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from sardino_core.contract.model_spec import ModelSpec


def card(spec: ModelSpec, path: Path) -> list[str]:
    """What the model is, what it needs, what it was made from."""
    return [f"{label + ':':<14}{text}" for label, text in _entries(spec, path) if text]


def _entries(spec: ModelSpec, path: Path) -> Iterator[tuple[str, str]]:
    backbone, inputs, provenance = spec.backbone, spec.inputs, spec.provenance
    low, high = inputs.spacing_m
    yield "model", f"{spec.name} ({spec.task}), {path.stat().st_size / 1e6:.1f} MB"
    yield (
        "backbone",
        (
            f"{backbone.architecture}/{backbone.patch}, {backbone.depth} layers, {backbone.heads} heads, "
            f"width {backbone.width}, {backbone.register_tokens} registers; window {spec.window} px; head {spec.head}"
        ),
    )
    yield "bands", ", ".join(band.key for band in inputs.bands) + f" in {inputs.units}, {inputs.radiometry}"
    yield "date", "temporal composite" if inputs.composite else "one date"
    yield "spacing", f"{low:g} to {high:g} m as it is, {low / 4:g} to {high * 4:g} m resampled"
    for item in spec.classes:
        yield "class", f"{item.value:>3}  {item.name}  {item.colour}"
    if spec.classes:
        calibration = spec.calibration
        yield "unsure", f"254 below probability {calibration.unsure_below:g} (temperature {calibration.temperature:g})"
    yield "not good for", spec.limits
    yield "trained on", "; ".join(provenance.data)
    yield "training", f"{provenance.steps} steps, seed {provenance.seed}" if provenance.steps else ""
    for places, scores in _by_place(provenance.metrics).items():
        yield "measured", f"{places}: {', '.join(scores)}"
    for note in provenance.notes:
        yield "note", note
    yield "licence", spec.licence
    yield "attribution", spec.attribution


def _by_place(metrics: Mapping[str, float]) -> dict[str, list[str]]:
    """`PLACES: SCORE` entries as one list of scores per group of places."""
    groups: dict[str, list[str]] = {}
    for name, value in metrics.items():
        places, _, score = name.rpartition(": ")
        groups.setdefault(places or "all held out", []).append(f"{score} {value:.3g}")
    return groups

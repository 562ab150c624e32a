"""What a pre-training run would use, said before it starts: rasters, dates, units, windows, memory. No torch.

This is all that --dry-run does.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from sardino_core.contract.errors import SettingInvalid
from sardino_core.contract.jobs import SCRATCH
from sardino_core.contract.listener import Listener
from sardino_core.contract.model_reader import read_spec, resolve_model
from sardino_core.contract.model_spec import ModelSpec
from sardino_core.training.settings.pretrain_config import BackboneConfig, PretrainConfig, with_presets
from sardino_core.training.windows.acquisitions import Place
from sardino_core.training.windows.places import Survey, survey
from sardino_core.training.windows.probe_windows import gather_probe

_SAID = 6  # warnings of the reader


def plan(config: PretrainConfig, listener: Listener, init: str = SCRATCH) -> tuple[PretrainConfig, Survey, int]:
    """Look at the rasters, say what would be used, and settle what depends on their amount: what --dry-run does.

    `init` is a model file to go on from, or `scratch`. Returns the settled configuration, the rasters, and how many
    windows fit side by side. Raises SardinoError.
    """
    listener.progress(0.0, "finding rasters")
    if init != SCRATCH:
        config = going_on_from(config, read_spec(resolve_model(init)))
        listener.log("info", config.notes[-1])
    config.spec()  # raises for an impossible network
    found = survey(config, listener)
    windows = count_windows(found.places, config.context_px)
    config, reason = with_presets(config, windows)
    for line in (*summary(found, config), reason, f"about {memory_mb(config):.0f} MB of memory for the training step"):
        listener.log("info", line)
    for line in shortened(found.warnings):
        listener.log("warning", line)
    require_enough(windows, config.optimiser.batch_size)
    return config, replace(found, probe=gather_probe(config, listener)), windows


def going_on_from(config: PretrainConfig, spec: ModelSpec) -> PretrainConfig:
    """With a model to go on from, inputs, backbone and window are that model's, and so is its licence."""
    attribution = dict.fromkeys(text for text in (config.attribution, spec.attribution) if text)
    return replace(
        config,
        model=BackboneConfig(spec.inputs, spec.backbone, spec.window),
        licence=config.licence or spec.licence,
        attribution=" ".join(attribution),
        notes=(*config.notes, f"goes on from the backbone of {spec.name}"),
    )


def count_windows(places: Sequence[Place], side_px: int) -> int:
    """How many windows of `side_px` pixels fit side by side into the valid data."""
    return max(1, round(sum(place.valid_px for place in places) / side_px**2))


def memory_mb(config: PretrainConfig) -> float:
    """A rough estimate of what the training step takes: weights five times over, and activations of one pass."""
    model, views = config.model, config.views
    backbone, prefix = model.backbone, 1 + model.backbone.register_tokens
    head = config.head.hidden * (backbone.width + config.head.hidden + config.head.bottleneck)
    heads = (1 + (config.loss.ibot > 0)) * (head + config.head.prototypes * config.head.bottleneck)
    weights = 12 * backbone.depth * backbone.width**2 + heads
    tokens = 2 * ((model.window // backbone.patch) ** 2 + prefix)
    tokens += views.local_crops * ((views.local_size // backbone.patch) ** 2 + prefix)
    micro = config.optimiser.micro_batch or config.optimiser.batch_size
    activations = micro * tokens * backbone.depth * backbone.width * 20
    answers = micro * (2 + views.local_crops + tokens // 4) * config.head.prototypes * 3
    return 4e-6 * (5 * weights + activations + answers)


def summary(found: Survey, config: PretrainConfig) -> list[str]:
    """What would be used, as lines for people."""
    acquisitions = found.acquisitions
    spacing = sorted(item.grid.spacing_m for item in acquisitions if item.grid.spacing_m)
    repeated = [place for place in found.places if len(place.acquisitions) > 1]
    paired = sum(
        bool(place.partners(index, config.views.dates))
        for place in repeated
        for index in range(len(place.acquisitions))
    )
    lines = [
        f"{len(acquisitions)} rasters of {len(found.places)} places, {_pixels(found) / 1e6:.1f} million valid pixels"
    ]
    if spacing:
        lines.append(f"spacing {spacing[0]:.3g} to {spacing[-1]:.3g} m")
    lines += units_found([item.notes for item in acquisitions])
    lines.append("bands: " + ", ".join(band.key for band in config.model.inputs.bands))
    if repeated:
        lines.append(
            f"{len(repeated)} places with several dates; {paired} rasters have a partner ({config.views.dates})"
        )
    if found.unreadable:
        lines.append(f"skipped, cannot be read: {', '.join(found.unreadable[:6])}")
    return lines


def units_found(notes: Iterable[Sequence[str]]) -> list[str]:
    """A line per kind of units among the reader's notes of each raster: they are recognised file by file."""
    found: dict[str, list[str]] = {}
    for note in (note for said in notes for note in said if note.startswith("units: ")):
        found.setdefault(note.removeprefix("units: ").partition(",")[0], []).append(note)
    lines = [f"{reasons[0]} ({len(reasons)} rasters)" for reasons in found.values() if len(found) == 1]
    several = ", ".join(f"{len(reasons)} in {units}" for units, reasons in found.items())
    lines += [f"units differ and are recognised file by file: {several}"] if len(found) > 1 else []
    return lines + [f"  {reasons[0].removeprefix('units: ')}" for reasons in found.values() if len(found) > 1]


def shortened(lines: Sequence[str]) -> list[str]:
    """A few of many lines, and how many were left out."""
    left_out = [f"and {len(lines) - _SAID} more like these"] if len(lines) > _SAID else []
    return [*lines[:_SAID], *left_out]


def require_enough(windows: int, batch: int) -> None:
    """Raises SettingInvalid when a batch would show the same pixels again and again."""
    if windows * 4 < batch:
        raise SettingInvalid(
            f"The data hold {windows} windows side by side; optimiser.batch_size is {batch}, allowed is up to "
            f"{4 * windows}.",
            "Give more rasters, or lower optimiser.batch_size.",
        )


def _pixels(found: Survey) -> float:
    return sum(place.valid_px for place in found.places)

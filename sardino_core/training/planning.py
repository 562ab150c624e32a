"""What a pre-training run would use, said before it starts: rasters, dates, units, windows, memory. No torch.

This is all that --dry-run does.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from sardino_core.contract.errors import SettingInvalid
from sardino_core.contract.listener import Listener
from sardino_core.training.places import Place, Survey, survey
from sardino_core.training.pretrain_config import PretrainConfig, with_presets


def plan(config: PretrainConfig, listener: Listener) -> tuple[PretrainConfig, Survey, int]:
    """Look at the rasters, say what would be used, and settle what depends on their amount: what --dry-run does.

    Returns the settled configuration, the rasters, and how many windows fit side by side. Raises SardinoError.
    """
    listener.progress(0.0, "finding rasters")
    found = survey(config, listener)
    windows = count_windows(found.places, config.context_px)
    config, reason = with_presets(config, windows)
    config.spec()  # raises for an impossible network
    for line in (*summary(found, config), reason, f"about {memory_mb(config):.0f} MB of memory for the training step"):
        listener.log("info", line)
    require_enough(windows, config.optimiser.batch_size)
    return config, found, windows


def count_windows(places: Sequence[Place], side_px: int) -> int:
    """How many windows of `side_px` pixels fit side by side into the valid data."""
    return max(1, round(sum(place.valid_px * len(place.acquisitions) for place in places) / side_px**2))


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
    units = Counter(note for item in acquisitions for note in item.notes if note.startswith("units:"))
    lines = [
        f"{len(acquisitions)} rasters of {len(found.places)} places, {_pixels(found) / 1e6:.1f} million valid pixels"
    ]
    if spacing:
        lines.append(f"spacing {spacing[0]:.3g} to {spacing[-1]:.3g} m")
    lines += [f"{note} ({count} rasters)" for note, count in units.most_common(4)]
    lines.append("bands: " + ", ".join(band.key for band in config.model.inputs.bands))
    if repeated:
        lines.append(
            f"{len(repeated)} places with several dates; {paired} rasters have a partner ({config.views.dates})"
        )
    if found.unreadable:
        lines.append(f"skipped, cannot be read: {', '.join(found.unreadable[:6])}")
    return lines


def require_enough(windows: int, batch: int) -> None:
    """Raises SettingInvalid when a batch would show the same pixels again and again."""
    if windows * 4 < batch:
        raise SettingInvalid(
            f"The data hold {windows} windows side by side; optimiser.batch_size is {batch}, allowed is up to "
            f"{4 * windows}.",
            "Give more rasters, or lower optimiser.batch_size.",
        )


def _pixels(found: Survey) -> float:
    return sum(place.valid_px * len(place.acquisitions) for place in found.places)

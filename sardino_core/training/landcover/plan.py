"""What a fine-tuning run would use, said before it starts: scenes, units, labels by class, windows, memory. No torch.

This is all that --dry-run does.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

from sardino_core.contract.errors import SettingInvalid
from sardino_core.contract.listener import Listener
from sardino_core.models.model_file import read_spec, resolve_model
from sardino_core.training.dino.plan import shortened
from sardino_core.training.settings.epochs import with_epochs
from sardino_core.training.settings.finetune_config import FinetuneConfig
from sardino_core.training.windows.label_blocks import Census, take_census
from sardino_core.training.windows.sources import SceneStore

SCRATCH = "scratch"
_COARSE = 1.5  # times the label fraction that was asked for: beyond that it is worth a warning
_WINDOWS_PER_BLOCK = 16  # that differ: half overlapping in both directions, flipped or not


@dataclass(frozen=True)
class Material:
    """What a run has to work with."""

    config: FinetuneConfig  # with the model that it starts from
    store: SceneStore
    census: Census


def finetune_plan(config: FinetuneConfig, init: str, listener: Listener) -> None:
    """Look at everything and say what would be used: what --dry-run does. Raises SardinoError."""
    with gather(config, init, listener):
        pass


@contextmanager
def gather(config: FinetuneConfig, init: str, listener: Listener) -> Iterator[Material]:
    """Find scenes, count their labels, say what will be used. `init` is a model file, or `scratch`.

    Raises SardinoError.
    """
    listener.progress(0.0, "finding rasters")
    config = _with_model_of(config, init)
    config.spec()  # raises for an impossible network
    with SceneStore(config) as store:
        census = take_census(store, config, listener)
        epochs, optimiser = config.optimiser.epochs, with_epochs(config.optimiser, census.blocks, ("warm_up",))
        config = replace(config, optimiser=optimiser)
        if epochs:
            listener.log("info", f"{epochs:g} epochs are {optimiser.steps} steps")
        for line in summary(store, census, config):
            listener.log("info", line)
        if fraction_used(census) > _COARSE * config.label_fraction:
            listener.log(
                "warning", f"whole blocks, one for each kind of label, are {fraction_used(census):.1%} of them"
            )
        for line in shortened(tuple(store.warnings)):
            listener.log("warning", line)
        require_enough(census, config)
        yield Material(config, store, census)


def summary(store: SceneStore, census: Census, config: FinetuneConfig) -> list[str]:
    """What would be used, as lines for people."""
    pixels = sum(scene.grid.height * scene.grid.width for scene in store.scenes)
    sources = {scene.source.name for scene in store.scenes}
    spacing = sorted(scene.grid.spacing_m for scene in store.scenes if scene.grid.spacing_m)
    units = Counter(note for scene in store.scenes for note in scene.notes if note.startswith("units:"))
    lines = [f"{len(store.scenes)} scenes ({', '.join(sorted(sources))}), {pixels / 1e6:.1f} million pixels"]
    if spacing:
        lines.append(f"spacing {spacing[0]:.3g} to {spacing[-1]:.3g} m")
    lines += [f"{note} ({count} scenes)" for note, count in units.most_common(4)]
    lines.append("bands: " + ", ".join(band.key for band in config.model.inputs.bands))
    lines += ["labelled pixels that train and that validate:", *_histogram(store, census)]
    if config.label_fraction < 1:
        share = f"{fraction_used(census):.2%} of the training labels, in whole blocks"
        lines.append(f"label_fraction {config.label_fraction:g}: {share}")
    lines.append(f"{census.blocks} blocks of {config.model.window} x {config.model.window} pixels have labels to train")
    lines.append(f"about {memory_mb(config):.0f} MB of memory for the training step")
    return lines


def memory_mb(config: FinetuneConfig) -> float:
    """A rough estimate of what the training step takes: weights six times over, and activations of one pass."""
    model, optimiser = config.model, config.optimiser
    backbone = model.backbone
    weights = 12 * backbone.depth * backbone.width**2
    tokens = (model.window // backbone.patch) ** 2 + 1 + backbone.register_tokens
    trained = {"full": backbone.depth, "partial": min(optimiser.trained_blocks, backbone.depth), "frozen": 1}
    decoder = 250 if model.head == "decoder" else 0  # numbers kept for each pixel of a window
    per_window = tokens * trained[optimiser.train] * backbone.width * 20
    per_window += model.window**2 * (decoder + 6 * len(config.classes))
    return 4e-6 * (6 * weights + (optimiser.micro_batch or optimiser.batch_size) * per_window)


def require_enough(census: Census, config: FinetuneConfig) -> None:
    """Raises SettingInvalid when a batch would show the same labels again and again."""
    batch, allowed = config.optimiser.batch_size, _WINDOWS_PER_BLOCK * census.blocks
    if batch > allowed:
        raise SettingInvalid(
            f"The training labels lie in {census.blocks} blocks of the window's size; optimiser.batch_size is {batch}, "
            f"allowed is up to {allowed}.",
            "Give more labels, or lower optimiser.batch_size.",
        )


def fraction_used(census: Census) -> float:
    """The share of the training labels that is really used, in whole blocks."""
    return float(census.used.sum() / max(1, census.available.sum()))


def set_names(store: SceneStore) -> list[str]:
    """Each class set by its classes' names; the empty one is the first."""
    names = {item.value: item.name for item in store.sets.classes}
    return [" or ".join(names[value] for value in names if value in members) for members in store.sets.members]


def _histogram(store: SceneStore, census: Census) -> list[str]:
    rows = zip(set_names(store), census.used, census.available, census.validation, strict=True)
    return [
        f"  {name}: {used:,}{f' of {available:,}' if used < available else ''} and {held_out:,}"
        for name, used, available, held_out in rows
        if available or held_out
    ]


def _with_model_of(config: FinetuneConfig, init: str) -> FinetuneConfig:
    """With a model to start from, inputs and backbone are its own; its window, too, unless another is asked for."""
    if init == SCRATCH:
        return config
    spec = read_spec(resolve_model(init))
    model = replace(config.model, inputs=spec.inputs, backbone=spec.backbone)
    return replace(config, model=replace(model, window=spec.window) if model.keep_window else model)

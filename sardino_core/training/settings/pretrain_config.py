"""What a pre-training run is told: frozen dataclasses from YAML, and the sizes that follow from the amount of data.

A value of 0 where a comment says so is chosen by `with_presets` from the number of windows. No torch here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from sardino_core.contract.errors import SettingInvalid
from sardino_core.contract.jobs import Units
from sardino_core.contract.model_spec import BackboneSpec, InputSpec, ModelSpec
from sardino_core.training.settings.epochs import with_epochs
from sardino_core.training.settings.run_config import Precision, RunConfig
from sardino_core.training.settings.yaml_config import (
    read_config,
    require_none_negative,
    require_positive,
    require_seed_and_betas,
    require_within,
)
from sardino_core.training.windows.chips import ChipConfig


@dataclass(frozen=True)
class BackboneConfig:
    """The network to build; `window` is the side of the global crops and of the model's windows later."""

    inputs: InputSpec
    backbone: BackboneSpec
    window: int = 64


@dataclass(frozen=True)
class ImageConfig:
    """Unlabelled rasters that are read the same way."""

    name: str = "images"
    images: tuple[str, ...] = ()  # globs; VV and VH files of one scene find each other by name; M3LEO chip folders
    units: Units = "auto"
    bands: dict[str, int] = field(default_factory=dict)
    m3leo: ChipConfig = field(default_factory=ChipConfig)
    weight: float = 1.0  # how often a place is drawn for its area, relative to the other sources


@dataclass(frozen=True)
class ViewConfig:
    """Random views of a window; probabilities and ranges, each of which can be turned off. Physics in `views`."""

    context: float = 1.5  # side of the part of the raster that the crops of a window come from, in global crops
    global_area: tuple[float, float] = (0.4, 1.0)  # of the context that a global crop covers, as DINO
    local_area: tuple[float, float] = (0.05, 0.4)
    local_crops: int = 8
    local_size: int = 32  # pixels
    aspect: float = 1.1  # greatest ratio of the sides that a crop is stretched by; DINO's 4/3 would bend parcels
    zoom: tuple[float, float] = (0.8, 1.5)  # raster pixels per network pixel on reading, even in the logarithm
    flip_east_west: float = 0.5
    flip_north_south: float = 0.5
    speckle: float = 0.5  # probability
    speckle_looks: tuple[float, float] = (4.0, 40.0)  # of the speckle added: from one date's GRD to faint
    multilook: float = 0.2  # probability of a smoother product: 3 x 3 or 5 x 5 pixels averaged in power
    gain_db: float = 1.0  # sigma of an offset of all bands
    band_gain_db: float = 0.5  # sigma of an offset of each band by itself
    drop_band: float = 0.1  # probability that one of several bands is missing
    invalid: float = 0.05  # probability of a stripe or hole without data
    invalid_share: float = 0.3
    dates: Literal["same-orbit", "any", "off"] = "same-orbit"  # the two global views from two dates where there are


@dataclass(frozen=True)
class HeadConfig:
    """The projection head."""

    prototypes: int = 0  # 0: by the number of windows
    hidden: int = 512  # official: 2048, for ViT-S and more
    bottleneck: int = 256


@dataclass(frozen=True)
class DinoConfig:
    """The loss and the teacher."""

    centring: Literal["sinkhorn", "ema", "none"] = "sinkhorn"  # none: to see a collapse
    student_temperature: float = 0.1
    teacher_temperature: float = 0.0  # 0: by the number of windows
    teacher_temperature_start: float = 0.0  # 0: the same; rises over `teacher_warm_up`
    teacher_warm_up: int = 0  # steps
    centre_momentum: float = 0.9
    momentum: float = 0.0  # of the teacher's weights at the start, cosine to 1; 0: by the number of windows
    koleo: float = 0.1  # weight, per global crop
    ibot: float = 1.0  # weight of the masked-patch loss; 0: no mask, no patch head
    mask_chance: float = 0.5  # share of the global crops that are masked
    mask_share: tuple[float, float] = (0.1, 0.5)  # of their patches


@dataclass(frozen=True)
class PretrainOptimiserConfig:
    """AdamW with linear warm-up and cosine; weight decay rises by a cosine and spares biases, norms and tokens."""

    steps: int = 600
    epochs: float = 0.0  # instead of steps: passes over the windows that fit side by side; stretches what is in steps
    batch_size: int = 64  # windows per step, over all processes and parts
    micro_batch: int = 0  # windows per forward pass; fewer than the batch: gradients are accumulated; 0: the batch
    lr: float = 5e-4  # at this batch size; DINO's rule is 5e-4 * batch / 256
    final_lr: float = 1e-6
    warm_up: int = 60  # steps
    betas: tuple[float, float] = (0.9, 0.999)
    weight_decay: float = 0.04
    final_weight_decay: float = 0.4
    clip_norm: float = 3.0  # of every parameter tensor by itself, as DINO
    freeze_last_layer: int = 30  # steps in which the prototypes stay as they are; official: the first epoch
    drop_path: float = 0.1  # student alone
    precision: Precision = "fp32"
    compile: bool = False  # torch.compile; pays on a GPU, takes minutes at the start


@dataclass(frozen=True)
class ProbeConfig:
    """Labels that tell, now and then, what the tokens know of land cover. They never touch the training."""

    images: tuple[str, ...] = ()  # globs; none: no probe
    labels: tuple[str, ...] = ()
    mapping: dict[int, int] = field(default_factory=dict)  # label value -> class; {}: each of WorldCover's codes is one
    ignore: tuple[int, ...] = (0,)
    units: Units = "auto"
    bands: dict[str, int] = field(default_factory=dict)
    m3leo: ChipConfig = field(default_factory=ChipConfig)
    every: int = 100  # steps, and at the beginning and the end; 0: only then
    windows: int = 64  # at most, to fit the probes and as many to score them
    block_px: int = 256  # side of the blocks that do either; smaller rasters are quartered


@dataclass(frozen=True)
class PretrainConfig:
    """A whole run; saved as resolved beside the weights."""

    name: str
    model: BackboneConfig
    sources: tuple[ImageConfig, ...]
    seed: int = 0
    paths: dict[str, str] = field(default_factory=dict)  # what `{name}` in a glob stands for
    least_valid: float = 0.5  # share of a window with data below which it is skipped
    unreadable: float = 0.1  # share of the files that may turn out damaged before the run stops
    views: ViewConfig = ViewConfig()
    head: HeadConfig = HeadConfig()
    loss: DinoConfig = DinoConfig()
    optimiser: PretrainOptimiserConfig = PretrainOptimiserConfig()
    probe: ProbeConfig = field(default_factory=ProbeConfig)
    run: RunConfig = field(default_factory=RunConfig)
    licence: str = ""
    attribution: str = ""
    limits: str = ""
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Validate ranges; raises SettingInvalid naming the key."""
        _check(self)

    @property
    def context_px(self) -> int:
        """Side of the part of a raster that the views of one window come from, in network pixels."""
        return round(self.views.context * self.model.window)

    def spec(self) -> ModelSpec:
        """The specification of the backbone before training. Raises ModelInvalid for impossible ones."""
        return ModelSpec(
            name=self.name,
            task="pretrained",
            window=self.model.window,
            backbone=self.model.backbone,
            inputs=self.model.inputs,
            licence=self.licence,
            attribution=self.attribution,
            limits=self.limits,
        )


def load_pretrain_config(name_or_path: str | Path, overrides: Sequence[str] = ()) -> PretrainConfig:
    """Read a YAML file, or the one of that name that ships, and apply `key.inner=value` overrides."""
    return read_config(PretrainConfig, name_or_path, overrides)


def with_images(config: PretrainConfig, images: Sequence[str]) -> PretrainConfig:
    """The configuration with its one source pointed at these globs; unchanged when none are given."""
    if not images:
        if not any(source.images for source in config.sources):
            raise SettingInvalid("No image is named, neither in the configuration nor with --images.")
        return config
    if len(config.sources) != 1:
        raise SettingInvalid(
            f"The configuration {config.name} has {len(config.sources)} sources; --images needs one.",
            "Name the rasters in the configuration.",
        )
    return replace(config, sources=(replace(config.sources[0], images=tuple(images)),))


@dataclass(frozen=True)
class Preset:
    """Sizes that suit an amount of data."""

    up_to: float  # windows
    prototypes: int
    teacher_temperature: float
    momentum: float


# Small data needs a smaller problem: with DINO's 65536 prototypes, 0.04 and 0.996 a few thousand windows collapse.
PRESETS = (
    Preset(20_000, 1024, 0.02, 0.99),
    Preset(50_000, 2048, 0.02, 0.99),
    Preset(100_000, 4096, 0.03, 0.992),
    Preset(200_000, 16_384, 0.04, 0.994),
    Preset(500_000, 32_768, 0.04, 0.996),
    Preset(float("inf"), 65_536, 0.04, 0.996),
)


def with_presets(config: PretrainConfig, windows: int) -> tuple[PretrainConfig, str]:
    """Fill in what was left to the amount of data; returns the reason as a line for the log as well."""
    preset = next(item for item in PRESETS if windows <= item.up_to)
    optimiser = with_epochs(config.optimiser, windows, ("warm_up", "freeze_last_layer"))
    loss, head = config.loss, config.head
    chosen: dict[str, Any] = {}
    if not head.prototypes:
        chosen["prototypes"] = preset.prototypes
        head = replace(head, prototypes=preset.prototypes)
    if not loss.teacher_temperature:
        chosen["teacher temperature"] = preset.teacher_temperature
        loss = replace(loss, teacher_temperature=preset.teacher_temperature)
    if not loss.momentum:
        chosen["momentum"] = preset.momentum
        loss = replace(loss, momentum=preset.momentum)
    said = ", ".join(f"{name} {value:g}" for name, value in chosen.items())
    reason = f"{windows} windows side by side fit the data: {said or 'all sizes are as configured'}"
    if optimiser.steps != config.optimiser.steps:
        reason += f"; {config.optimiser.epochs:g} epochs are {optimiser.steps} steps"
    return replace(config, head=head, loss=loss, optimiser=optimiser), reason


def _check(config: PretrainConfig) -> None:
    optimiser, views, loss = config.optimiser, config.views, config.loss
    for key, value in {
        "optimiser.steps": optimiser.steps,
        "optimiser.batch_size": optimiser.batch_size,
        "optimiser.lr": optimiser.lr,
        "optimiser.clip_norm": optimiser.clip_norm,
        "loss.student_temperature": loss.student_temperature,
        "head.hidden": config.head.hidden,
        "head.bottleneck": config.head.bottleneck,
        "probe.windows": config.probe.windows,
        "probe.block_px": config.probe.block_px,
    }.items():
        require_positive(key, value)
    shares = {f"views.{name}": getattr(views, name) for name in _SHARES}
    shares |= {"least_valid": config.least_valid, "unreadable": config.unreadable}
    shares |= {"loss.mask_chance": loss.mask_chance, "optimiser.drop_path": optimiser.drop_path}
    for key, value in shares.items():
        require_within(key, value, 0, 1)
    for key, (low, high), least, most in (
        ("views.global_area", views.global_area, 0.01, 1.0),
        ("views.local_area", views.local_area, 0.01, 1.0),
        ("views.zoom", views.zoom, 0.25, 8.0),
        ("views.speckle_looks", views.speckle_looks, 1.0, 1000.0),
        ("loss.mask_share", loss.mask_share, 0.0, 0.9),
    ):
        require_within(f"{key}[0]", low, least, high)
        require_within(f"{key}[1]", high, low, most)
    require_within("optimiser.epochs", optimiser.epochs, 0, 1e6)
    require_none_negative(
        ("loss", loss, ("teacher_temperature", "teacher_temperature_start", "teacher_warm_up", "koleo", "ibot")),
        ("optimiser", optimiser, ("final_lr", "warm_up", "weight_decay", "final_weight_decay", "freeze_last_layer")),
        ("views", views, ("gain_db", "band_gain_db")),
        *((f"sources[{index}]", source, ("weight",)) for index, source in enumerate(config.sources)),
    )
    require_seed_and_betas(config.seed, optimiser.betas)
    require_within("loss.centre_momentum", loss.centre_momentum, 0, 1)
    require_within("views.context", views.context, 1, 8)
    require_within("views.aspect", views.aspect, 1, 2)
    require_within("views.local_crops", views.local_crops, 0, 32)
    require_within("loss.momentum", loss.momentum, 0, 1)
    require_within("head.prototypes", config.head.prototypes, 0, 1 << 20)
    _check_fit(config)


_SHARES = ("flip_east_west", "flip_north_south", "speckle", "multilook", "drop_band", "invalid", "invalid_share")


def _check_fit(config: PretrainConfig) -> None:
    """What has to divide what."""
    patch, local = config.model.backbone.patch, config.views.local_size
    require_positive("model.backbone.patch", patch)
    if local % patch or not patch <= local <= config.model.window:
        raise SettingInvalid(
            f"views.local_size is {local}; allowed are multiples of the patch, {patch}, up to {config.model.window}."
        )
    batch, micro = config.optimiser.batch_size, config.optimiser.micro_batch
    if micro < 0 or (micro and batch % micro):
        raise SettingInvalid(f"optimiser.micro_batch is {micro}; it must divide optimiser.batch_size, {batch}.")

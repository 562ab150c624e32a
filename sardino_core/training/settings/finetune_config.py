"""What a fine-tuning run is told: frozen dataclasses, read from YAML, with `key=value` overrides from the command line.

Every key that is not known is named in the error. No torch here, so that a wrong key is told at once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from sardino_core.contract.errors import SettingInvalid
from sardino_core.contract.jobs import Units
from sardino_core.contract.model_spec import BackboneSpec, ClassSpec, InputSpec, ModelSpec
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
class ModelConfig:
    """The network to build when training from scratch; with `--init MODEL` backbone and inputs come from that file."""

    inputs: InputSpec
    backbone: BackboneSpec
    window: int = 128
    head: Literal["linear", "decoder"] = "decoder"
    keep_window: bool = True  # with a model to start from its own window; false: the one above, positions resampled


@dataclass(frozen=True)
class SourceConfig:
    """Rasters with labels that are read the same way. `{name}` in a glob stands for an entry of `paths`."""

    name: str = "images"
    images: tuple[str, ...] = ()  # globs; VV and VH files of one scene find each other by name; M3LEO chip folders
    labels: tuple[str, ...] = ()  # globs; as many files as scenes: paired in sorted order, else by place; M3LEO: none
    mapping: dict[int, tuple[int, ...]] = field(default_factory=dict)  # label value -> classes it allows; {}: itself
    ignore: tuple[int, ...] = (0,)  # label values that say nothing; the file's own nodata is added
    erode_px: int = 0  # labels this close to another label are not trusted: mixed pixels, coarse outlines
    hold_out: float = 0.0  # share of every raster's blocks kept for validation; 1: all of it
    weight: float = 1.0  # share of the training windows, relative to the other sources
    units: Units = "auto"
    bands: dict[str, int] = field(default_factory=dict)
    m3leo: ChipConfig = field(
        default_factory=ChipConfig
    )  # for chip folders: season, orbit, and the splits instead of `hold_out`


@dataclass(frozen=True)
class AugmentConfig:
    """Random changes to a training window; every one can be 0. See `augment` for the physics of each."""

    flip_east_west: float = 0.5  # probability; turns an ascending look into a descending one
    flip_north_south: float = 0.5  # probability; nearly keeps the look
    gain_db: float = 1.0  # sigma of an offset common to all bands: calibration, sigma0 against gamma0, moisture
    band_gain_db: float = 0.5  # sigma of an offset of each band by itself
    zoom: tuple[float, float] = (0.8, 1.5)  # raster pixels per network pixel, drawn evenly in its logarithm
    multilook: float = 0.15  # probability of a smoother product: 3 x 3 or 5 x 5 pixels averaged in power
    invalid: float = 0.1  # probability of a stripe or hole without data
    invalid_share: float = 0.3  # of the window's side that a stripe or hole takes at most


@dataclass(frozen=True)
class OptimiserConfig:
    """AdamW (Loshchilov & Hutter 2019) with linear warm-up and a cosine to `final_lr`."""

    train: Literal["full", "partial", "frozen"] = "full"  # frozen: the head alone; partial: and the topmost blocks
    trained_blocks: int = 2  # of the backbone, from the top, with its last norm; for `partial`
    steps: int = 600
    epochs: float = 0.0  # instead of steps: passes over the blocks that have labels to train; stretches the warm-up
    batch_size: int = 16  # windows per step, over all processes and passes
    micro_batch: int = 0  # windows per forward pass; fewer than the batch: gradients are accumulated; 0: the batch
    lr: float = 1e-3
    final_lr: float = 1e-5
    warm_up: int = 50  # steps
    betas: tuple[float, float] = (0.9, 0.95)  # 0.95 instead of 0.999, as in MAE: noisy gradients, short runs
    weight_decay: float = 0.05  # not on biases, norms, position embeddings and tokens
    layer_decay: float = 1.0  # each block below the head learns this much slower; 0.75 suits a pre-trained backbone
    clip_norm: float = 1.0
    drop_path: float = 0.0  # in blocks that are trained
    precision: Precision = "fp32"  # half pays where the processor has units for it; losses stay in fp32
    compile: bool = False  # torch.compile; pays on a GPU, takes minutes at the start
    ema_decay: float = 0.99  # of the weights that are saved; 0: the last step's weights


@dataclass(frozen=True)
class LossConfig:
    """Cross-entropy or focal loss over the classes that a label allows; see `losses`."""

    label_smoothing: float = 0.05
    focal_gamma: float = 0.0  # 2 as Lin et al. 2017: pixels that are right already count less; 0: cross-entropy
    class_weights: dict[int, float] = field(default_factory=dict)  # by class value; those not named have 1
    balance: float = 0.0  # and each times (its share of the labels)^-balance; 0.5: inverse square root; 0: off
    doubt: float = (
        0.0  # where a label allows every class: weight of the pull to equal probabilities, for strange windows
    )
    dice: float = 0.0  # weight of the soft Dice loss beside the cross-entropy


@dataclass(frozen=True)
class ValidationConfig:
    """Held-out labels: how often they are looked at, and how the model's doubt is set from them."""

    every: int = 100  # steps; the last step always
    block_px: int = 512  # side of the blocks that are held out whole; smaller rasters are quartered
    margin_px: int = 8  # labels this close to the other side of a split are used by neither
    target_accuracy: float = 0.9  # below the lowest confidence that reaches it a pixel is `unsure` ...
    most_unsure: float = 0.1  # ... but never more than this share of the validation pixels


@dataclass(frozen=True)
class FinetuneConfig:
    """A whole run; saved as resolved beside the weights."""

    name: str
    model: ModelConfig
    classes: tuple[ClassSpec, ...]
    sources: tuple[SourceConfig, ...]
    seed: int = 0
    paths: dict[str, str] = field(default_factory=dict)
    least_valid: float = 0.25  # share of a window with data, and
    least_labelled: float = 0.05  # with labels, below which it is skipped
    label_fraction: float = 1.0  # of the training labels, in whole units: what labels are worth; nested by fraction
    label_unit: Literal["block", "place"] = "block"  # of the window's size, or all that one label raster covers
    unreadable: float = 0.1  # share of the scenes that may turn out damaged before the run stops
    augment: AugmentConfig = AugmentConfig()
    optimiser: OptimiserConfig = OptimiserConfig()
    loss: LossConfig = LossConfig()
    validation: ValidationConfig = ValidationConfig()
    run: RunConfig = field(default_factory=RunConfig)
    licence: str = ""
    attribution: str = ""
    limits: str = ""
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Validate ranges; raises SettingInvalid naming the key."""
        _check(self)

    def spec(self) -> ModelSpec:
        """The specification of the network before training. Raises ModelInvalid for impossible ones."""
        model = self.model
        return ModelSpec(
            name=self.name,
            task="segmentation",
            window=model.window,
            backbone=model.backbone,
            inputs=model.inputs,
            head=model.head,
            classes=self.classes,
            licence=self.licence,
            attribution=self.attribution,
            limits=self.limits,
        )


def load_config(name_or_path: str | Path, overrides: Sequence[str] = ()) -> FinetuneConfig:
    """Read a YAML file, or the one of that name that ships, and apply `key.inner=value` overrides."""
    return read_config(FinetuneConfig, name_or_path, overrides)


def with_rasters(config: FinetuneConfig, images: Sequence[str], labels: Sequence[str]) -> FinetuneConfig:
    """The configuration with its one source pointed at these globs; unchanged when none are given."""
    if not images and not labels:
        if not any(source.images for source in config.sources):
            raise SettingInvalid("No image is named, neither in the configuration nor with --images.")
        return config
    if len(config.sources) != 1:
        raise SettingInvalid(
            f"The configuration {config.name} has {len(config.sources)} sources; --images and --labels need one.",
            "Use a configuration with one source, such as finetune-tiny, or name the rasters in the configuration.",
        )
    source = config.sources[0]
    source = replace(source, images=tuple(images) or source.images, labels=tuple(labels) or source.labels)
    return replace(config, sources=(source,))


def _check(config: FinetuneConfig) -> None:
    optimiser, augment, validation = config.optimiser, config.augment, config.validation
    require_positive("optimiser.steps", optimiser.steps)
    require_positive("optimiser.batch_size", optimiser.batch_size)
    require_positive("optimiser.lr", optimiser.lr)
    require_positive("optimiser.clip_norm", optimiser.clip_norm)
    require_positive("validation.every", validation.every)
    require_positive("validation.block_px", validation.block_px)
    require_none_negative(
        ("optimiser", optimiser, ("final_lr", "warm_up", "weight_decay")),
        ("augment", augment, ("gain_db", "band_gain_db")),
        ("loss", config.loss, ("dice",)),
        ("validation", validation, ("margin_px",)),
    )
    require_seed_and_betas(config.seed, optimiser.betas)
    require_within("optimiser.epochs", optimiser.epochs, 0, 1e6)
    require_within("optimiser.ema_decay", optimiser.ema_decay, 0, 0.99999)
    require_within("optimiser.layer_decay", optimiser.layer_decay, 0.01, 1)
    require_within("optimiser.trained_blocks", optimiser.trained_blocks, 0, 1000)
    require_within("loss.label_smoothing", config.loss.label_smoothing, 0, 0.5)
    require_within("loss.focal_gamma", config.loss.focal_gamma, 0, 10)
    require_within("loss.balance", config.loss.balance, 0, 1)
    require_within("loss.doubt", config.loss.doubt, 0, 10)
    require_within("label_fraction", config.label_fraction, 0.0001, 1)
    require_within("augment.zoom[0]", augment.zoom[0], 0.25, augment.zoom[1])
    require_within("augment.zoom[1]", augment.zoom[1], augment.zoom[0], 8)
    shares: Mapping[str, float] = {
        "augment.flip_east_west": augment.flip_east_west,
        "augment.multilook": augment.multilook,
        "augment.flip_north_south": augment.flip_north_south,
        "augment.invalid": augment.invalid,
        "augment.invalid_share": augment.invalid_share,
        "validation.target_accuracy": validation.target_accuracy,
        "validation.most_unsure": validation.most_unsure,
        "least_valid": config.least_valid,
        "least_labelled": config.least_labelled,
        "unreadable": config.unreadable,
        "optimiser.drop_path": optimiser.drop_path,
    }
    for key, value in shares.items():
        require_within(key, value, 0, 1)
    for index, source in enumerate(config.sources):
        require_within(f"sources[{index}].hold_out", source.hold_out, 0, 1)
        require_within(f"sources[{index}].weight", source.weight, 0, 1e6)
        require_within(f"sources[{index}].erode_px", source.erode_px, 0, 64)
    _check_fit(config)


def _check_fit(config: FinetuneConfig) -> None:
    """What refers to each other."""
    known = {item.value for item in config.classes}
    unknown = sorted(set(config.loss.class_weights) - known)
    if unknown:
        raise SettingInvalid(f"loss.class_weights names {unknown[0]}; the classes are {sorted(known)}.")
    for value, weight in config.loss.class_weights.items():
        require_within(f"loss.class_weights.{value}", weight, 0, 1e6)
    if known and not any(config.loss.class_weights.get(value, 1.0) for value in known):
        raise SettingInvalid("loss.class_weights is 0 for every class; nothing would be learnt.")
    require_positive("model.backbone.patch", config.model.backbone.patch)
    batch, micro = config.optimiser.batch_size, config.optimiser.micro_batch
    if micro < 0 or (micro and batch % micro):
        raise SettingInvalid(f"optimiser.micro_batch is {micro}; it must divide optimiser.batch_size, {batch}.")

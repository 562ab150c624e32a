"""What a study is told: frozen dataclasses, read from YAML with `key=value` overrides. No torch.

The pre-training's and the fine-tuning's own settings are parts of it, as their own commands take them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from sardino_core.contract.errors import SettingInvalid
from sardino_core.training.settings.finetune_config import FinetuneConfig
from sardino_core.training.settings.pretrain_config import PretrainConfig
from sardino_core.training.settings.yaml_config import read_config, require_positive, require_within


@dataclass(frozen=True)
class PlacesConfig:
    """How many places there are of each kind; simulated unless the source of `finetune` names images."""

    train: int = 100  # simulated ones; of one's own all that are left over
    validation: int = 12  # choose the settings of every arm
    test: int = 36  # are looked at by the settled arms alone
    seen: float = 0.5  # share of the test places whose images, never their labels, pre-training has, too
    size: int = 256  # pixels a side of a simulated place
    seed: int = 1  # of the first simulated place; or of the split of one's own
    apart_m: float = 1000.0  # of one's own images, those nearer than this are of one place


@dataclass(frozen=True)
class ArmConfig:
    """One way from labels to a map."""

    name: str
    tried: tuple[float, ...]  # learning rates, or the forest's smallest leaves in pixels; as many for each arm
    kind: Literal["vit", "unet", "forest"] = "vit"
    init: Literal["pretrained", "scratch"] = "scratch"  # of a ViT
    train: Literal["full", "frozen"] = "full"  # of a ViT; frozen: the head alone
    head: Literal["linear", "decoder"] = "decoder"  # of a ViT
    layer_decay: float = 1.0  # each block below the head learns this much slower

    @property
    def starts_pretrained(self) -> bool:
        """Whether it starts from the study's pre-training."""
        return self.kind == "vit" and self.init == "pretrained"


@dataclass(frozen=True)
class UNetConfig:
    """Size of the U-Net."""

    width: int = 16  # channels at full resolution
    levels: int = 4


@dataclass(frozen=True)
class ForestConfig:
    """Size of the random forest."""

    trees: int = 50
    samples: int = 20_000  # labelled pixels it is fitted to at most


@dataclass(frozen=True)
class StudyConfig:
    """A whole study; saved as resolved beside its cells."""

    name: str
    pretrain: PretrainConfig
    finetune: FinetuneConfig  # labels, classes, windows, augmentation, loss and length, common to all arms
    arms: tuple[ArmConfig, ...]
    compare: tuple[tuple[str, str], ...]  # arms whose paired difference is reported, first minus second
    places: PlacesConfig = PlacesConfig()
    fractions: tuple[float, ...] = (0.01, 0.05, 0.2, 1.0)  # of the labels
    seeds: tuple[int, ...] = (0, 1, 2, 3, 4)  # of the labels chosen, the random weights and the windows drawn
    tuning_seed: int = 100  # the same of the trials
    unet: UNetConfig = UNetConfig()
    forest: ForestConfig = ForestConfig()
    real: str | None = None  # folder of real tiles, as configs/finetune-starter.yaml names them: more test places
    resamples: int = 2000  # of the places, for the intervals
    workers: int = 2  # processes, each with
    threads: int = 1  # of them

    def __post_init__(self) -> None:
        """Validate ranges; raises SettingInvalid naming the key."""
        _check(self)

    @property
    def simulated(self) -> bool:
        """Whether the places are made rather than given."""
        return not any(source.images for source in self.finetune.sources)

    @property
    def pretrains(self) -> bool:
        """Whether any arm starts from pre-training."""
        return any(arm.starts_pretrained for arm in self.arms)

    def arm(self, name: str) -> ArmConfig:
        """By its name."""
        return next(arm for arm in self.arms if arm.name == name)


def load_study_config(name_or_path: str | Path, overrides: Sequence[str] = ()) -> StudyConfig:
    """Read a YAML file, or the one of that name that ships, and apply `key.inner=value` overrides."""
    return read_config(StudyConfig, name_or_path, overrides)


def _check(config: StudyConfig) -> None:
    places = config.places
    for key, count in (("train", places.train), ("validation", places.validation), ("test", places.test)):
        require_positive(f"places.{key}", count)
    require_within("places.seen", places.seen, 0, 1)
    require_within("places.apart_m", places.apart_m, 0, 1e7)
    require_within("resamples", config.resamples, 100, 1_000_000)
    require_positive("workers", config.workers)
    require_positive("threads", config.threads)
    require_positive("forest.trees", config.forest.trees)
    require_positive("forest.samples", config.forest.samples)
    for index, fraction in enumerate(config.fractions):
        require_within(f"fractions[{index}]", fraction, 0.0001, 1)
    for key, values in (("fractions", config.fractions), ("seeds", config.seeds), ("arms", config.arms)):
        if not values or len(set(values)) < len(values):
            raise SettingInvalid(f"{key} must name one or more, each once.")
    if config.tuning_seed in config.seeds:
        raise SettingInvalid(
            f"tuning_seed is {config.tuning_seed}, one of the seeds; what is tuned on a seed flatters it.",
            "Give it a number of its own.",
        )
    _check_arms(config)


def _check_arms(config: StudyConfig) -> None:
    names = [arm.name for arm in config.arms]
    for arm in config.arms:
        if not arm.name.replace("-", "").isalnum() or names.count(arm.name) > 1:
            raise SettingInvalid(f"An arm is named {arm.name!r}; allowed are letters, digits and -, each name once.")
        if len(set(arm.tried)) != len(set(config.arms[0].tried)) or not arm.tried or min(arm.tried) <= 0:
            raise SettingInvalid(
                f"The arm {arm.name} tries {len(set(arm.tried))} values and {config.arms[0].name} "
                f"{len(set(config.arms[0].tried))}; every arm must try as many, all above 0.",
                "Change `tried`.",
            )
        require_within(f"{arm.name}.layer_decay", arm.layer_decay, 0.01, 1)
    for pair in config.compare:
        if unknown := [name for name in pair if name not in names]:
            raise SettingInvalid(f"compare names the arm {unknown[0]}; there are {', '.join(names)}.")
    pretrained, finetuned = config.pretrain.model, config.finetune.model
    if (pretrained.inputs, pretrained.backbone, pretrained.window) != (
        finetuned.inputs,
        finetuned.backbone,
        finetuned.window,
    ):
        raise SettingInvalid(
            "pretrain.model and finetune.model differ; scratch must be the network that is pre-trained.",
            "Give both the same inputs, backbone and window.",
        )

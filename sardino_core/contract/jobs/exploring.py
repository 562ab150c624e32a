"""What else the model's features tell of a scene: one place, a few labels, none, or marked places."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, Optional, Tuple

from sardino_core.contract.errors import SettingInvalid
from sardino_core.contract.jobs.options import RunOptions, SceneOptions

FeatureSet = Literal["bands", "filtered", "attention", "tokens"]
Method = Literal["forest", "logistic", "knn"]
FEATURE_SETS: Tuple[FeatureSet, ...] = ("bands", "filtered", "attention", "tokens")
METHODS: Tuple[Method, ...] = ("forest", "logistic", "knn")
MOST_CLUSTERS = 32  # more colours than that nobody tells apart


@dataclass(frozen=True)
class ExploreJob:
    """What the network relates to one place of a scene, on the patch grid: by attention, or by similarity of tokens.

    Attention reaches over the one window around the place, similarity over the whole scene or its extent.
    """

    scene: SceneOptions
    run: RunOptions
    output: str
    at: Tuple[float, float]  # x, y in the raster's CRS
    mode: Literal["attention", "class", "similarity"] = "attention"  # of the place's token, of the class token; cosine
    layer: int = -1  # counted from 0, or from the last with negative numbers; similarity is that of the last
    head: str = "mean"  # or max, over all heads; or one of them, counted from 1

    def __post_init__(self) -> None:
        """Validate ranges; raises SettingInvalid."""
        if not all(map(math.isfinite, self.at)):
            raise SettingInvalid(
                f"The place {self.at[0]:g},{self.at[1]:g} is endless.", "Give x,y in the raster's CRS."
            )
        if self.head not in ("mean", "max") and not (self.head.isdecimal() and int(self.head) > 0):
            raise SettingInvalid(f"--head {self.head} is none; allowed are mean, max, or a number from 1.")


@dataclass(frozen=True)
class ClassifyJob:
    """A land-cover map by a small classifier: trained on a few labelled areas, or one that was saved before."""

    scene: SceneOptions
    run: RunOptions
    output: str
    training: Optional[str] = None  # labelled polygons or points; None: `classifier` is applied
    field_name: str = "class"  # of `training`: where the class is, as value or name
    features: Tuple[FeatureSet, ...] = ()  # empty: all of them, or those of `classifier`
    method: Optional[Method] = None  # None: forest, or that of `classifier`
    classifier: Optional[str] = None  # a file that an earlier run saved
    save_classifier: Optional[str] = None
    confidence: Optional[str] = None
    report: Optional[str] = None  # HTML
    seed: int = 0

    def __post_init__(self) -> None:
        """Validate; raises SettingInvalid."""
        if (self.training is None) == (self.classifier is None):
            found = "Neither" if self.training is None else "Both"
            raise SettingInvalid(
                f"{found} --training {'nor' if self.training is None else 'and'} --classifier was given; one of them "
                f"is needed.",
                "Give labelled areas to train on, or a saved classifier to apply.",
            )
        if self.classifier is not None and self.save_classifier is not None:
            raise SettingInvalid("--classifier is a saved one already.", "Leave --save-classifier out, or train one.")
        if len(set(self.features)) < len(self.features):
            raise SettingInvalid(f"--features {','.join(self.features)} names one set twice.", "Name each once.")
        if self.report is not None and not self.report.lower().endswith((".html", ".htm")):
            raise SettingInvalid(f"The report {self.report} is no HTML file.", "Give a name that ends in .html.")
        if self.seed < 0:
            raise SettingInvalid(f"--seed {self.seed} is out of range; give 0 or more.")


@dataclass(frozen=True)
class ClusterJob:
    """Classes without labels: clusters of the patch tokens, numbered from dark to bright."""

    scene: SceneOptions
    run: RunOptions
    output: str
    clusters: int = 0  # 0: chosen, or as many as the codebook has
    codebook: Optional[str] = None  # clusters of an earlier run instead of new ones
    save_codebook: Optional[str] = None
    refine: bool = False  # on the raster's pixels instead of one pixel per patch

    def __post_init__(self) -> None:
        """Validate ranges and combinations; raises SettingInvalid."""
        if self.clusters and not 2 <= self.clusters <= MOST_CLUSTERS:
            raise SettingInvalid(
                f"--clusters {self.clusters} is out of range; allowed are 2 to {MOST_CLUSTERS}, or `auto`."
            )
        if self.codebook and (self.clusters or self.save_codebook):
            other = "--clusters" if self.clusters else "--save-codebook"
            raise SettingInvalid(
                f"--codebook and {other} are both given, but a codebook has its clusters already.",
                f"Leave out {other} to use that codebook, or --codebook to make a new one.",
            )


@dataclass(frozen=True)
class SimilarityJob:
    """How alike every patch is to marked places, as the cosine of their tokens."""

    scene: SceneOptions
    run: RunOptions
    output: str
    references: str  # points or polygons
    reference_scene: Tuple[str, ...] = ()  # where the references are; none: in the scene itself
    name_field: Optional[str] = None  # one band for each of its values; None: one band for all together

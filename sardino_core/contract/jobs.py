"""What can be asked of the core: one frozen dataclass per job, with the command line's defaults.

A job is plain data: paths, numbers and names. Ranges are checked here, the fit to raster and model where it runs.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field
from typing import Dict, Literal, Optional, Tuple, Type, Union

from sardino_core.contract.class_table import parse_table
from sardino_core.contract.dates import check_dates
from sardino_core.contract.errors import SettingInvalid
from sardino_core.contract.serial import from_dict, to_dict

Units = Literal["auto", "db", "power", "amplitude", "uint8db", "dn83"]
Device = Literal["auto", "cpu", "cuda", "mps"]
Precision = Literal["auto", "fp32", "bf16"]
FeatureSet = Literal["bands", "filtered", "attention", "tokens"]
Method = Literal["forest", "logistic", "knn"]
FEATURE_SETS: Tuple[FeatureSet, ...] = ("bands", "filtered", "attention", "tokens")
METHODS: Tuple[Method, ...] = ("forest", "logistic", "knn")
SCRATCH = "scratch"  # instead of a model file: random weights
SEGMENT_OVERLAP = 0.25  # of the window's side: a third of the error at borders, 1.7 times the windows (docs/overlap.md)
CONTEXT_OVERLAP = 0.5  # attention and tokens depend on their whole window: a wider cross-fade hides its borders
MOST_CLUSTERS = 32  # more colours than that nobody tells apart


@dataclass(frozen=True)
class SceneOptions:
    """How the input rasters are to be read, common to every job on rasters."""

    inputs: Tuple[str, ...]
    bands: Dict[str, int] = field(default_factory=dict)  # e.g. {"VV": 1, "VH": 2}; empty: recognised
    units: Units = "auto"
    extent: Optional[Tuple[float, float, float, float]] = None  # xmin, ymin, xmax, ymax in the raster's CRS
    cutline: Optional[str] = None  # polygons: only inside is processed
    mask: Optional[str] = None  # raster (non-zero) or polygons: what is covered is not processed

    def __post_init__(self) -> None:
        """Validate ranges; raises SettingInvalid."""
        if not self.inputs:
            raise SettingInvalid("No input raster was given.", "Name at least one Sentinel-1 raster.")
        for key, number in self.bands.items():
            if number < 1:
                raise SettingInvalid(f"--bands {key}={number} is out of range; band numbers start at 1.")
        extent = self.extent
        if extent and not (all(map(math.isfinite, extent)) and extent[0] < extent[2] and extent[1] < extent[3]):
            raise SettingInvalid(
                f"The extent {','.join(f'{value:g}' for value in extent)} is empty, endless or turned around.",
                "Give xmin,ymin,xmax,ymax in the raster's CRS.",
            )


@dataclass(frozen=True)
class RunOptions:
    """How the model is run."""

    model: str
    overlap: float = SEGMENT_OVERLAP
    batch_size: int = 0  # 0: chosen by device and memory
    device: Device = "auto"
    precision: Precision = "auto"
    format: Literal["gtiff", "cog"] = "gtiff"
    overviews: bool = False  # a cog always has them

    def __post_init__(self) -> None:
        """Validate ranges; raises SettingInvalid."""
        if not 0 <= self.overlap <= 0.75:
            raise SettingInvalid(f"The overlap is {self.overlap:g}; allowed is 0 to 0.75 of the window.")
        if self.batch_size < 0:
            raise SettingInvalid(f"The batch size is {self.batch_size}; give 1 or more, or `auto`.")


@dataclass(frozen=True)
class SegmentJob:
    """Land-cover map; optionally the confidence (highest probability) and the probability of every class."""

    scene: SceneOptions
    run: RunOptions
    output: str
    confidence: Optional[str] = None
    probabilities: Optional[str] = None
    abstain: bool = True  # False: never `unsure`


@dataclass(frozen=True)
class AttentionJob:
    """Attention of the class token to every patch, one band per head."""

    scene: SceneOptions
    run: RunOptions
    output: str
    layer: int = -1  # counted from 0, or from the last with negative numbers
    heads: Literal["all", "mean", "max"] = "all"
    resolution: Literal["patch", "pixel"] = "pixel"


@dataclass(frozen=True)
class EmbedJob:
    """Patch token embeddings, or their first principal components."""

    scene: SceneOptions
    run: RunOptions
    output: str
    components: int = 0  # 0: all dimensions of the token
    dtype: Literal["float16", "float32", "int8"] = "float16"

    def __post_init__(self) -> None:
        """Validate ranges; raises SettingInvalid."""
        if self.components < 0:
            raise SettingInvalid(f"--components {self.components} is out of range; give 1 or more, or 0 for all.")


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


@dataclass(frozen=True)
class SimulateJob:
    """A simulated Sentinel-1 scene with labels: for tests, demonstrations and benchmarks, never evidence."""

    output: str  # folder
    size: int = 1024
    seed: int = 0
    orbit: Literal["ascending", "descending"] = "descending"
    season: Literal["winter", "spring", "summer", "fall"] = "summer"
    all_seasons: bool = False
    take: int = 0  # another pass over the same place in the same season: the same ground, other speckle

    def __post_init__(self) -> None:
        """Validate ranges; raises SettingInvalid."""
        if not 0 <= self.take < 2**31:
            raise SettingInvalid(f"--take {self.take} is out of range; give 0 or more.")
        if not 16 <= self.size <= 131072:
            raise SettingInvalid(f"--size {self.size} is out of range; allowed is 16 to 131072 pixels.")


@dataclass(frozen=True)
class PretrainJob:
    """DINO on unlabelled rasters: a run folder with the backbone as a model file."""

    output: str  # the run's folder
    images: Tuple[str, ...] = ()  # globs; none: those that the configuration names
    config: str = "pretrain-tiny"  # a configuration that ships, or a YAML file
    init: str = SCRATCH  # or a model file whose backbone is trained on
    epochs: Optional[float] = None  # passes over the data; None: the configuration's steps
    resume: bool = False  # go on from the folder's checkpoint
    dry_run: bool = False  # say what would be used, and stop
    settings: Tuple[str, ...] = ()  # key=value, over the configuration's
    bands: Dict[str, int] = field(default_factory=dict)  # where they are in the images; empty: as configured
    units: Units = "auto"  # of the images; auto: as configured


@dataclass(frozen=True)
class FinetuneJob:
    """Labelled rasters to a land-cover model: a run folder with the model file."""

    output: str  # the run's folder
    init: str  # a model file to start from, or `scratch`
    images: Tuple[str, ...] = ()
    labels: Tuple[str, ...] = ()
    config: str = "finetune-tiny"
    epochs: Optional[float] = None
    label_fraction: Optional[float] = None  # share of the training labels; None: the configuration's
    resume: bool = False
    dry_run: bool = False
    settings: Tuple[str, ...] = ()
    bands: Dict[str, int] = field(default_factory=dict)  # where they are in the images; empty: as configured
    units: Units = "auto"  # of the images; auto: as configured


@dataclass(frozen=True)
class EvaluateJob:
    """A model file against label rasters: metrics.json and confusion.csv in a folder."""

    output: str  # folder
    model: str
    images: Tuple[str, ...] = ()
    labels: Tuple[str, ...] = ()
    config: Optional[str] = None  # for its label mapping; None: labels are the model's class values
    held_out: bool = False  # only the labels that the configuration holds out
    settings: Tuple[str, ...] = ()
    bands: Dict[str, int] = field(default_factory=dict)  # where they are in the images; empty: as configured
    units: Units = "auto"  # of the images; auto: as configured


@dataclass(frozen=True)
class ProbeJob:
    """How much land-cover information attention heads, tokens and backscatter hold: a report and tables in a folder."""

    output: str  # folder
    model: str
    images: Tuple[str, ...] = ()
    labels: Tuple[str, ...] = ()
    config: Optional[str] = None  # for its label mapping; None: labels are the model's class values
    settings: Tuple[str, ...] = ()  # key=value: the probe's own, else the configuration's


@dataclass(frozen=True)
class PreflightJob:
    """What a model would make of a scene, before any of it is made: fit, windows, memory, time, disk space."""

    scene: SceneOptions
    run: RunOptions
    output: Optional[str] = None  # HTML report


@dataclass(frozen=True)
class SamplePointsJob:
    """A stratified random sample of a land-cover map, as GeoJSON points to be labelled by eye."""

    classified: str
    output: str  # GeoJSON
    size: int = 500
    minimum: int = 30  # points in every class, however small it is
    seed: int = 0
    blind: bool = False  # True: the points do not tell the map's class

    def __post_init__(self) -> None:
        """Validate ranges; raises SettingInvalid."""
        if not 2 <= self.minimum <= self.size <= 100_000:
            raise SettingInvalid(
                f"The sample has {self.size} points with at least {self.minimum} in each class; allowed are up to "
                f"100000 points, and 2 or more in each class."
            )


@dataclass(frozen=True)
class AccuracyJob:
    """A land-cover map against a reference: labelled sample points, or for mere agreement a raster or polygons."""

    classified: str
    reference: str
    output: str  # HTML report; tables as CSV beside it
    mapping: Dict[int, int] = field(default_factory=dict)  # reference value -> class of the map, 0: left out
    field_name: str = "reference"  # of points and polygons: where the reference class is, as value or name

    def __post_init__(self) -> None:
        """Validate ranges; raises SettingInvalid."""
        for value, target in self.mapping.items():
            if not 0 <= target <= 255:
                raise SettingInvalid(f"The mapping {value}={target} is out of range; classes are 0 to 255.")


@dataclass(frozen=True)
class MergeClassesJob:
    """A land-cover map with classes merged, renamed, recoloured or made nodata, by a small table."""

    classified: str
    output: str
    classes: Tuple[str, ...]  # such as `10,20=1:woodland:#1b7837`; classes that are not named stay
    format: Literal["gtiff", "cog"] = "gtiff"

    def __post_init__(self) -> None:
        """Validate the table in itself; raises SettingInvalid."""
        parse_table(self.classes)


@dataclass(frozen=True)
class CompositeJob:
    """Many dates of one place to the mean of their linear power, per orbit and period, as one raster in dB."""

    inputs: Tuple[str, ...]  # rasters; a folder is the scene of one date
    output: str
    by: Literal["all", "season", "month"] = "all"
    orbit: Optional[str] = None  # only this one: a relative orbit such as 137, or ascending, or descending
    filter: Literal["none", "quegan"] = "none"
    quality: Optional[str] = None  # a second raster: dates and equivalent number of looks at every pixel
    dates: Tuple[str, ...] = ()  # of the inputs, in their order; none: from tags and names
    grid: Optional[str] = None  # a raster whose pixels are taken; None: the earliest date's, extended to all dates
    extent: Optional[Tuple[float, float, float, float]] = None  # xmin, ymin, xmax, ymax in the grid's CRS
    bands: Dict[str, int] = field(default_factory=dict)  # of every date; empty: recognised
    units: Units = "auto"
    format: Literal["gtiff", "cog"] = "gtiff"

    def __post_init__(self) -> None:
        """Validate inputs, bands, extent and dates in themselves; raises SettingInvalid."""
        SceneOptions(self.inputs, self.bands, self.units, self.extent)
        check_dates(self.dates, len(self.inputs))


@dataclass(frozen=True)
class ChangeJob:
    """How far the tokens of one date lie from those of reference dates, and how often chance alone takes them there."""

    before: Tuple[str, ...]  # three dates or more, between which nothing has changed
    after: Tuple[str, ...]  # one date
    run: RunOptions
    output: str
    false_alarm: float = 0.01  # share of unchanged patches that are marked nevertheless
    dates: Tuple[str, ...] = ()  # of `before`, then of `after`, in their order; none: from tags and names
    extent: Optional[Tuple[float, float, float, float]] = None
    bands: Dict[str, int] = field(default_factory=dict)  # of every date; empty: recognised
    units: Units = "auto"

    def __post_init__(self) -> None:
        """Validate inputs, bands, extent, dates and the rate in themselves; raises SettingInvalid."""
        for inputs in (self.before, self.after):
            SceneOptions(inputs, self.bands, self.units, self.extent)
        check_dates(self.dates, len(self.before) + len(self.after))
        if not 0 < self.false_alarm <= 0.5:
            raise SettingInvalid(f"--false-alarm {self.false_alarm:g} is out of range; allowed is above 0, up to 0.5.")


Job = Union[
    SegmentJob,
    AttentionJob,
    EmbedJob,
    ExploreJob,
    ClassifyJob,
    ClusterJob,
    SimilarityJob,
    SimulateJob,
    PretrainJob,
    FinetuneJob,
    EvaluateJob,
    ProbeJob,
    PreflightJob,
    SamplePointsJob,
    AccuracyJob,
    MergeClassesJob,
    CompositeJob,
    ChangeJob,
]
_KINDS: Dict[str, Type[Job]] = {
    "segment": SegmentJob,
    "attention": AttentionJob,
    "embed": EmbedJob,
    "explore": ExploreJob,
    "classify": ClassifyJob,
    "cluster": ClusterJob,
    "similarity": SimilarityJob,
    "simulate": SimulateJob,
    "pretrain": PretrainJob,
    "finetune": FinetuneJob,
    "evaluate": EvaluateJob,
    "probe": ProbeJob,
    "preflight": PreflightJob,
    "samplepoints": SamplePointsJob,
    "accuracy": AccuracyJob,
    "mergeclasses": MergeClassesJob,
    "composite": CompositeJob,
    "change": ChangeJob,
}


def kind_of(job: Job) -> str:
    """The job's name, which is its subcommand's, too."""
    return next(name for name, kind in _KINDS.items() if isinstance(job, kind))


def encode(job: Job) -> str:
    """One line of JSON; the key `job` names the kind."""
    return json.dumps({"job": kind_of(job), **to_dict(job)}, ensure_ascii=False, allow_nan=False)


def decode(line: str) -> Job:
    """Read one line. Raises SettingInvalid naming what is wrong."""
    try:
        body = json.loads(line)
    except ValueError:
        raise SettingInvalid(f"The line {line[:60]!r} is not JSON.") from None
    name = body.pop("job", None) if isinstance(body, dict) else None
    if not isinstance(name, str) or name not in _KINDS:
        raise SettingInvalid(f"The job {name!r} is unknown; known are {', '.join(_KINDS)}.")
    return from_dict(_KINDS[name], body)

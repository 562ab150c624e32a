"""Models: pre-trained, fine-tuned, and judged by labels. Where a configuration has a say, None or empty leaves it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Dict, Optional, Tuple

from sardino_core.contract.jobs.options import Units

SCRATCH = "scratch"  # instead of a model file: random weights


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

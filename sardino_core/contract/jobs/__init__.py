"""What can be asked of the core: one frozen dataclass per job, with the command line's defaults.

A job is plain data: paths, numbers and names. Ranges are checked here, the fit to raster and model where it runs. The
jobs stand by subject in the modules below; whoever asks for one takes it from here.
"""

from sardino_core.contract.jobs.dates import ChangeJob, CompositeJob
from sardino_core.contract.jobs.exploring import (
    FEATURE_SETS,
    METHODS,
    MOST_CLUSTERS,
    ClassifyJob,
    ClusterJob,
    ExploreJob,
    FeatureSet,
    Method,
    SimilarityJob,
)
from sardino_core.contract.jobs.maps import AttentionJob, EmbedJob, SegmentJob
from sardino_core.contract.jobs.options import (
    CONTEXT_OVERLAP,
    SEGMENT_OVERLAP,
    Device,
    Extent,
    Format,
    Precision,
    RunOptions,
    SceneOptions,
    Units,
)
from sardino_core.contract.jobs.quality import AccuracyJob, MergeClassesJob, PreflightJob, SamplePointsJob
from sardino_core.contract.jobs.simulation import SimulateJob
from sardino_core.contract.jobs.training import SCRATCH, EvaluateJob, FinetuneJob, PretrainJob, ProbeJob
from sardino_core.contract.jobs.wire import Job, decode, encode, kind_of

__all__ = [
    "CONTEXT_OVERLAP",
    "FEATURE_SETS",
    "METHODS",
    "MOST_CLUSTERS",
    "SCRATCH",
    "SEGMENT_OVERLAP",
    "AccuracyJob",
    "AttentionJob",
    "ChangeJob",
    "ClassifyJob",
    "ClusterJob",
    "CompositeJob",
    "Device",
    "EmbedJob",
    "EvaluateJob",
    "ExploreJob",
    "Extent",
    "FeatureSet",
    "FinetuneJob",
    "Format",
    "Job",
    "MergeClassesJob",
    "Method",
    "Precision",
    "PreflightJob",
    "PretrainJob",
    "ProbeJob",
    "RunOptions",
    "SamplePointsJob",
    "SceneOptions",
    "SegmentJob",
    "SimilarityJob",
    "SimulateJob",
    "Units",
    "decode",
    "encode",
    "kind_of",
]
